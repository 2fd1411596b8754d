import { AsyncResource } from 'node:async_hooks';
import { constants, createDeflateRaw, type DeflateRaw } from 'node:zlib';
import type { DeflateParameters } from '../../protocol/extensions/compression.ts';
import { type Job, jobs } from './job-queue.ts';
import { CHUNK } from './kept-context.ts';
import { SYNC_TAIL } from './payload-end.ts';
import { parametersKey } from './shared-deflaters.ts';
import { storeBlocks, storedLength } from './stored-blocks.ts';

/**
 * Messages longer than this are better compressed on another thread. At level 1, 64 KiB of JSON cost the
 * calling thread 110 us (430 us at level 6), the way through another thread 40 us, and both together 210 us.
 */
export const DEFLATE_LATER_ABOVE = 65_536;

/**
 * Streams without work, by their parameters. A stream takes up to 330 KiB and 50 to 100 us to make; of each
 * kind there are at most as many as jobs run at once, so all that peers ask for take at most 5 MiB.
 */
const idle: Map<string, DeflateRaw[]> = new Map();

const always = (): boolean => true;

/** One message compressed by itself on another thread, by a public stream. */
export class DeflateJob implements Job {
  readonly isWanted: () => boolean;
  readonly #parameters: DeflateParameters;
  readonly #bytes: Uint8Array;
  readonly #done: (compressed: Uint8Array) => void;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #stream: DeflateRaw | undefined;

  constructor(
    parameters: DeflateParameters,
    bytes: Uint8Array,
    done: (compressed: Uint8Array) => void,
    isWanted: () => boolean = always,
  ) {
    this.#parameters = parameters;
    this.#bytes = bytes;
    // A stream calls from where it was made, which may be another connection's context.
    this.#done = AsyncResource.bind(done);
    this.isWanted = isWanted;
    jobs.add(this);
  }

  start(): void {
    const { windowBits, level, memLevel } = this.#parameters;
    const stream =
      idle.get(parametersKey(this.#parameters))?.pop() ??
      createDeflateRaw({
        windowBits,
        level,
        memLevel,
        chunkSize: CHUNK,
        flush: constants.Z_SYNC_FLUSH,
      });
    this.#stream = stream;
    stream.on('data', this.#onData).on('error', this.#onError);
    stream.write(this.#bytes, this.#onWritten);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
  };

  readonly #onError = (): void => {
    this.#release()?.destroy();
    const stored = Buffer.allocUnsafeSlow(storedLength(this.#bytes.length));
    storeBlocks(this.#bytes, 0, this.#bytes.length, stored);
    jobs.ended();
    this.#done(stored);
  };

  readonly #onWritten = (): void => {
    const stream = this.#release();
    if (stream === undefined) return;
    stream.reset();
    const key = parametersKey(this.#parameters);
    const others = idle.get(key);
    if (others === undefined) idle.set(key, [stream]);
    else others.push(stream);
    jobs.ended();
    // RFC 7692 7.2.1: without the last four bytes.
    this.#done(Buffer.concat(this.#chunks, this.#length - SYNC_TAIL.length));
  };

  #release(): DeflateRaw | undefined {
    const stream = this.#stream;
    stream?.off('data', this.#onData).off('error', this.#onError);
    this.#stream = undefined;
    return stream;
  }
}
