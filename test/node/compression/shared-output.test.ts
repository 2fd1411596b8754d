import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { grownLength, SharedOutput } from '../../../dist/node/compression/shared-output.js';
import { storeBlocks, storedLength } from '../../../dist/node/compression/stored-blocks.js';
import { json, textOf } from './both.ts';

const MIB = 1_048_576;
const MEDIUM = MIB + 65_536;

test('64 KiB and a little more than 1 MiB are kept, more is not', async () => {
  const output = new SharedOutput();
  const small = output.begin();
  assert.equal(small.length, 65_536);
  small.fill(1);
  const medium = output.grow(10 * MIB);
  assert.equal(medium.length, MEDIUM);
  assert.equal(output.buffer, medium);
  assert.ok(medium.subarray(0, 65_536).every((byte) => byte === 1));
  medium.fill(2);
  const large = output.grow(10 * MIB);
  // One byte above the limit shows that it is exceeded.
  assert.equal(large.length, 10 * MIB + 1);
  assert.ok(large.subarray(0, MEDIUM).every((byte) => byte === 2));
  assert.equal(output.buffer, large);
  await nextTurn();
  assert.equal(output.buffer, small);
  assert.equal(output.begin(100_000), medium);
  assert.equal(output.begin(), small);
  assert.equal(output.begin(2 * MIB).length, 2 * MIB);
  // What comes next in the same turn is not disturbed.
  assert.equal(output.begin(100_000), medium);
  await nextTurn();
  assert.equal(output.buffer, medium);
});

test('buffers grow to the limit, in few steps', () => {
  assert.equal(grownLength(65_536, 100_000), 100_001);
  assert.equal(grownLength(65_536, 100 * MIB), MEDIUM);
  assert.equal(grownLength(MEDIUM, 16 * MIB), 16 * MIB + 1);
  assert.equal(grownLength(MEDIUM, 1024 * MIB), 64 * MIB);
  assert.equal(grownLength(64 * MIB, 1024 * MIB), 256 * MIB);
  assert.equal(grownLength(64 * MIB, 100 * MIB), 100 * MIB + 1);
});

test('stored blocks', () => {
  for (const length of [0, 1, 65_535, 65_536, 200_000]) {
    const text = json(length).subarray(0, length);
    const from = Buffer.concat([Buffer.from('##'), text, Buffer.from('#')]);
    const output = Buffer.alloc(storedLength(length));
    assert.equal(storeBlocks(from, 2, 2 + length, output), output.length);
    assert.deepEqual(textOf(output), text);
  }
});
