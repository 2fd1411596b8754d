/**
 * A naive codec for RFC 6455, written a second time from the RFC and sharing nothing with src/protocol.
 * It is the oracle of the tests: slow, whole at once, and simple enough to be seen to be right.
 */

/** One frame. What is left out is what a well-behaved sender would put there. */
export interface FrameFields {
  readonly fin?: boolean;
  /** RSV1 to RSV3 as a number of three bits. */
  readonly reserved?: number;
  readonly opcode: number;
  /** Four bytes; absent for a frame without a mask. */
  readonly mask?: readonly number[] | undefined;
  readonly payload?: Uint8Array | readonly number[];
  /** Bits of the length field, in place of the shortest form. */
  readonly lengthBits?: 7 | 16 | 64;
  /** The length that is announced, in place of the payload's. */
  readonly announced?: bigint | number;
}

/** A frame as it stood on the wire, its payload unmasked. */
export interface DecodedFrame {
  readonly fin: boolean;
  readonly reserved: number;
  readonly opcode: number;
  readonly mask: readonly number[] | undefined;
  readonly lengthBits: 7 | 16 | 64;
  readonly payload: Uint8Array;
}

export function concatBytes(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const all: number[][] = parts.map((part) => [...part]);
  return Uint8Array.from(all.flat());
}

/** RFC 6455 5.3, byte by byte. */
export function maskBytewise(payload: Uint8Array, mask: readonly number[]): Uint8Array {
  const result = new Uint8Array(payload.length);
  for (let i = 0; i < payload.length; i++) {
    result[i] = (payload[i] as number) ^ (mask[i % 4] as number);
  }
  return result;
}

function shortestLengthBits(length: bigint): 7 | 16 | 64 {
  if (length <= 125n) return 7;
  return length <= 65535n ? 16 : 64;
}

/** RFC 6455 5.2. Encodes what it is told, right or wrong. */
export function encodeFrame(fields: FrameFields): Uint8Array {
  const payload = Uint8Array.from(fields.payload ?? []);
  const length = BigInt(fields.announced ?? payload.length);
  const lengthBits = fields.lengthBits ?? shortestLengthBits(length);
  const maskBit = fields.mask === undefined ? 0 : 128;
  const header = [
    (fields.fin === false ? 0 : 128) + (fields.reserved ?? 0) * 16 + fields.opcode,
    maskBit + (lengthBits === 7 ? Number(length) : lengthBits === 16 ? 126 : 127),
  ];
  const lengthBytes = lengthBits === 7 ? 0 : lengthBits / 8;
  for (let i = lengthBytes - 1; i >= 0; i--) header.push(Number((length >> BigInt(8 * i)) & 255n));
  const result = new Uint8Array(header.length + (fields.mask?.length ?? 0) + payload.length);
  result.set(header, 0);
  result.set(fields.mask ?? [], header.length);
  const sent = fields.mask === undefined ? payload : maskBytewise(payload, fields.mask);
  result.set(sent, result.length - payload.length);
  return result;
}

/** Cuts a stream into its frames; `rest` is what stands behind the last whole one. Judges nothing. */
export function decodeFrames(stream: Uint8Array): { frames: DecodedFrame[]; rest: Uint8Array } {
  const frames: DecodedFrame[] = [];
  let rest = stream;
  for (;;) {
    const decoded = decodeOne(rest);
    if (decoded === undefined) return { frames, rest };
    frames.push(decoded.frame);
    rest = rest.slice(decoded.size);
  }
}

function decodeOne(bytes: Uint8Array): { frame: DecodedFrame; size: number } | undefined {
  const [first, second] = bytes;
  if (first === undefined || second === undefined) return undefined;
  const lengthField = second % 128;
  const lengthBits = lengthField === 126 ? 16 : lengthField === 127 ? 64 : 7;
  const lengthBytes = lengthBits === 7 ? 0 : lengthBits / 8;
  const maskSize = second >= 128 ? 4 : 0;
  const headerSize = 2 + lengthBytes + maskSize;
  if (bytes.length < headerSize) return undefined;
  let length = lengthBits === 7 ? BigInt(lengthField) : 0n;
  for (const byte of bytes.slice(2, 2 + lengthBytes)) length = length * 256n + BigInt(byte);
  const size = BigInt(headerSize) + length;
  if (BigInt(bytes.length) < size) return undefined;
  const mask = maskSize === 0 ? undefined : [...bytes.slice(2 + lengthBytes, headerSize)];
  const sent = bytes.slice(headerSize, Number(size));
  const frame: DecodedFrame = {
    fin: first >= 128,
    reserved: Math.floor(first / 16) % 8,
    opcode: first % 16,
    mask,
    lengthBits,
    payload: mask === undefined ? sent : maskBytewise(sent, mask),
  };
  return { frame, size: Number(size) };
}

// --- UTF-8, RFC 3629

/** The well-formed sequences of RFC 3629 4: the bounds of each byte. */
const UTF8_SEQUENCES: readonly (readonly (readonly [number, number])[])[] = [
  [[0x00, 0x7f]],
  [
    [0xc2, 0xdf],
    [0x80, 0xbf],
  ],
  [
    [0xe0, 0xe0],
    [0xa0, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xe1, 0xec],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xed, 0xed],
    [0x80, 0x9f],
    [0x80, 0xbf],
  ],
  [
    [0xee, 0xef],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf0, 0xf0],
    [0x90, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf1, 0xf3],
    [0x80, 0xbf],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
  [
    [0xf4, 0xf4],
    [0x80, 0x8f],
    [0x80, 0xbf],
    [0x80, 0xbf],
  ],
];

/** The bits of a byte that belong to the code point, by the number of bytes in the sequence. */
const LEAD_BITS = [0x7f, 0x1f, 0x0f, 0x07];

/**
 * The text, 'unfinished' where the bytes may become well-formed with more of them, 'malformed' where
 * nothing can mend them any more.
 */
export function decodeUtf8(
  bytes: Uint8Array,
): { readonly text: string } | 'unfinished' | 'malformed' {
  let text = '';
  let at = 0;
  while (at < bytes.length) {
    const rest = [...bytes.slice(at, at + 4)];
    const fits = (sequence: (typeof UTF8_SEQUENCES)[number]): boolean =>
      sequence.every(([low, high], i) => {
        const byte = rest[i];
        return byte === undefined || (byte >= low && byte <= high);
      });
    const sequence = UTF8_SEQUENCES.find(fits);
    if (sequence === undefined) return 'malformed';
    if (rest.length < sequence.length) return 'unfinished';
    let codePoint = (rest[0] as number) & (LEAD_BITS[sequence.length - 1] as number);
    for (const byte of rest.slice(1, sequence.length)) codePoint = codePoint * 64 + (byte & 0x3f);
    text += String.fromCodePoint(codePoint);
    at += sequence.length;
  }
  return { text };
}

/** UTF-8 of a text; an unpaired surrogate becomes U+FFFD, as the Encoding Standard has it. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const found = character.codePointAt(0) as number;
    const point = found >= 0xd800 && found <= 0xdfff ? 0xfffd : found;
    const tail = (shift: number): number => 0x80 | ((point >> shift) & 0x3f);
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), tail(0));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), tail(6), tail(0));
    else bytes.push(0xf0 | (point >> 18), tail(12), tail(6), tail(0));
  }
  return Uint8Array.from(bytes);
}
