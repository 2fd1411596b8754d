import { usvString } from './web-idl.ts';

/** A close frame's payload is at most 125 bytes, two of them the code (RFC 6455 5.5). */
const MAX_REASON = 123;

/** What a close frame says. */
export interface WebSocketCloseInfo {
  /** 1000, or 3000 to 4999. Default: none, but 1000 with a reason. */
  readonly closeCode?: number;
  /** At most 123 bytes of UTF-8. Default: none. */
  readonly reason?: string;
}

/** The dictionary, converted. */
interface CloseArguments {
  /** null for none. */
  readonly code: number | null;
  readonly reason: string;
}

/** Web IDL: the members of a dictionary are read of an object; no object is one without members. */
export function dictionary(value: unknown): object {
  if (value === undefined || value === null) return {};
  if (typeof value === 'object' || typeof value === 'function') return value;
  throw new TypeError(`${String(value)} is no object`);
}

/** `[EnforceRange] unsigned short` */
function enforcedUnsignedShort(value: unknown): number {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number <= 65_535)) {
    throw new TypeError(`${String(value)} is not in the range of 0 to 65,535`);
  }
  return number;
}

/**
 * Converts a `WebSocketCloseInfo`.
 * @throws {TypeError}
 */
export function closeArguments(info: unknown): CloseArguments {
  const given = dictionary(info);
  const code: unknown = Reflect.get(given, 'closeCode');
  const reason: unknown = Reflect.get(given, 'reason');
  return {
    code: code === undefined ? null : enforcedUnsignedShort(code),
    reason: reason === undefined ? '' : usvString(reason),
  };
}

/**
 * WHATWG WebSockets, "validate close code and reason".
 * @param code null for none
 * @throws {DOMException} InvalidAccessError for the code, SyntaxError for the reason
 */
export function checkCloseArguments(code: number | null, reason: string): void {
  // 1. If code is not null, but is neither an integer equal to 1000 nor an integer in the range 3000 to
  //    4999, inclusive, throw an "InvalidAccessError" DOMException.
  if (code !== null && code !== 1000 && !(Number.isInteger(code) && code >= 3000 && code <= 4999)) {
    throw new DOMException(
      `a close code is 1000 or from 3000 to 4999, not ${code}`,
      'InvalidAccessError',
    );
  }
  // 2. If reason is not null, then:
  // 2.1. Let reasonBytes be the result of UTF-8 encoding reason.
  // 2.2. If reasonBytes is longer than 123 bytes, then throw a "SyntaxError" DOMException.
  // No character takes less than a byte, so that none longer than this needs to be encoded.
  if (reason.length > MAX_REASON || new TextEncoder().encode(reason).length > MAX_REASON) {
    throw new DOMException(`a close reason is at most ${MAX_REASON} bytes of UTF-8`, 'SyntaxError');
  }
}
