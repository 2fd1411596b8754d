import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerSize, writeHeader, writeMask } from '../../../dist/protocol/frames/frame-writer.js';
import { encodeFrame } from '../../reference-codec.ts';

const lengths = [
  0,
  1,
  125,
  126,
  127,
  255,
  256,
  65_535,
  65_536,
  70_000,
  2 ** 24,
  2 ** 31,
  2 ** 32 - 1,
];

for (const length of [...lengths, 2 ** 32, 2 ** 40 + 5, Number.MAX_SAFE_INTEGER]) {
  test(`a payload of ${length} bytes has the shortest header, masked or not`, () => {
    for (const masked of [false, true]) {
      const mask = masked ? [1, 2, 3, 4] : undefined;
      const expected = encodeFrame({ opcode: 2, mask, announced: length });
      const target = new Uint8Array(20).fill(0xee);
      let end = writeHeader(target, 3, 2, length, masked);
      assert.equal(end - 3, headerSize(length));
      if (masked) end = writeMask(target, end, 0x04030201);
      assert.deepEqual(target.subarray(3, end), expected);
      assert.ok([0, 1, 2].every((at) => target[at] === 0xee));
      assert.equal(target[end], 0xee);
    }
  });
}

test('a mask may have its highest bit set', () => {
  const target = new Uint8Array(4);
  assert.equal(writeMask(target, 0, 0x81_02_03_ff | 0), 4);
  assert.deepEqual([...target], [0xff, 0x03, 0x02, 0x81]);
});
