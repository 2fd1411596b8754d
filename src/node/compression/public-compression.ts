import { constants as bufferConstants } from 'node:buffer';
import {
  constants,
  deflateRawSync,
  type InflateRaw,
  inflateRawSync,
  type ZlibOptions,
} from 'node:zlib';
import {
  CORRUPT,
  type Compression,
  type DeflateParameters,
  type Deflater,
  type Inflater,
  TOO_LONG,
} from '../../protocol/extensions/compression.ts';
import { DEFLATE_LATER_ABOVE, DeflateJob } from './deflate-job.ts';
import {
  INFLATE_LATER_ABOVE,
  type InflateContext,
  type Inflated,
  InflateJob,
  singleMessages,
} from './inflate-job.ts';
import { MAX_WINDOW_BITS, openInflater } from './kept-context.ts';
import { CLOSING_TAIL, endsAllowed, isWhole, SYNC_TAIL, wholeLimit } from './payload-end.ts';
import { oneForEach } from './shared-deflaters.ts';
import { storeBlocks, storedLength } from './stored-blocks.ts';

const NOTHING: Uint8Array = new Uint8Array(0);

/** The end of what was said, as far as messages may refer to it. */
class History {
  readonly #size: number;
  #bytes: Uint8Array = NOTHING;

  constructor(windowBits: number) {
    this.#size = 2 ** windowBits;
  }

  /** For zlib's options; it refuses an empty dictionary. */
  get options(): ZlibOptions {
    return this.#bytes.length > 0 ? { dictionary: this.#bytes } : {};
  }

  forget(): void {
    this.#bytes = NOTHING;
  }

  append(said: Uint8Array): void {
    const before = this.#bytes.subarray(Math.max(0, this.#bytes.length + said.length - this.#size));
    this.#bytes = Buffer.concat([before, said.subarray(-this.#size)]);
  }
}

/** One of a connection's own has a history. */
class PublicDeflater implements Deflater {
  readonly laterAbove: number = DEFLATE_LATER_ABOVE;
  output: Uint8Array = NOTHING;
  readonly #parameters: DeflateParameters;
  readonly #history: History | undefined;

  constructor(parameters: DeflateParameters, history?: History) {
    this.#parameters = parameters;
    this.#history = history;
  }

  deflate(bytes: Uint8Array, start: number, end: number, fresh: boolean): number {
    const message = bytes.subarray(start, end);
    const { windowBits, level, memLevel } = this.#parameters;
    if (fresh) this.#history?.forget();
    try {
      this.output = deflateRawSync(message, {
        ...this.#history?.options,
        windowBits,
        level,
        memLevel,
        finishFlush: constants.Z_SYNC_FLUSH,
      });
      this.#history?.append(message);
      // RFC 7692 7.2.1: without the last four bytes.
      return this.output.length - SYNC_TAIL.length;
    } catch {
      this.#history?.forget();
      this.output = Buffer.allocUnsafeSlow(storedLength(message.length));
      return storeBlocks(bytes, start, end, this.output);
    }
  }

  deflateLater(
    bytes: Uint8Array,
    done: (compressed: Uint8Array) => void,
    isWanted?: () => boolean,
  ): void {
    this.#history?.forget();
    new DeflateJob(this.#parameters, bytes, done, isWanted);
  }

  close(): void {
    this.#history?.forget();
    this.output = NOTHING;
  }
}

const TOO_LARGE = 'ERR_BUFFER_TOO_LARGE';

interface Step {
  readonly output: Uint8Array;
  /** How much of the input zlib has taken. */
  readonly taken: number;
}

/** `inflateRawSync`, and how far it came: it does not say itself that something follows a final block. */
function inflateStep(input: Uint8Array, maxBytes: number, options: ZlibOptions): Step | number {
  try {
    const result: unknown = inflateRawSync(input, {
      ...options,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: Math.min(Math.max(1, maxBytes), bufferConstants.MAX_LENGTH),
      info: true,
    });
    if (typeof result !== 'object' || result === null) return CORRUPT;
    const output: unknown = Reflect.get(result, 'buffer');
    const engine: unknown = Reflect.get(result, 'engine');
    if (!(output instanceof Uint8Array)) return CORRUPT;
    if (typeof engine !== 'object' || engine === null) return CORRUPT;
    const taken: unknown = Reflect.get(engine, 'bytesWritten');
    if (typeof taken !== 'number') return CORRUPT;
    return output.length > maxBytes ? TOO_LONG : { output, taken };
  } catch (error) {
    const tooLarge = error instanceof RangeError && Reflect.get(error, 'code') === TOO_LARGE;
    return tooLarge ? TOO_LONG : CORRUPT;
  }
}

/** One of a connection's own has a history. */
class PublicInflater implements Inflater, InflateContext {
  readonly laterAbove: number = INFLATE_LATER_ABOVE;
  output: Uint8Array = NOTHING;
  readonly tail: Uint8Array;
  readonly #windowBits: number;
  readonly #history: History | undefined;
  #job: InflateJob | undefined;
  #closed = false;

