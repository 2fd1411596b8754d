import { randomBytes } from 'node:crypto';

/** Masked text frames of one message each, as a client sends them, that make up at least so many bytes. */
export function clientFrames(
  size: number,
  leastBytes: number,
): { readonly bytes: Buffer; readonly count: number } {
  const frames: Buffer[] = [];
  let length = 0;
  while (length < leastBytes) {
    const frame = clientFrame(Buffer.alloc(size, 'aperto '));
    frames.push(frame);
    length += frame.length;
  }
  return { bytes: Buffer.concat(frames), count: frames.length };
}

function clientFrame(payload: Buffer): Buffer {
  const { length } = payload;
  const mask = randomBytes(4);
  const masked = payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0));
  return Buffer.concat([Buffer.from([0x81]), lengthField(length, 0x80), mask, masked]);
}

/** Bytes of an unmasked frame with such a payload. */
export function serverFrameBytes(size: number): number {
  return 1 + lengthField(size, 0).length + size;
}

function lengthField(length: number, maskBit: number): Buffer {
  if (length < 126) return Buffer.from([maskBit | length]);
  if (length < 65_536) return Buffer.from([maskBit | 126, length >> 8, length & 0xff]);
  const field = Buffer.alloc(9);
  field[0] = maskBit | 127;
  field.writeBigUInt64BE(BigInt(length), 1);
  return field;
}
