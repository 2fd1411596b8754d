/**
 * Masking (RFC 6455 5.3): byte i of the payload is XORed with byte i mod 4 of the mask. The same
 * operation masks and unmasks. A mask is an int32 whose lowest byte is the mask's first on the wire.
 */

/** From here on the set-up of the word loop pays for itself. */
const WORDS_FROM = 96;

// Lets the mask, twice, be read as a word of whatever byte order the machine has.
const scratchBytes = new Uint8Array(8);
const scratchWord = new BigUint64Array(scratchBytes.buffer);

/** The mask as it stands after `count` bytes. */
export function rotateMask(mask: number, count: number): number {
  const bits = (count & 3) * 8;
  return bits === 0 ? mask : (mask >>> bits) | (mask << (32 - bits));
}

/** XORs `bytes[start, end)` in place; byte `start` meets the mask's first byte. */
export function applyMask(bytes: Uint8Array, start: number, end: number, mask: number): void {
  let at = start;
  let turned = mask;
  if (end - start >= WORDS_FROM) {
    while (((bytes.byteOffset + at) & 7) !== 0) {
      bytes[at++] ^= turned;
      turned = rotateMask(turned, 1);
    }
    at = maskWords(bytes, at, end, turned);
  }
  maskBytes(bytes, at, end, turned);
}

/**
 * Masks as many whole words as fit, from an aligned position; returns where they end. The compiler makes
 * machine words of these: nearly twice as fast as words of 32 bits.
 */
function maskWords(bytes: Uint8Array, at: number, end: number, mask: number): number {
  for (let i = 0; i < 8; i++) scratchBytes[i] = mask >>> ((i & 3) * 8);
  const word = scratchWord[0];
  const count = (end - at) >>> 3;
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset + at, count);
  const unrolled = count & ~3;
  let i = 0;
  for (; i < unrolled; i += 4) {
    words[i] ^= word;
    words[i + 1] ^= word;
    words[i + 2] ^= word;
    words[i + 3] ^= word;
  }
  for (; i < count; i++) words[i] ^= word;
  return at + count * 8;
}

function maskBytes(bytes: Uint8Array, start: number, end: number, mask: number): void {
  const m0 = mask & 0xff;
  const m1 = (mask >>> 8) & 0xff;
  const m2 = (mask >>> 16) & 0xff;
  const m3 = mask >>> 24;
  let at = start;
  for (const unrolled = end - 3; at < unrolled; at += 4) {
    bytes[at] ^= m0;
    bytes[at + 1] ^= m1;
    bytes[at + 2] ^= m2;
    bytes[at + 3] ^= m3;
  }
  if (at < end) bytes[at++] ^= m0;
  if (at < end) bytes[at++] ^= m1;
  if (at < end) bytes[at] ^= m2;
}
