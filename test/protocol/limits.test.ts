import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { constants, deflateRawSync } from 'node:zlib';
import {
  defaultLimits,
  type Limits,
  maxCompressedBytes,
  resolveLimits,
} from '../../dist/protocol/limits.js';

test('what is not set keeps its default', () => {
  assert.deepEqual(resolveLimits(), defaultLimits);
  assert.deepEqual(resolveLimits({ maxFragments: 3 }), { ...defaultLimits, maxFragments: 3 });
  assert.equal(
    resolveLimits({ pingAfterMs: 1 }, { ...defaultLimits, maxFragments: 3 }).maxFragments,
    3,
  );
});

test('undefined is not set', () => {
  // Without the types of TypeScript this is how an option is often left out.
  const given: Record<string, unknown> = { maxFragments: undefined };
  assert.deepEqual(resolveLimits(given as Partial<Limits>), defaultLimits);
});

for (const value of [1, 2 ** 32, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
  test(`${value} is a limit`, () => {
    assert.equal(resolveLimits({ maxMessageBytes: value }).maxMessageBytes, value);
  });
}

test('each of them is checked', () => {
  for (const name of Object.keys(defaultLimits)) {
    for (const value of [0, -1, 0.5, Number.NaN, '1', null]) {
      const given: Record<string, unknown> = { [name]: value };
      assert.throws(() => resolveLimits(given as Partial<Limits>), {
        code: 'INVALID_OPTION',
        message: new RegExp(name),
      });
    }
    const given: Record<string, unknown> = { [name]: 1 };
    assert.deepEqual(resolveLimits(given as Partial<Limits>), { ...defaultLimits, ...given });
  }
});

for (const value of [0, -1, 1.5, Number.NaN, 2 ** 53, Number.NEGATIVE_INFINITY, '5', null, 5n]) {
  test(`${typeof value} ${value} is none, and is not coerced`, () => {
    const given: Record<string, unknown> = { maxMessageBytes: value };
    assert.throws(() => resolveLimits(given as Partial<Limits>), {
      code: 'INVALID_OPTION',
      message: /maxMessageBytes/,
    });
  });
}

for (const given of [null, 5, 'maxFragments']) {
  test(`${typeof given} ${given} has no limits`, () => {
    assert.throws(() => resolveLimits(given as unknown as Partial<Limits>), {
      code: 'INVALID_OPTION',
      message: /limits is an object/,
    });
  });
}

for (const name of ['maxMessages', '__proto__x', 'constructor']) {
  test(`there is no limit ${name}`, () => {
    const given: Record<string, unknown> = { [name]: 5 };
    assert.throws(() => resolveLimits(given as Partial<Limits>), {
      code: 'INVALID_OPTION',
      message: new RegExp(name),
    });
  });
}

describe('the longest payload of a message within the limit', () => {
  test('is a ninth bit for each byte, and some for blocks', () => {
    assert.equal(maxCompressedBytes(8), 8 + 1 + 1 + 64);
    assert.equal(maxCompressedBytes(9), 9 + 2 + 1 + 64);
    assert.equal(maxCompressedBytes(Infinity), Infinity);
  });

  test('is more than zlib needs for what it cannot compress', () => {
    const { Z_FIXED, Z_DEFAULT_STRATEGY, Z_SYNC_FLUSH } = constants;
    // Bytes that have nine bits in the fixed code, without any order.
    const bytes = new Uint8Array(2_000_000);
    for (let i = 0, x = 1; i < bytes.length; i++) {
      x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
      bytes[i] = 144 + ((x >>> 16) % 112);
    }
    for (const size of [1, 40, 1000, 2_000_000]) {
      for (const strategy of [Z_FIXED, Z_DEFAULT_STRATEGY]) {
        for (const [memLevel, windowBits] of [
          [1, 15],
          [8, 9],
        ] as const) {
          const options = { level: 1, memLevel, windowBits, strategy, finishFlush: Z_SYNC_FLUSH };
          const { length } = deflateRawSync(bytes.subarray(0, size), options);
          assert.ok(length - 4 <= maxCompressedBytes(size), `${length} of ${size}`);
        }
      }
    }
  });
});
