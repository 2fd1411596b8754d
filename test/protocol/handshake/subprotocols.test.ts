import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  checkProtocols,
  chooseProtocol,
  parseProtocols,
} from '../../../dist/protocol/handshake/subprotocols.js';

test('the lines of the header make one list', () => {
  assert.deepEqual(parseProtocols([]), []);
  assert.deepEqual(parseProtocols(['chat, superchat']), ['chat', 'superchat']);
  assert.deepEqual(parseProtocols(['chat', ' a\t,b']), ['chat', 'a', 'b']);
  assert.deepEqual(parseProtocols(['__proto__,constructor']), ['__proto__', 'constructor']);
  assert.deepEqual(parseProtocols(['chat,Chat']), ['chat', 'Chat'], 'case matters');
});

for (const lines of [
  [''],
  [','],
  ['a,'],
  ['a,,b'],
  ['a,a'],
  ['a', 'a'],
  ['a b'],
  ['ä'],
  [' '.repeat(32_000)],
]) {
  test(`${JSON.stringify(lines).slice(0, 30)} is malformed`, () => {
    assert.equal(parseProtocols(lines), undefined);
  });
}

test('the first that the client offers and we speak is chosen', () => {
  assert.equal(chooseProtocol(['chat', 'superchat'], ['superchat', 'chat']), 'chat');
  assert.equal(chooseProtocol(['x', 'superchat'], ['superchat', 'chat']), 'superchat');
  assert.equal(chooseProtocol(['x'], ['chat']), '');
  assert.equal(chooseProtocol([], ['chat']), '');
});

test('a list of the application is copied', () => {
  const list = ['a', 'b'];
  const checked = checkProtocols(list);
  list.push('c d');
  assert.deepEqual(checked, ['a', 'b']);
});

for (const list of ['chat', ['a b'], [''], ['a', 'a'], [5], null]) {
  test(`${JSON.stringify(list)} is no list of subprotocols`, () => {
    assert.throws(() => checkProtocols(list as string[]), { code: 'INVALID_PROTOCOL' });
  });
}
