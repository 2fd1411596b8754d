import { FIN, LENGTH_16, LENGTH_64, MASKED, MAX_CONTROL_PAYLOAD } from './frame-rules.ts';

/** How many bytes the header of a frame takes, without a mask. */
export function headerSize(payloadLength: number): number {
  if (payloadLength <= MAX_CONTROL_PAYLOAD) return 2;
  return payloadLength < 0x1_0000 ? 4 : 10;
}

/**
 * Writes the header of an unfragmented frame at `at`, up to the mask; returns where it ends.
 * RFC 6455 5.2: the length is written in its shortest form.
 */
export function writeHeader(
  target: Uint8Array,
  at: number,
  opcode: number,
  length: number,
  masked: boolean,
): number {
  const mask = masked ? MASKED : 0;
  target[at] = FIN | opcode;
  if (length <= MAX_CONTROL_PAYLOAD) {
    target[at + 1] = mask | length;
    return at + 2;
  }
  if (length < 0x1_0000) {
    target[at + 1] = mask | LENGTH_16;
    target[at + 2] = length >>> 8;
    target[at + 3] = length;
    return at + 4;
  }
  const upper = Math.floor(length / 0x1_0000_0000);
  target[at + 1] = mask | LENGTH_64;
  target[at + 2] = upper >>> 24;
  target[at + 3] = upper >>> 16;
  target[at + 4] = upper >>> 8;
  target[at + 5] = upper;
  target[at + 6] = length >>> 24;
  target[at + 7] = length >>> 16;
  target[at + 8] = length >>> 8;
  target[at + 9] = length;
  return at + 10;
}

/** Writes the four bytes of a mask at `at`; returns where they end. */
export function writeMask(target: Uint8Array, at: number, mask: number): number {
  target[at] = mask;
  target[at + 1] = mask >>> 8;
  target[at + 2] = mask >>> 16;
  target[at + 3] = mask >>> 24;
  return at + 4;
}
