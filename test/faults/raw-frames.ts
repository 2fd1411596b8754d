/** Frames by hand, for tests: nothing of it comes from the library under test. */
import assert from 'node:assert/strict';

/** The mask that stands for `m` in `hex`. */
const MASK = [0x37, 0xfa, 0x21, 0x3d] as const;

export const TEXT = 0x81;
export const BINARY = 0x82;
export const CLOSE = 0x88;
export const PING = 0x89;
export const PONG = 0x8a;
/** The same with FIN clear, and what continues a message. */
export const TEXT_BEGUN = 0x01;
export const BINARY_BEGUN = 0x02;
export const CONTINUED = 0x00;
export const FINISHED = 0x80;

/** Bytes from hex digits; `m` stands for the four bytes of the mask, whitespace for nothing. */
export function hex(text: string): Buffer {
  const digits = text.replaceAll('m', '37fa213d').replaceAll(/\s+/g, '');
  assert.match(digits, /^([0-9a-f]{2})*$/, `not hex: ${text}`);
  return Buffer.from(digits, 'hex');
}

/** The payload as it stands behind the mask. */
export function masked(payload: string | Uint8Array): Buffer {
  const bytes = Buffer.from(payload);
  return bytes.map((byte, at) => byte ^ (MASK[at % 4] as number)) as Buffer;
}

function lengthField(length: number, maskBit: number): Buffer {
  if (length < 126) return Buffer.of(maskBit | length);
  if (length < 65_536) return Buffer.of(maskBit | 126, length >> 8, length & 0xff);
  const field = Buffer.alloc(9);
  field[0] = maskBit | 127;
  field.writeBigUInt64BE(BigInt(length), 1);
  return field;
}

/** A frame as a client sends it. `first`: FIN, reserved bits and opcode. */
export function clientFrame(first: number, payload: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([
    Buffer.of(first),
    lengthField(bytes.length, 0x80),
    Buffer.from(MASK),
    masked(bytes),
  ]);
}

/** A frame as a server sends it. */
export function serverFrame(first: number, payload: string | Uint8Array = ''): Buffer {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.of(first), lengthField(bytes.length, 0), bytes]);
}

/** The payload of a close frame. */
export function closePayload(code: number, reason: string | Uint8Array = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

export interface RawFrame {
  /** FIN, reserved bits and opcode. */
  readonly first: number;
  readonly isMasked: boolean;
  /** Unmasked. */
  readonly payload: Buffer;
  /** Bytes of the whole frame. */
  readonly size: number;
}

/** The frame at the beginning of `bytes`; undefined where it is not all there. */
export function readFrame(bytes: Buffer): RawFrame | undefined {
  if (bytes.length < 2) return undefined;
  const first = bytes.readUInt8(0);
  const second = bytes.readUInt8(1);
  const isMasked = second >= 0x80;
  let length = second % 0x80;
  let at = 2;
  if (length === 126) {
    if (bytes.length < 4) return undefined;
    length = bytes.readUInt16BE(2);
    at = 4;
  } else if (length === 127) {
    if (bytes.length < 10) return undefined;
    length = Number(bytes.readBigUInt64BE(2));
    at = 10;
  }
  const mask = bytes.subarray(at, at + 4);
  if (isMasked) at += 4;
  const size = at + length;
  if (bytes.length < size) return undefined;
  const payload = Buffer.from(bytes.subarray(at, size));
  // Some have 16 MiB, and the methods of Buffer take seconds for that.
  for (let i = 0; isMasked && i < length; i++) payload[i] = (payload[i] ?? 0) ^ (mask[i % 4] ?? 0);
  return { first, isMasked, payload, size };
}

/** The code in a close frame's payload; undefined where it has none. */
export function closeCodeOf(payload: Buffer): number | undefined {
  return payload.length < 2 ? undefined : payload.readUInt16BE(0);
}
