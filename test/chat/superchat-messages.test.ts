import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { defaultChatLimits } from '../../apps/chat/dist/server/limits.js';
import {
  type ClientMessage,
  parseClientMessage,
  type Refusal,
} from '../../apps/chat/dist/server/superchat-messages.js';

function parse(value: unknown): ClientMessage | Refusal {
  const data = typeof value === 'string' ? value : JSON.stringify(value);
  return parseClientMessage(data, defaultChatLimits);
}

function codeOf(value: unknown): string {
  const message = parse(value);
  return message.type === 'error' ? message.code : message.type;
}

const say = { type: 'say', room: 'lobby', text: 'hello', id: '1' };
const join = { type: 'join', room: 'lobby', name: 'Ana' };

test('the three messages are read, in their normal form, without what else they hold', () => {
  assert.deepEqual(parse({ ...join, room: ' lobby ', name: 'Ana  B', extra: 1 }), {
    ...join,
    name: 'Ana B',
  });
  assert.deepEqual(parse({ ...say, text: 'a\r\nb' }), { ...say, text: 'a\nb' });
  assert.deepEqual(parse({ type: 'leave', room: 'lobby' }), { type: 'leave', room: 'lobby' });
});

test('what is not a JSON object with a type is a bad-message', () => {
  for (const wrong of ['', '{', 'null', '1', '"join"', '[]', '{}', '{"type":1}', '{"type":null}']) {
    assert.equal(codeOf(wrong), 'bad-message', wrong);
  }
});

test('a type that is none of the three is an unknown-type, those of Object.prototype too', () => {
  for (const type of ['', 'joined', 'error', 'constructor', '__proto__', 'JOIN']) {
    assert.equal(codeOf({ type, room: 'lobby' }), 'unknown-type', type);
  }
});

test('a field that is missing, of another type, or breaks the rules has its own code', () => {
  for (const type of ['join', 'say', 'leave']) {
    for (const room of [undefined, null, 1, {}, ['lobby'], '', 'a\nb', 'r'.repeat(65)]) {
      assert.equal(codeOf({ ...say, ...join, type, room }), 'bad-room', JSON.stringify(room));
    }
  }
  for (const name of [undefined, 7, true, '', 'a:b', '*', 'n'.repeat(33)]) {
    assert.equal(codeOf({ ...join, name }), 'bad-name', JSON.stringify(name));
  }
  for (const id of [undefined, 7, '', 'a b', 'i'.repeat(65)]) {
    assert.equal(codeOf({ ...say, id }), 'bad-id', JSON.stringify(id));
  }
  for (const text of [undefined, 7, {}, '', ' \n']) {
    assert.equal(codeOf({ ...say, text }), 'bad-text', JSON.stringify(text));
  }
});

test('a text over 4 KiB and a message over 32 KiB are text-too-long', () => {
  assert.equal(codeOf({ ...say, text: 't'.repeat(4096) }), 'say');
  assert.equal(codeOf({ ...say, text: 't'.repeat(4097) }), 'text-too-long');
  assert.equal(codeOf({ ...say, text: 't'.repeat(33_000) }), 'text-too-long');
  assert.equal(codeOf(JSON.stringify({ ...say, text: '€'.repeat(11_000) })), 'text-too-long');
});

test('a text of 4 KiB is read also with every byte of it escaped', () => {
  const escaped = '\\u0061'.repeat(4096);
  assert.equal(codeOf(`{"type":"say","room":"lobby","id":"1","text":"${escaped}"}`), 'say');
});

test('an error repeats room and id where they can be read, and nothing longer', () => {
  assert.deepEqual(parse({ ...say, text: '' }), {
    type: 'error',
    code: 'bad-text',
    message: 'a text is not empty',
    room: 'lobby',
    id: '1',
  });
  const strange = parse({ ...say, room: 'r'.repeat(5000), id: 'i'.repeat(5000) });
  assert.equal(strange.type === 'error' && strange.room, undefined);
  assert.equal(strange.type === 'error' && strange.id, undefined);
});

test('a __proto__ in the JSON is a field like any other', () => {
  assert.equal(codeOf('{"__proto__":{"type":"leave","room":"lobby"}}'), 'bad-message');
});

test('property: whatever comes is a message or an error, and never throws', () => {
  const field = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.constant(null),
    fc.object(),
  );
  const near = fc.record(
    {
      type: fc.constantFrom('join', 'say', 'leave', 'x'),
      room: field,
      name: field,
      text: field,
      id: field,
    },
    { requiredKeys: ['type'] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        near.map((value) => JSON.stringify(value)),
      ),
      (data) => {
        const message = parse(data);
        assert.ok(['join', 'say', 'leave', 'error'].includes(message.type));
      },
    ),
  );
});
