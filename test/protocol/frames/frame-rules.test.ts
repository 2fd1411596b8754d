import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  firstByteError,
  length16Error,
  length64Error,
  secondByteError,
} from '../../../dist/protocol/frames/frame-rules.js';

test('the first byte, all 256 of them, inside of a message and outside, compressed or not', () => {
  for (let first = 0; first < 256; first++) {
    const opcode = first % 16;
    // RFC 7692 6.1: the first frame of a message, whatever else is wrong with it.
    const mayHaveRsv1 = opcode > 0 && opcode < 8;
    for (const open of [false, true]) {
      for (const agreed of [false, true]) {
        const allowed = agreed && mayHaveRsv1 ? 0x40 : 0;
        let expected: string | undefined;
        if ((first & 0x70) !== 0 && (first & 0x70) !== allowed) expected = 'RESERVED_BITS';
        else if ([3, 4, 5, 6, 7, 11, 12, 13, 14, 15].includes(opcode)) expected = 'RESERVED_OPCODE';
        else if (opcode >= 8) expected = first < 128 ? 'CONTROL_FRAGMENTED' : undefined;
        else if (opcode === 0) expected = open ? undefined : 'CONTINUATION_UNEXPECTED';
        else expected = open ? 'MESSAGE_INTERLEAVED' : undefined;
        assert.equal(firstByteError(first, open, agreed), expected, `${first} ${open} ${agreed}`);
      }
    }
  }
});

test('the second byte: the mask of the other side, and short control frames', () => {
  for (const first of [0x00, 0x01, 0x81, 0x82, 0x88, 0x89, 0x8a]) {
    for (let second = 0; second < 256; second++) {
      for (const mustBeMasked of [false, true]) {
        let expected: string | undefined;
        if (second >= 128 !== mustBeMasked)
          expected = mustBeMasked ? 'MASK_MISSING' : 'MASK_FORBIDDEN';
        else if (first >= 0x88 && second % 128 > 125) expected = 'CONTROL_TOO_LONG';
        assert.equal(secondByteError(first, second, mustBeMasked), expected, `${first} ${second}`);
      }
    }
  }
});

test('a 16-bit length is at least 126', () => {
  for (const length of [0, 1, 125]) assert.equal(length16Error(length), 'LENGTH_NOT_MINIMAL');
  for (const length of [126, 65_535]) assert.equal(length16Error(length), undefined);
});

test('a 64-bit length is at least 65536, has its highest bit clear, and is below 2^53', () => {
  const cases: [number, number, string | undefined][] = [
    [0, 0, 'LENGTH_NOT_MINIMAL'],
    [0, 0xffff, 'LENGTH_NOT_MINIMAL'],
    [0, 0x1_0000, undefined],
    [0, 0xffff_ffff, undefined],
    [1, 0, undefined],
    [0x1f_ffff, 0xffff_ffff, undefined],
    [0x20_0000, 0, 'MESSAGE_TOO_BIG'],
    [0x7fff_ffff, 0xffff_ffff, 'MESSAGE_TOO_BIG'],
    [0x8000_0000, 0, 'LENGTH_MOST_SIGNIFICANT_BIT'],
    [0x8000_0000, 1, 'LENGTH_MOST_SIGNIFICANT_BIT'],
    [0xffff_ffff, 0xffff_ffff, 'LENGTH_MOST_SIGNIFICANT_BIT'],
  ];
  for (const [upper, lower, expected] of cases) {
    assert.equal(length64Error(upper, lower), expected, `${upper} ${lower}`);
  }
});
