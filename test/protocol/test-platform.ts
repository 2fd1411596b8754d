import { isUtf8 } from 'node:buffer';
import { createHash, randomFillSync } from 'node:crypto';
import type { Platform } from '../../dist/protocol/platform.js';
import { UnfinishedData } from '../../dist/protocol/unfinished-data.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The ports of the core, in the plainest way that Node has. */
export const testPlatform: Platform = {
  unfinished: new UnfinishedData(),
  isUtf8,
  decodeUtf8(bytes, start, end) {
    try {
      return decoder.decode(bytes.subarray(start, end));
    } catch {
      return undefined;
    }
  },
  utf8Length: (text) => encoder.encode(text).length,
  encodeUtf8(text, target, at) {
    const bytes = encoder.encode(text);
    target.set(bytes, at);
    return bytes.length;
  },
  allocate: (size) => new Uint8Array(size).fill(0xaa),
  allocateBrief: (size) => new Uint8Array(size).fill(0xaa),
  takeScratch: (size) => new Uint8Array(size + 1).fill(0xaa),
  returnScratch(bytes) {
    // Whoever still reads it reads rubbish.
    bytes.fill(0xdd);
  },
  fillRandom(bytes) {
    randomFillSync(bytes);
  },
  randomMask: () => randomFillSync(new Int32Array(1))[0] ?? 0,
  clock: () => performance.now(),
  sha1Base64: (text) => createHash('sha1').update(text).digest('base64'),
};
