import { isAscii, isUtf8 } from 'node:buffer';
import { hash, randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Platform } from '../protocol/platform.ts';
import { UnfinishedData } from '../protocol/unfinished-data.ts';
import { LARGE_BUFFER, returnBuffer, takeBuffer } from './buffer-pool.ts';

/** Up to this size, what is soon forgotten is cut from Node's pool. */
const BRIEF = 1024;

/** Random bytes are drawn this many at a time: one call of the source serves a thousand masks. */
const MASK_POOL = 4096;
// Up to these lengths a loop over ASCII is quicker than a call of the native method.
const SHORT_TO_CHECK = 64;
const SHORT_TO_ENCODE = 24;

const masks = new Int32Array(MASK_POOL / 4);
let masksUsed = masks.length;

/**
 * What a buffer's `toString` and `write` end in. Called directly it saves a tenth of what a short message
 * costs; it is not documented, so it is looked for.
 */
interface DirectMethods {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
  latin1Write(this: Uint8Array, text: string, at: number): number;
  utf8Write(this: Uint8Array, text: string, at: number): number;
}

function hasDirectMethods(prototype: object): prototype is DirectMethods {
  return ['latin1Slice', 'latin1Write', 'utf8Write'].every(
    (name) => typeof Reflect.get(prototype, name) === 'function',
  );
}

const documented: DirectMethods = {
  latin1Slice(start, end) {
    return asBuffer(this).toString('latin1', start, end);
  },
  latin1Write(text, at) {
    return asBuffer(this).write(text, at, 'latin1');
  },
  utf8Write(text, at) {
    return asBuffer(this).write(text, at, 'utf8');
  },
};

const { latin1Slice, latin1Write, utf8Write } = hasDirectMethods(Buffer.prototype)
  ? Buffer.prototype
  : documented;

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isShortAscii(bytes: Uint8Array, start: number, end: number): boolean {
  let bits = 0;
  let at = start;
  for (const unrolled = end - 3; at < unrolled; at += 4) {
    bits |= byte(bytes, at) | byte(bytes, at + 1) | byte(bytes, at + 2) | byte(bytes, at + 3);
  }
  for (; at < end; at++) bits |= byte(bytes, at);
  return bits < 0x80;
}

/** False where the text is not ASCII; then what was written means nothing. */
function writeShortAscii(text: string, target: Uint8Array, at: number): boolean {
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bits |= unit;
    target[at + i] = unit;
  }
  return bits < 0x80;
}

/** Within bounds. */
function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** The core's ports on Node. */
export const nodePlatform: Platform = {
  unfinished: new UnfinishedData(),

  isUtf8,

  decodeUtf8(bytes, start, end) {
    // Most text is ASCII, which is found out and decoded in less time than UTF-8.
    if (end - start <= SHORT_TO_CHECK && isShortAscii(bytes, start, end)) {
      return latin1Slice.call(bytes, start, end);
    }
    const piece = asBuffer(bytes).subarray(start, end);
    if (isAscii(piece)) return latin1Slice.call(piece, 0, piece.length);
    return isUtf8(piece) ? piece.toString('utf8') : undefined;
  },

  utf8Length: (text) => Buffer.byteLength(text, 'utf8'),

  encodeUtf8(text, target, at, length) {
    // As many bytes as units: it is ASCII.
    if (length === text.length) return latin1Write.call(target, text, at);
    if (text.length <= SHORT_TO_ENCODE && writeShortAscii(text, target, at)) return text.length;
    return utf8Write.call(target, text, at);
  },

  allocate: (size) => Buffer.allocUnsafeSlow(size),

  // Node's pool gives several times as fast as the allocator; whoever keeps a slice keeps 8 KiB.
  allocateBrief: (size) =>
    size <= BRIEF ? Buffer.allocUnsafe(size) : Buffer.allocUnsafeSlow(size),

  // From the pool only where that is not much more than was asked for.
  takeScratch: (size) =>
    size > LARGE_BUFFER / 2 ? takeBuffer(size) : Buffer.allocUnsafeSlow(size),

  returnScratch(bytes) {
    if (bytes instanceof Buffer) returnBuffer(bytes);
  },

  fillRandom(bytes) {
    randomFillSync(bytes);
  },

  randomMask() {
    if (masksUsed === masks.length) {
      randomFillSync(masks);
      masksUsed = 0;
    }
    return masks[masksUsed++] as number;
  },

  clock: () => performance.now(),

  sha1Base64: (text) => hash('sha1', text, 'base64'),
};
