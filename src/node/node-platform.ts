import { isUtf8 } from 'node:buffer';
import { createHash, randomFillSync } from 'node:crypto';
import type { Platform } from '../protocol/platform.ts';

/** Random bytes are drawn this many at a time: one call of the source serves a thousand masks. */
const MASK_POOL = 4096;
/** Up to here ASCII is told apart by a loop, which is quicker than the call of the native check. */
const SHORT_TEXT = 48;

const masks = new Int32Array(MASK_POOL / 4);
let masksUsed = masks.length;

function asBuffer(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function isShortAscii(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start > SHORT_TEXT) return false;
  for (let at = start; at < end; at++) {
    if ((bytes[at] as number) >= 0x80) return false;
  }
  return true;
}

/** The core's ports on Node. */
export const nodePlatform: Platform = {
  isUtf8,

  decodeUtf8(bytes, start, end) {
    const buffer = asBuffer(bytes);
    if (isShortAscii(buffer, start, end)) return buffer.toString('latin1', start, end);
    return isUtf8(buffer.subarray(start, end)) ? buffer.toString('utf8', start, end) : undefined;
  },

  utf8Length: (text) => Buffer.byteLength(text, 'utf8'),

  encodeUtf8: (text, target, at) => asBuffer(target).write(text, at, 'utf8'),

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

  sha1Base64: (text) => createHash('sha1').update(text, 'latin1').digest('base64'),
};
