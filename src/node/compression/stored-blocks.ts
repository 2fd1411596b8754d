/** RFC 1951 3.2.4 */
const MAX_STORED = 65_535;

/** How long `storeBlocks` makes that many bytes. */
export function storedLength(length: number): number {
  return length + 5 * Math.ceil(length / MAX_STORED) + 1;
}

/**
 * Writes `bytes[start, end)` uncompressed, as RFC 7692 7.2.3.3 has it; returns how long that is. For when
 * zlib gets no memory: `send` has no error for that, and the peer must get what was sent.
 */
export function storeBlocks(
  bytes: Uint8Array,
  start: number,
  end: number,
  output: Uint8Array,
): number {
  let at = 0;
  for (let from = start; from < end; from += MAX_STORED) {
    const length = Math.min(MAX_STORED, end - from);
    output[at] = 0;
    output[at + 1] = length & 0xff;
    output[at + 2] = length >> 8;
    output[at + 3] = ~length & 0xff;
    output[at + 4] = (~length >> 8) & 0xff;
    output.set(bytes.subarray(from, from + length), at + 5);
    at += 5 + length;
  }
  // The header of the empty block, of which four bytes are left out.
  output[at] = 0;
  return at + 1;
}
