import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkCloseArguments, closeArguments } from '../../dist/web/close-arguments.js';

const named =
  (name: string) =>
  (error: unknown): boolean =>
    error instanceof DOMException && error.name === name;

suite('code and reason of a close', () => {
  test('1000 and 3000 to 4999 are legal, and so is none', () => {
    for (const code of [null, 1000, 3000, 4999]) checkCloseArguments(code, '');
    for (const code of [0, 999, 1001, 1005, 1006, 2999, 5000, 65_535, 3000.5, Number.NaN]) {
      assert.throws(() => checkCloseArguments(code, ''), named('InvalidAccessError'), `${code}`);
    }
  });

  test('123 bytes of UTF-8 are legal', () => {
    for (const reason of [
      'x'.repeat(123),
      '\u00e9'.repeat(61),
      '\u{1f50c}'.repeat(30),
      '\ud800'.repeat(41),
    ]) {
      checkCloseArguments(null, reason);
    }
    for (const reason of [
      'x'.repeat(124),
      '\u00e9'.repeat(62),
      '\u{1f50c}'.repeat(31),
      '\ud800'.repeat(42),
    ]) {
      assert.throws(() => checkCloseArguments(1000, reason), named('SyntaxError'));
    }
  });

  test('the code is looked at first', () => {
    assert.throws(() => checkCloseArguments(1, 'x'.repeat(124)), named('InvalidAccessError'));
  });
});

suite('WebSocketCloseInfo', () => {
  test('is converted as Web IDL has it', () => {
    const conversions: readonly (readonly [unknown, number | null, string])[] = [
      [undefined, null, ''],
      [null, null, ''],
      [{}, null, ''],
      [() => {}, null, ''],
      [{ closeCode: undefined, reason: undefined }, null, ''],
      [{ closeCode: '4000', reason: 12 }, 4000, '12'],
      [{ closeCode: 3999.9 }, 3999, ''],
      [{ closeCode: -0.5 }, 0, ''],
      [{ closeCode: null, reason: null }, 0, 'null'],
      [{ closeCode: true }, 1, ''],
      [{ closeCode: 65_535 }, 65_535, ''],
      [{ reason: 'a\udc00b' }, null, 'a\ufffdb'],
      [Object.create({ closeCode: 3000 }), 3000, ''],
    ];
    for (const [info, code, reason] of conversions) {
      const converted = closeArguments(info);
      assert.deepEqual(
        { ...converted, code: converted.code === null ? null : converted.code + 0 },
        { code, reason },
      );
    }
  });

  test('a TypeError for what cannot be converted', () => {
    const wrong: readonly unknown[] = [
      true,
      4000,
      'reason',
      Symbol('s'),
      { closeCode: 65_536 },
      { closeCode: -1 },
      { closeCode: Number.NaN },
      { closeCode: Number.POSITIVE_INFINITY },
      { closeCode: 'a' },
      { closeCode: Symbol('s') },
      { reason: Symbol('s') },
    ];
    for (const info of wrong) assert.throws(() => closeArguments(info), TypeError);
  });
});
