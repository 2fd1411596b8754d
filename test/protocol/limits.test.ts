import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits, type Limits, resolveLimits } from '../../dist/protocol/limits.js';

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

for (const value of [0, -1, 1.5, Number.NaN, 2 ** 53, Number.NEGATIVE_INFINITY, '5', null, 5n]) {
  test(`${typeof value} ${value} is none, and is not coerced`, () => {
    const given: Record<string, unknown> = { maxMessageBytes: value };
    assert.throws(() => resolveLimits(given as Partial<Limits>), {
      code: 'INVALID_OPTION',
      message: /maxMessageBytes/,
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
