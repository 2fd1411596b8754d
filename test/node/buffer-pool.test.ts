import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  LARGE_BUFFER,
  returnBuffer,
  SMALL_BUFFER,
  takeBuffer,
} from '../../dist/node/buffer-pool.js';

test('a buffer is as large as was asked for, in two sizes that are used again', () => {
  for (const [wanted, size] of [
    [1, SMALL_BUFFER],
    [SMALL_BUFFER, SMALL_BUFFER],
    [SMALL_BUFFER + 1, LARGE_BUFFER],
    [LARGE_BUFFER, LARGE_BUFFER],
  ] as const) {
    const first = takeBuffer(wanted);
    assert.equal(first.length, size);
    const second = takeBuffer(wanted);
    assert.notEqual(second, first, 'nobody gets a buffer that is in use');
    assert.notEqual(second.buffer, first.buffer);
    returnBuffer(first);
    assert.equal(takeBuffer(wanted), first);
  }
});

test('a larger one is made to measure and not kept', () => {
  const large = takeBuffer(LARGE_BUFFER + 1);
  assert.equal(large.length, LARGE_BUFFER + 1);
  returnBuffer(large);
  assert.notEqual(takeBuffer(LARGE_BUFFER + 1), large);
});

test('a bounded number is kept', () => {
  const out = Array.from({ length: 200 }, () => takeBuffer(LARGE_BUFFER));
  for (const buffer of out) returnBuffer(buffer);
  const known = new Set(out);
  const again = Array.from({ length: 200 }, () => takeBuffer(LARGE_BUFFER));
  const kept = again.filter((buffer) => known.has(buffer)).length;
  assert.ok(kept > 0 && kept <= 64, `${kept} were kept`);
});
