import { randomBytes } from 'node:crypto';
import { constants, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib';
import { keptCompression } from '../../../dist/node/compression/kept-compression.js';
import { publicCompression } from '../../../dist/node/compression/public-compression.js';
import type {
  CORRUPT,
  Compression,
  DeflateParameters,
  Deflater,
  Inflater,
  TOO_LONG,
} from '../../../dist/protocol/extensions/compression.js';

/** Both ways to compress: each test of what they have in common runs over both. */
export const BOTH: readonly (readonly [name: string, compression: Compression])[] = [
  ['kept contexts', keptCompression],
  ['public calls', publicCompression],
];

export const USUAL: DeflateParameters = { windowBits: 15, level: 1, memLevel: 8 };
export const MANY = 64 * 1024 * 1024;
export const TAIL: Buffer = Buffer.from([0x00, 0x00, 0xff, 0xff]);

export function json(length: number, from = 0): Buffer {
  let text = '[';
  for (let id = from; text.length < length; id++) {
    text += JSON.stringify({ id, user: `user${(id * 7919) % 1000}`, text: `message number ${id}` });
  }
  return Buffer.from(text.slice(0, length));
}

export const SAMPLES: readonly (readonly [name: string, bytes: Buffer])[] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('a')],
  ['JSON', json(512)],
  ['random bytes', randomBytes(1_000)],
  ['zeros', Buffer.alloc(5_000)],
  ['64 KiB of JSON', json(65_536)],
  ['64 KiB of random bytes', randomBytes(65_536)],
];

/** A copy, between other bytes, as messages lie in what was read. */
function amid(bytes: Uint8Array): { chunk: Buffer; start: number; end: number } {
  const chunk = Buffer.concat([Buffer.alloc(7, 0xaa), bytes, Buffer.alloc(9, 0xbb)]);
  return { chunk, start: 7, end: 7 + bytes.length };
}

export function deflate(deflater: Deflater, bytes: Uint8Array, fresh: boolean): Buffer {
  const { chunk, start, end } = amid(bytes);
  const length = deflater.deflate(chunk, start, end, fresh);
  return Buffer.from(deflater.output.subarray(0, length));
}

type Inflated = Buffer | typeof CORRUPT | typeof TOO_LONG;

export function inflate(inflater: Inflater, payload: Uint8Array, maxBytes = MANY): Inflated {
  const { chunk, start, end } = amid(payload);
  const length = inflater.inflate(chunk, start, end, maxBytes);
  if (length === -1 || length === -2) return length;
  return Buffer.from(inflater.output.subarray(0, length));
}

export function deflateLater(deflater: Deflater, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve) => {
    deflater.deflateLater(bytes, (compressed) => resolve(Buffer.from(compressed)));
  });
}

export function inflateLater(
  inflater: Inflater,
  payload: Uint8Array,
  maxBytes = MANY,
): Promise<Inflated> {
  return new Promise((resolve) => {
    inflater.inflateLater(payload, maxBytes, (inflated) => {
      resolve(typeof inflated === 'number' ? inflated : Buffer.from(inflated));
    });
  });
}

const FLUSH: ZlibOptions = { finishFlush: constants.Z_SYNC_FLUSH };

/** The payload of a message as zlib itself makes it. */
export function payloadOf(bytes: Uint8Array, options?: ZlibOptions): Buffer {
  return deflateRawSync(bytes, { ...options, ...FLUSH }).subarray(0, -TAIL.length);
}

/** What payloads, one after the other, are to zlib itself. */
export function textOf(...payloads: readonly Uint8Array[]): Buffer {
  return inflateRawSync(Buffer.concat(payloads.flatMap((payload) => [payload, TAIL])), FLUSH);
}

/** Numbers from 0 to 1 that look random, the same in each run. */
export function pseudoRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
