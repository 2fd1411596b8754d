import { createDeflateRaw, type InflateRaw } from 'node:zlib';
import {
  CORRUPT,
  type Compression,
  type DeflateParameters,
  type Deflater,
  type Inflater,
  TOO_LONG,
} from '../../protocol/extensions/compression.ts';
import { maxCompressedBytes } from '../../protocol/limits.ts';
import { DEFLATE_LATER_ABOVE, DeflateJob } from './deflate-job.ts';
import {
  INFLATE_LATER_ABOVE,
  type InflateContext,
  type Inflated,
  InflateJob,
  singleMessages,
} from './inflate-job.ts';
import { CHUNK, KeptContext, MAX_WINDOW_BITS, openInflater } from './kept-context.ts';
import { CLOSING_TAIL, endsAllowed, isWhole, SYNC_TAIL, wholeLimit } from './payload-end.ts';
import { oneForEach } from './shared-deflaters.ts';
import { SharedOutput } from './shared-output.ts';
import { storeBlocks, storedLength } from './stored-blocks.ts';

const deflated: SharedOutput = new SharedOutput();
const inflated: SharedOutput = new SharedOutput();

class KeptDeflater implements Deflater {
  readonly laterAbove: number = DEFLATE_LATER_ABOVE;
  readonly #parameters: DeflateParameters;
  #context: KeptContext | undefined;
  /** Whether the receiver's history is no longer the one of the context. */
  #diverged = false;

  constructor(parameters: DeflateParameters) {
    const { windowBits, level, memLevel } = parameters;
    this.#parameters = parameters;
    this.#context = new KeptContext(
      createDeflateRaw({ windowBits, level, memLevel, chunkSize: CHUNK }),
    );
  }

  get output(): Uint8Array {
    return deflated.buffer;
  }

  deflate(bytes: Uint8Array, start: number, end: number, fresh: boolean): number {
    if (start === end) {
      // RFC 7692 7.2.3.6. zlib puts out nothing where it has nothing to flush.
      deflated.begin()[0] = 0;
      return 1;
    }
    const output = deflated.begin(maxCompressedBytes(end - start));
    const context = this.#context;
    if (context === undefined) return this.#store(bytes, start, end);
    if (fresh || this.#diverged) context.reset();
    this.#diverged = false;
    context.write(bytes, start, end - start, output, 0, output.length);
    if (context.failed || context.inputLeft > 0 || context.roomLeft === 0) {
      return this.#store(bytes, start, end);
    }
    // RFC 7692 7.2.1: without the last four bytes.
    return output.length - context.roomLeft - SYNC_TAIL.length;
  }

  #store(bytes: Uint8Array, start: number, end: number): number {
    this.#diverged = true;
    return storeBlocks(bytes, start, end, deflated.begin(storedLength(end - start)));
  }

  deflateLater(
    bytes: Uint8Array,
    done: (compressed: Uint8Array) => void,
    isWanted?: () => boolean,
  ): void {
    // The receiver's history grows by it: distances to what was before are no longer what the context counts.
    this.#diverged = true;
    new DeflateJob(this.#parameters, bytes, done, isWanted);
  }

  close(): void {
    this.#context?.destroy();
    this.#context = undefined;
  }
}

/** Inflates by a kept context; returns as `Inflater.inflate`. */
function inflate(
  context: KeptContext,
  tail: Uint8Array,
  bytes: Uint8Array,
  start: number,
  end: number,
  maxBytes: number,
): number {
  const most = wholeLimit(maxBytes);
  let output = inflated.begin();
  let filled = 0;
  let filledBeforeTail = 0;
  let ends = 0;
  let input = bytes;
  let at = start;
  let left = end - start;
  for (;;) {
    const room = Math.min(output.length, most + 1);
    context.write(input, at, left, output, filled, room - filled);
    if (context.failed) return CORRUPT;
    filled = room - context.roomLeft;
    if (filled > most) return TOO_LONG;
    at += left - context.inputLeft;
    left = context.inputLeft;
    if (context.roomLeft === 0) {
      output = inflated.grow(most);
    } else if (input === tail) {
      // Where the stream has ended, that shows when the next message is written.
      return filled === filledBeforeTail && isWhole(at) ? filled : CORRUPT;
    } else if (left === 0) {
      filledBeforeTail = filled;
      input = tail;
      at = 0;
      left = tail.length;
    } else {
      // RFC 7692 7.2.3.4: blocks may be final, and others may follow. What was before is forgotten: zlib's
      // senders cannot refer to it either.
      if (++ends > endsAllowed(end - start)) return CORRUPT;
      context.reset();
    }
  }
}

class SharedInflater implements Inflater {
  readonly laterAbove: number = INFLATE_LATER_ABOVE;
  readonly #context: KeptContext = new KeptContext(openInflater(MAX_WINDOW_BITS));

  get output(): Uint8Array {
    return inflated.buffer;
  }

  inflate(bytes: Uint8Array, start: number, end: number, maxBytes: number): number {
    if (start === end) return 0;
    // Before and not after: whatever the message before was, and however it ended.
    this.#context.reset();
    return inflate(this.#context, CLOSING_TAIL, bytes, start, end, maxBytes);
  }

  inflateLater(
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Inflated) => void,
  ): InflateJob {
    return new InflateJob(singleMessages, bytes, maxBytes, done);
  }

  close(): void {}
}

class OwnInflater implements Inflater, InflateContext {
  readonly laterAbove: number = INFLATE_LATER_ABOVE;
  readonly tail: Uint8Array = SYNC_TAIL;
  readonly #windowBits: number;
  #context: KeptContext<InflateRaw> | undefined;
  /** While there is one, a thread may be at work with the context: a call then would end the process. */
  #job: InflateJob | undefined;

  constructor(windowBits: number) {
    this.#windowBits = windowBits;
    this.#context = new KeptContext(openInflater(windowBits));
  }

  get output(): Uint8Array {
    return inflated.buffer;
  }

  inflate(bytes: Uint8Array, start: number, end: number, maxBytes: number): number {
    if (this.#context === undefined || this.#job !== undefined) return CORRUPT;
    if (start === end) return 0;
    const length = inflate(this.#context, SYNC_TAIL, bytes, start, end, maxBytes);
    if (length < 0) this.close();
    return length;
  }

  inflateLater(
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Inflated) => void,
  ): InflateJob {
    this.#job = new InflateJob(this, bytes, maxBytes, done);
    return this.#job;
  }

  begin(): InflateRaw {
    this.#context ??= new KeptContext(openInflater(this.#windowBits));
    return this.#context.lend();
  }

  renew(): InflateRaw {
    this.#context = undefined;
    return this.begin();
  }

  end(_stream: InflateRaw, result: Uint8Array | undefined): void {
    this.#job = undefined;
    if (result === undefined) this.close();
    else this.#context?.takeBack();
  }

  close(): void {
    // The context is destroyed by `end` where a thread may be at work with it.
    if (this.#job?.cancel() === true) return;
    this.#job = undefined;
    this.#context?.destroy();
    this.#context = undefined;
  }
}

let inflater: SharedInflater | undefined;

/** With contexts that are kept and worked with on the calling thread; only where `keptContextsWork`. */
export const keptCompression: Compression = {
  sharedDeflater: oneForEach((parameters) => new KeptDeflater(parameters)),
  sharedInflater() {
    inflater ??= new SharedInflater();
    return inflater;
  },
  ownDeflater: (parameters) => new KeptDeflater(parameters),
  ownInflater: (windowBits) => new OwnInflater(windowBits),
};
