import type { Platform } from '../platform.ts';

/**
 * Checks UTF-8 that comes in pieces (RFC 6455 8.1), so that a wrong byte fails where it stands and not at
 * the end of the message. The bulk of a piece goes to the platform's own check; only a sequence that a
 * piece cuts off is followed byte by byte (RFC 3629 4).
 */
export class Utf8Validator {
  readonly #platform: Platform;
  /** Bytes that the sequence begun still needs, and the bounds of the next one. */
  #needed = 0;
  #low = 0x80;
  #high = 0xbf;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Whether the text may end here. */
  get complete(): boolean {
    return this.#needed === 0;
  }

  /** Takes `bytes[start, end)`; false where text up to there cannot be valid. */
  push(bytes: Uint8Array, start: number, end: number): boolean {
    const body = this.#continue(bytes, start, end);
    if (body < 0) return false;
    const tail = cutOffAt(bytes, body, end);
    if (tail > body && !this.#platform.isUtf8(bytes.subarray(body, tail))) return false;
    if (tail === end) return true;
    this.#begin(bytes[tail]);
    return this.#continue(bytes, tail + 1, end) === end;
  }

  /** Follows the sequence that has begun; returns where it or the piece ends, -1 at a wrong byte. */
  #continue(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (; this.#needed > 0 && at < end; at++) {
      const byte = bytes[at];
      if (byte < this.#low || byte > this.#high) return -1;
      this.#needed--;
      this.#low = 0x80;
      this.#high = 0xbf;
    }
    return at;
  }

  #begin(lead: number): void {
    this.#needed = sequenceLength(lead) - 1;
    // RFC 3629 4: no overlong forms, no surrogates, nothing above U+10FFFF.
    if (lead === 0xe0) this.#low = 0xa0;
    else if (lead === 0xed) this.#high = 0x9f;
    else if (lead === 0xf0) this.#low = 0x90;
    else if (lead === 0xf4) this.#high = 0x8f;
  }
}

/** How many bytes a sequence has that begins with `lead`, which is c2 to f4 (RFC 3629 4). */
function sequenceLength(lead: number): number {
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/**
 * Where in `bytes[start, end)` a sequence begins that `end` cuts off; `end` where none does. A byte that
 * can begin no sequence is left for the check of the whole to refuse.
 */
function cutOffAt(bytes: Uint8Array, start: number, end: number): number {
  const from = Math.max(start, end - 3);
  for (let at = end - 1; at >= from; at--) {
    const byte = bytes[at];
    if (byte < 0x80) return end;
    if (byte < 0xc0) continue;
    const begins = byte >= 0xc2 && byte <= 0xf4 && at + sequenceLength(byte) > end;
    return begins ? at : end;
  }
  return end;
}
