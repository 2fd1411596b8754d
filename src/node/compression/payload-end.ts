/** RFC 7692 7.2.2: what the sender has left out at the end of each payload. */
export const SYNC_TAIL: Uint8Array = Uint8Array.of(0x00, 0x00, 0xff, 0xff);

/**
 * The same, then an empty final block, then a byte that must be left over. So it shows whether the payload
 * was cut off; not for contexts whose history is needed, since the stream ends there.
 */
export const CLOSING_TAIL: Uint8Array = Uint8Array.of(0x00, 0x00, 0xff, 0xff, 0x03, 0x00, 0x00);

/**
 * Whether a payload was whole, when zlib has taken the first `used` bytes of a tail behind it (which must not
 * have brought any output).
 */
export function isWhole(used: number): boolean {
  return (
    // RFC 7692 7.2.3.4: it ended with a final block.
    used === 0 ||
    // It ended with an empty block whose last four bytes were left out; it may have been a final one.
    used === SYNC_TAIL.length ||
    // So did it, and the stream was closed behind it.
    used === CLOSING_TAIL.length - 1
  );
}

/**
 * How many final blocks a payload of that length may have before its end. Each makes zlib start anew, which
 * costs as much as inflating some hundred bytes; no sender needs one more often than each KiB.
 */
export function endsAllowed(length: number): number {
  return 64 + Math.floor(length / 1_024);
}

/** `maxBytes` as native calls must have it: they end the process where a length is no whole number. */
export function wholeLimit(maxBytes: number): number {
  return maxBytes >= 0 ? Math.floor(maxBytes) : 0;
}
