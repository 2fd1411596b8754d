import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { applyMask, rotateMask } from '../../../dist/protocol/frames/mask.js';
import { maskBytewise } from '../../reference-codec.ts';

function toNumber([a = 0, b = 0, c = 0, d = 0]: readonly number[]): number {
  return a | (b << 8) | (c << 16) | (d << 24);
}

const byte = fc.nat(255);
const maskBytes = fc.tuple(byte, byte, byte, byte);

test('the example of RFC 6455 5.7', () => {
  const bytes = Uint8Array.of(0x7f, 0x9f, 0x4d, 0x51, 0x58);
  applyMask(bytes, 0, 5, toNumber([0x37, 0xfa, 0x21, 0x3d]));
  assert.equal(String.fromCharCode(...bytes), 'Hello');
});

test('any bytes at any offset and alignment, and nothing around them', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      maskBytes,
      fc.nat(9),
      fc.nat(9),
      fc.nat(9),
      (payload, mask, viewAt, before, after) => {
        const memory = new Uint8Array(viewAt + before + payload.length + after).fill(0xee);
        const view = memory.subarray(viewAt);
        view.set(payload, before);
        applyMask(view, before, before + payload.length, toNumber(mask));
        const expected = new Uint8Array(memory.length).fill(0xee);
        expected.set(maskBytewise(payload, mask), viewAt + before);
        assert.deepEqual(memory, expected);
      },
    ),
  );
});

test('every length from 0 to 200, so that each step of the loops begins and ends somewhere', () => {
  const mask = [1, 0x80, 0xff, 0x10];
  for (let length = 0; length <= 200; length++) {
    const payload = Uint8Array.from({ length }, (_, i) => (i * 37) & 0xff);
    const masked = Uint8Array.from(payload);
    applyMask(masked, 0, length, toNumber(mask));
    assert.deepEqual(masked, maskBytewise(payload, mask), String(length));
  }
});

test('a payload may be masked in pieces, with the mask rotated in between', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), maskBytes, fc.nat(300), (payload, mask, cut) => {
      const at = Math.min(cut, payload.length);
      const bytes = Uint8Array.from(payload);
      applyMask(bytes, 0, at, toNumber(mask));
      applyMask(bytes, at, bytes.length, rotateMask(toNumber(mask), at));
      assert.deepEqual(bytes, maskBytewise(payload, mask));
    }),
  );
});
