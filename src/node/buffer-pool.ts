/**
 * Buffers for outgoing frames in two sizes, used again and again. They are nobody's while they lie here,
 * so that an idle connection holds none.
 */
export const SMALL_BUFFER: number = 4 * 1024;
/** A message of 64 KiB fits with its header. */
export const LARGE_BUFFER: number = 64 * 1024 + 256;

/** What is kept of each size: at most 4 MiB of large ones. */
const KEPT = 64;

const small: Buffer[] = [];
const large: Buffer[] = [];

/** A buffer of at least `size` bytes with whatever is in it. */
export function takeBuffer(size: number): Buffer {
  if (size <= SMALL_BUFFER) return small.pop() ?? Buffer.allocUnsafeSlow(SMALL_BUFFER);
  if (size <= LARGE_BUFFER) return large.pop() ?? Buffer.allocUnsafeSlow(LARGE_BUFFER);
  return Buffer.allocUnsafeSlow(size);
}

/** Gives a buffer back; nobody may still read or write it. */
export function returnBuffer(buffer: Buffer): void {
  if (buffer.length === SMALL_BUFFER && small.length < KEPT) small.push(buffer);
  else if (buffer.length === LARGE_BUFFER && large.length < KEPT) large.push(buffer);
}
