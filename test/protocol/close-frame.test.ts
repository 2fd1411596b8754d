import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closePayload, readClosePayload } from '../../dist/protocol/close-frame.js';
import { testPlatform } from './test-platform.ts';

function read(...payload: number[]) {
  return readClosePayload(Uint8Array.from(payload), testPlatform);
}

test('a payload is a code and a reason, or nothing at all', () => {
  assert.deepEqual(read(), { code: 1005, reason: '' });
  assert.deepEqual(read(0x03, 0xe8), { code: 1000, reason: '' });
  assert.deepEqual(read(0x0f, 0xa0, 0xc3, 0xbc), { code: 4000, reason: 'ü' });
});

test('what is wrong with it has a code of its own', () => {
  assert.deepEqual(read(0x03), { error: 'CLOSE_LENGTH' });
  assert.deepEqual(read(0x03, 0xed), { error: 'CLOSE_CODE' });
  assert.deepEqual(read(0x03, 0xe8, 0xc3), { error: 'INVALID_UTF8' });
});

test('what is written is read again', () => {
  const reason = new TextEncoder().encode('bye, ü');
  const payload = closePayload(4321, reason);
  assert.deepEqual(readClosePayload(payload, testPlatform), { code: 4321, reason: 'bye, ü' });
  assert.deepEqual(closePayload(1000, new Uint8Array(0)), Uint8Array.of(0x03, 0xe8));
  assert.equal(closePayload(undefined, new Uint8Array(0)).length, 0);
});
