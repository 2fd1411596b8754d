import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Utf8Validator } from '../../../dist/protocol/messages/utf8-validator.js';
import { decodeUtf8 } from '../../reference-codec.ts';
import { cutInto, waysOfSplitting } from '../splitting.ts';
import { testPlatform } from '../test-platform.ts';

function check(pieces: readonly Uint8Array[]): 'valid' | 'cut off' | 'invalid' {
  const validator = new Utf8Validator(testPlatform);
  for (const piece of pieces) {
    if (!validator.push(piece, 0, piece.length)) return 'invalid';
  }
  return validator.complete ? 'valid' : 'cut off';
}

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
}

const valid = ['', '41', 'c2 80', 'df bf', 'e0 a0 80', 'ed 9f bf', 'ee 80 80', 'ef bf bf'];
const alsoValid = ['f0 90 80 80', 'f4 8f bf bf', 'f0 9f 98 80 41', '41 e2 82 ac 42'];
for (const text of [...valid, ...alsoValid]) {
  test(`${text || 'nothing'} is valid, however it is cut`, () => {
    for (const pieces of waysOfSplitting(hex(text))) assert.equal(check(pieces), 'valid');
  });
}

// Each with the index of the byte that shows it.
const invalid: [string, number][] = [
  ['80', 0],
  ['c0 af', 0],
  ['c1 81', 0],
  ['f5 80 80 80', 0],
  ['ff', 0],
  ['c2 41', 1],
  ['e0 80 80', 1],
  ['e0 9f bf', 1],
  ['ed a0 80', 1],
  ['ed bf bf', 1],
  ['f0 8f bf bf', 1],
  ['f4 90 80 80', 1],
  ['e2 82 41', 2],
  ['f0 9f 98 41', 3],
  ['41 42 ff', 2],
  ['e2 82 ac 80', 3],
];
for (const [text, at] of invalid) {
  test(`${text} is not, however it is cut, and fails at its byte ${at}`, () => {
    const bytes = hex(text);
    for (const pieces of waysOfSplitting(bytes)) assert.equal(check(pieces), 'invalid');
    assert.notEqual(
      check([...bytes.subarray(0, at)].map((byte) => Uint8Array.of(byte))),
      'invalid',
    );
    assert.equal(check([bytes.subarray(0, at), bytes.subarray(at, at + 1)]), 'invalid');
    assert.equal(check([bytes.subarray(0, at + 1)]), 'invalid', 'also within one piece');
  });
}

for (const text of ['c2', 'e2', 'e2 82', 'f0', 'f0 9f', 'f0 9f 98', '41 e2 82']) {
  test(`${text} is cut off`, () => {
    for (const pieces of waysOfSplitting(hex(text))) assert.equal(check(pieces), 'cut off');
  });
}

test('any bytes in any pieces fail with the first piece that nothing can mend, and only then', () => {
  const likely = fc.constantFrom(0x41, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xe0, 0xe2, 0xed, 0xf0, 0xf4);
  const character = fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });
  const bytes = fc
    .array(
      fc.oneof(
        likely.map((byte) => [byte]),
        character.map((one) => [...Buffer.from(one)]),
      ),
      {
        maxLength: 8,
      },
    )
    .map((parts) => Uint8Array.from(parts.flat()));
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 });
  fc.assert(
    fc.property(bytes, sizes, (whole, cuts) => {
      const validator = new Utf8Validator(testPlatform);
      let at = 0;
      for (const piece of cutInto(whole, cuts)) {
        at += piece.length;
        const expected = decodeUtf8(whole.slice(0, at));
        assert.equal(validator.push(piece, 0, piece.length), expected !== 'malformed');
        if (expected === 'malformed') return;
        assert.equal(validator.complete, expected !== 'unfinished');
      }
    }),
    { numRuns: 3000 },
  );
});
