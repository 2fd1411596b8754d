/** Conversions of Web IDL (https://webidl.spec.whatwg.org/#js-type-mapping) that the interfaces here need. */

/**
 * USVString: unpaired surrogates become U+FFFD.
 * @throws {TypeError} for a symbol
 */
export function usvString(value: unknown): string {
  return `${value}`.toWellFormed();
}

/**
 * `[Clamp] unsigned short`: the nearest of 0 to 65,535, the even one of two; 0 for NaN.
 * @throws {TypeError} for a symbol or a bigint
 */
export function clampUnsignedShort(value: unknown): number {
  // Number() would convert it.
  if (typeof value === 'bigint') throw new TypeError('a bigint is no number');
  const number = Math.min(Math.max(Number(value), 0), 65_535);
  if (Number.isNaN(number)) return 0;
  const below = Math.floor(number);
  const part = number - below;
  if (part !== 0.5) return Math.round(number);
  return below % 2 === 0 ? below : below + 1;
}

/** `(DOMString or sequence<DOMString>)`, a string as a sequence of one. */
export function stringSequence(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (!isObject || !isIterable(value)) return [`${value}`];
  return Array.from(value, (element) => `${element}`);
}

function isIterable(value: object): value is Iterable<unknown> {
  const iterator: unknown = Reflect.get(value, Symbol.iterator);
  if (iterator === undefined || iterator === null) return false;
  if (typeof iterator !== 'function') throw new TypeError('Symbol.iterator is not a function');
  return true;
}

/**
 * `BufferSource`, the bytes where they are; undefined for anything else.
 * @throws {TypeError} for memory that is shared or can be resized.
 */
export function bufferSource(value: unknown): Uint8Array | undefined {
  if (ArrayBuffer.isView(value)) {
    checkFixed(value.buffer);
    // Memory that was detached has no bytes, and nothing can be made of it.
    if (value.byteLength === 0) return new Uint8Array(0);
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (!(value instanceof ArrayBuffer)) return undefined;
  checkFixed(value);
  if (value.byteLength === 0) return new Uint8Array(0);
  return new Uint8Array(value);
}

function checkFixed(buffer: ArrayBufferLike): void {
  if (!(buffer instanceof ArrayBuffer)) throw new TypeError('the memory must not be shared');
  if (Reflect.get(buffer, 'resizable') === true) {
    throw new TypeError('the memory must not be resizable');
  }
}

/** Makes a class's members as Web IDL has them: enumerable, and the constants on it and on its prototype. */
export function defineInterface(
  name: string,
  made: { readonly prototype: object },
  constants: Readonly<Record<string, number>> = {},
): void {
  const { prototype } = made;
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (key !== 'constructor') {
      Object.defineProperty(prototype, key, { ...descriptor, enumerable: true });
    }
  }
  for (const [key, value] of Object.entries(constants)) {
    const constant = { value, enumerable: true, configurable: false, writable: false };
    Object.defineProperty(made, key, constant);
    Object.defineProperty(prototype, key, constant);
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: name, configurable: true });
}
