import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { normalise, parseServerMessage } from '../../apps/chat/dist/page/messages.js';
import { Outbox } from '../../apps/chat/dist/page/outbox.js';
import { browserStore, type Store } from '../../apps/chat/dist/page/storage.js';
import { defaultChatLimits } from '../../apps/chat/dist/server/limits.js';
import { checkRoom } from '../../apps/chat/dist/server/names.js';
import { encode } from '../../apps/chat/dist/server/superchat-messages.js';

function memoryStore(): Store & { readonly texts: Map<string, string> } {
  const texts = new Map<string, string>();
  return {
    texts,
    read: (key) => texts.get(key),
    write(key, text) {
      if (text === undefined) texts.delete(key);
      else texts.set(key, text);
    },
  };
}

test('outbox: entries are in order, by room, until they are settled', () => {
  const outbox = new Outbox(memoryStore());
  const one = outbox.add('lobby', 'one', 1);
  const two = outbox.add('kitchen', 'two', 2);
  const three = outbox.add('lobby', 'three', 3);
  assert.deepEqual(outbox.of('lobby'), [one, three]);
  assert.deepEqual([...outbox.rooms()], ['lobby', 'kitchen']);
  assert.equal(outbox.next(new Set(['kitchen', 'lobby'])), one);
  assert.equal(outbox.next(new Set(['kitchen'])), two);
  assert.equal(outbox.next(new Set()), undefined);
  assert.deepEqual(outbox.settle(one.id), one);
  assert.equal(outbox.settle(one.id), undefined);
  assert.equal(outbox.next(new Set(['lobby'])), three);
});

test('outbox: ids have 128 random bits and are what the server takes', () => {
  const outbox = new Outbox(memoryStore());
  const ids = new Set(Array.from({ length: 100 }, () => outbox.add('r', 'x', 0).id));
  assert.equal(ids.size, 100);
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/);
});

test('outbox: a reload of the page finds entries and own ids again', () => {
  const store = memoryStore();
  const before = new Outbox(store);
  const said = before.add('lobby', 'said', 1);
  const kept = before.add('lobby', 'kept', 2);
  before.settle(said.id);
  const after = new Outbox(store);
  assert.deepEqual(after.of('lobby'), [kept]);
  assert.equal(after.isOwn(said.id), true);
  assert.equal(after.isOwn(kept.id), true);
  assert.equal(after.isOwn('somebody else'), false);
});

test('outbox: own ids are bounded, the oldest are forgotten', () => {
  const outbox = new Outbox(memoryStore());
  const ids = Array.from({ length: 201 }, () => outbox.add('r', 'x', 0).id);
  assert.equal(outbox.isOwn(ids[0] ?? ''), false);
  assert.equal(outbox.isOwn(ids[1] ?? ''), true);
  assert.equal(outbox.isOwn(ids[200] ?? ''), true);
});

test('outbox: what is stored but is no outbox counts as nothing', () => {
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"pending":1,"own":[]}',
    '{"pending":[1,{"id":2}],"own":[3]}',
  ]) {
    const store = memoryStore();
    store.write('outbox', text);
    assert.equal(new Outbox(store).rooms().size, 0, text);
  }
});

test('a storage that is full or forbidden costs nothing but memory', () => {
  const forbidden = browserStore(() => {
    throw new Error('SecurityError');
  });
  forbidden.write('key', 'text');
  forbidden.write('key', undefined);
  assert.equal(forbidden.read('key'), undefined);
});

test('the page reads every message that the server writes', () => {
  const said = { from: 'Ana', text: 'hello', at: 1, id: '1' };
  const joined = {
    type: 'joined',
    room: 'r',
    name: 'Ana',
    members: ['Ana'],
    history: [said],
  } as const;
  assert.deepEqual(parseServerMessage(encode(joined)), joined);
  const live = { type: 'said', room: 'r', ...said } as const;
  assert.deepEqual(parseServerMessage(encode(live)), live);
  assert.deepEqual(parseServerMessage(encode({ type: 'presence', room: 'r', left: 'Bo' })), {
    type: 'presence',
    room: 'r',
    joined: undefined,
    left: 'Bo',
  });
  const history = { type: 'history', room: 'r', history: [said] } as const;
  assert.deepEqual(parseServerMessage(encode(history)), history);
  const error = { type: 'error', code: 'bad-id', message: 'm' } as const;
  assert.deepEqual(parseServerMessage(encode(error)), { ...error, room: undefined, id: undefined });
});

test('property: what is no message of the server is undefined, and never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (data) => {
      const message = parseServerMessage(data);
      assert.ok(message === undefined || typeof message.type === 'string');
    }),
  );
  for (const type of ['joined', 'said', 'presence', 'history', 'constructor']) {
    assert.equal(parseServerMessage(JSON.stringify({ type })), undefined, type);
  }
  assert.equal(
    parseServerMessage('{"type":"said","room":"r","from":"A","text":"x","at":"1","id":"1"}'),
    undefined,
  );
});

test('property: the page knows a room by the name that the server gives it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (given) => {
      const checked = checkRoom(given, defaultChatLimits);
      if (checked.ok) assert.equal(normalise(given), checked.value);
    }),
  );
});
