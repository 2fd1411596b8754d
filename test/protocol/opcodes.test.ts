import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as opcodes from '../../dist/protocol/opcodes.js';

test('the opcodes are those of RFC 6455 11.8, and the control bit tells control frames apart', () => {
  const { CONTROL_BIT, ...codes } = opcodes;
  assert.deepEqual(
    { ...codes },
    { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 },
  );
  for (const [name, code] of Object.entries(codes)) {
    assert.equal((code & CONTROL_BIT) !== 0, ['CLOSE', 'PING', 'PONG'].includes(name), name);
  }
});