  constructor(windowBits: number, history?: History) {
    this.#windowBits = windowBits;
    this.#history = history;
    this.tail = history === undefined ? CLOSING_TAIL : SYNC_TAIL;
  }

  inflate(bytes: Uint8Array, start: number, end: number, maxBytes: number): number {
    if (this.#closed) return CORRUPT;
    if (start === end) return 0;
    const length = this.#inflate(bytes.subarray(start, end), wholeLimit(maxBytes));
    if (length < 0 && this.#history !== undefined) this.close();
    return length;
  }

  #inflate(payload: Uint8Array, maxBytes: number): number {
    const joined = Buffer.concat([payload, this.tail]);
    const outputs: Uint8Array[] = [];
    let at = 0;
    let length = 0;
    for (;;) {
      const options = { windowBits: this.#windowBits, ...this.#history?.options };
      const step = inflateStep(joined.subarray(at, payload.length), maxBytes - length, options);
      if (typeof step === 'number') return step;
      const { output, taken } = step;
      length += output.length;
      outputs.push(output);
      at += taken;
      if (at === payload.length) {
        // Again, with the tail: it shows whether the payload was whole.
        const again = inflateStep(joined.subarray(at - taken), maxBytes, options);
        if (typeof again === 'number' || again.output.length > output.length) return CORRUPT;
        const used = again.taken - taken;
        if (!isWhole(used)) return CORRUPT;
        this.output = outputs.length === 1 ? output : Buffer.concat(outputs, length);
        if (used < this.tail.length) this.#history?.forget();
        else this.#history?.append(output);
        return length;
      }
      // RFC 7692 7.2.3.4: blocks may be final, and others may follow. What was before is forgotten, as by
      // the contexts that are kept.
      if (outputs.length > endsAllowed(payload.length)) return CORRUPT;
      this.#history?.forget();
    }
  }

  inflateLater(
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Inflated) => void,
  ): InflateJob {
    if (this.#history === undefined) return new InflateJob(singleMessages, bytes, maxBytes, done);
    this.#job = new InflateJob(this, bytes, maxBytes, done);
    return this.#job;
  }

  begin(): InflateRaw {
    return openInflater(this.#windowBits, this.#history?.options);
  }

  renew(): InflateRaw {
    this.#history?.forget();
    return this.begin();
  }

  end(stream: InflateRaw, result: Uint8Array | undefined, since: number): void {
    stream.destroy();
    this.#job = undefined;
    if (result === undefined) this.close();
    else this.#history?.append(result.subarray(since));
  }

  close(): void {
    this.#job?.cancel();
    this.#job = undefined;
    this.#closed = true;
    this.#history?.forget();
    this.output = NOTHING;
  }
}

/**
 * With zlib's public calls alone. It returns what `keptCompression` does, more slowly, and takes up to twice
 * as much memory for a message. Of what is both too long and corrupt it may name the other.
 */
export const publicCompression: Compression = {
  sharedDeflater: oneForEach((parameters) => new PublicDeflater(parameters)),
  sharedInflater: () => new PublicInflater(MAX_WINDOW_BITS),
  ownDeflater: (parameters) => new PublicDeflater(parameters, new History(parameters.windowBits)),
  ownInflater: (windowBits) => new PublicInflater(windowBits, new History(windowBits)),
};
