import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bufferSource,
  clampUnsignedShort,
  defineInterface,
  stringSequence,
  usvString,
} from '../../dist/web/web-idl.js';

test('USVString', () => {
  assert.equal(usvString('a\ud800b\udc00😀'), 'a\ufffdb\ufffd😀');
  assert.equal(usvString(null), 'null');
  assert.equal(usvString({ toString: () => 'x' }), 'x');
  assert.throws(() => usvString(Symbol('x')), TypeError);
});

test('[Clamp] unsigned short', () => {
  const cases: [unknown, number][] = [
    [1000, 1000],
    ['3000', 3000],
    [-5, 0],
    [70_000, 65_535],
    [Number.NaN, 0],
    [Number.POSITIVE_INFINITY, 65_535],
    ['x', 0],
    [null, 0],
    [999.4, 999],
    [999.6, 1000],
    [999.5, 1000],
    [1000.5, 1000],
  ];
  for (const [value, expected] of cases) {
    assert.equal(clampUnsignedShort(value), expected, String(value));
  }
});

test('[Clamp] unsigned short of what is no number', () => {
  assert.throws(() => clampUnsignedShort(1000n), TypeError);
  assert.throws(() => clampUnsignedShort(Symbol('x')), TypeError);
});

test('a string or a sequence', () => {
  assert.deepEqual(stringSequence(undefined), []);
  assert.deepEqual(stringSequence('a,b'), ['a,b']);
  assert.deepEqual(stringSequence(null), ['null']);
  assert.deepEqual(stringSequence({}), ['[object Object]']);
  assert.deepEqual(stringSequence([1, 'b']), ['1', 'b']);
  assert.deepEqual(stringSequence(new Set(['a', 'b'])), ['a', 'b']);
  assert.throws(() => stringSequence({ [Symbol.iterator]: 1 }), TypeError);
  assert.throws(() => stringSequence([Symbol('x')]), TypeError);
});

test('bytes where they are', () => {
  const buffer = Uint8Array.of(1, 2, 3, 4).buffer;
  assert.deepEqual(bufferSource(buffer), Uint8Array.of(1, 2, 3, 4));
  assert.deepEqual(bufferSource(new DataView(buffer, 1, 2)), Uint8Array.of(2, 3));
  assert.deepEqual(bufferSource(new Uint16Array(buffer, 2, 1)), Uint8Array.of(3, 4));
  for (const other of ['text', 1, null, undefined, {}, new SharedArrayBuffer(1)]) {
    assert.equal(bufferSource(other), undefined);
  }
  const detached = new Uint8Array(4);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  assert.deepEqual(bufferSource(detached), new Uint8Array(0));
  assert.deepEqual(bufferSource(detached.buffer), new Uint8Array(0));
  assert.throws(() => bufferSource(new Uint8Array(new SharedArrayBuffer(1))), TypeError);
  const resizable: ArrayBuffer = Reflect.construct(ArrayBuffer, [1, { maxByteLength: 2 }]);
  assert.throws(() => bufferSource(resizable), TypeError);
  assert.throws(() => bufferSource(new Uint8Array(resizable)), TypeError);
});

test('members are enumerable, constants cannot be changed', () => {
  class Thing {
    get x(): number {
      return 1;
    }
  }
  defineInterface('Thing', Thing, { ONE: 1 });
  assert.deepEqual(Object.keys(Thing.prototype), ['x', 'ONE']);
  const constant = { value: 1, writable: false, enumerable: true, configurable: false };
  assert.deepEqual(Object.getOwnPropertyDescriptor(Thing, 'ONE'), constant);
  assert.deepEqual(Object.getOwnPropertyDescriptor(Thing.prototype, 'ONE'), constant);
  assert.equal(String(new Thing()), '[object Thing]');
});
