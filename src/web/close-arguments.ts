/** A close frame's payload is at most 125 bytes, two of them the code (RFC 6455 5.5). */
const MAX_REASON = 123;

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
