import { syncBuiltinESMExports } from 'node:module';
import type { TestContext } from 'node:test';
import zlib, { type DeflateRaw, type InflateRaw } from 'node:zlib';

type Stream = DeflateRaw | InflateRaw;

/**
 * All streams that are made from now on until the test ends; `change` may alter one before it is used.
 */
export function trackStreams(t: TestContext, change?: (stream: Stream) => void): readonly Stream[] {
  const streams: Stream[] = [];
  for (const name of ['createDeflateRaw', 'createInflateRaw'] as const) {
    const create = zlib[name];
    const original = Object.getOwnPropertyDescriptor(zlib, name);
    if (original === undefined) throw new Error(`zlib has no ${name}`);
    Object.defineProperty(zlib, name, {
      ...original,
      value: (...args: Parameters<typeof create>): Stream => {
        const stream = create(...args);
        change?.(stream);
        streams.push(stream);
        return stream;
      },
    });
    t.after(() => {
      Object.defineProperty(zlib, name, original);
      syncBuiltinESMExports();
    });
  }
  syncBuiltinESMExports();
  return streams;
}
