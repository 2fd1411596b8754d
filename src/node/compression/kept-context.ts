import {
  constants,
  createInflateRaw,
  type DeflateRaw,
  type InflateRaw,
  type ZlibOptions,
} from 'node:zlib';

/** How much a zlib stream puts out at once. */
export const CHUNK = 65_536;

/** What Node's zlib streams are driven by. Its calls end the process where arguments are wrong. */
interface ZlibHandle {
  writeSync(
    flush: number,
    input: Uint8Array,
    inputAt: number,
    inputLength: number,
    output: Uint8Array,
    outputAt: number,
    outputLength: number,
  ): void;
  reset(): void;
  onerror: unknown;
}

export function isHandle(value: unknown): value is ZlibHandle {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof Reflect.get(value, 'writeSync') === 'function' &&
    typeof Reflect.get(value, 'reset') === 'function' &&
    typeof Reflect.get(value, 'onerror') === 'function'
  );
}

/** Stands in for the buffers that streams allocate at once and need only when they work as streams. */
const idleBuffer: Buffer = Buffer.allocUnsafeSlow(CHUNK);

/**
 * A zlib stream, made with `chunkSize: CHUNK`, that is not used as one: its context is kept and worked with
 * on the calling thread, without what a stream does for each write. See kept-context-trial.ts.
 */
export class KeptContext<Stream extends DeflateRaw | InflateRaw = DeflateRaw | InflateRaw> {
  /** Whether zlib refused what was written since the last `reset`. */
  failed = false;
  readonly #stream: Stream;
  readonly #handle: ZlibHandle;
  readonly #left: Uint32Array;
  readonly #onStreamError: unknown;
  readonly #onError = (): void => {
    this.failed = true;
  };

  /** @throws TypeError where the stream is not as expected; it is destroyed then. */
  constructor(stream: Stream) {
    const handle: unknown = Reflect.get(stream, '_handle');
    const left: unknown = Reflect.get(stream, '_writeState');
    const buffer: unknown = Object.getOwnPropertyDescriptor(stream, '_outBuffer')?.value;
    if (
      !isHandle(handle) ||
      !(left instanceof Uint32Array && left.length === 2) ||
      !(Buffer.isBuffer(buffer) && buffer.length === CHUNK)
    ) {
      stream.destroy();
      throw new TypeError('A zlib stream is not made as expected');
    }
    this.#stream = stream;
    this.#handle = handle;
    this.#left = left;
    this.#onStreamError = handle.onerror;
    handle.onerror = this.#onError;
    Reflect.set(stream, '_outBuffer', idleBuffer);
  }

  /** Works on `input[at, at + length)`, and writes at most `room` bytes to `output` from `outputAt` on. */
  write(
    input: Uint8Array,
    at: number,
    length: number,
    output: Uint8Array,
    outputAt: number,
    room: number,
  ): void {
    this.#handle.writeSync(constants.Z_SYNC_FLUSH, input, at, length, output, outputAt, room);
  }

  /** How much of the input the last `write` has not taken: more than 0 is the end of a deflate stream. */
  get inputLeft(): number {
    return this.#left[1] ?? 0;
  }

  /** How much of the room the last `write` has not used. */
  get roomLeft(): number {
    return this.#left[0] ?? 0;
  }

  /** Forgets everything before, also a failure. */
  reset(): void {
    this.failed = false;
    this.#handle.reset();
  }

  /** The stream, to be used as one until `takeBack`. */
  lend(): Stream {
    this.#handle.onerror = this.#onStreamError;
    Reflect.set(this.#stream, '_outBuffer', Buffer.allocUnsafeSlow(CHUNK));
    return this.#stream;
  }

  takeBack(): void {
    this.#handle.onerror = this.#onError;
    Reflect.set(this.#stream, '_outBuffer', idleBuffer);
  }

  /** Gives its memory back; it must not be used any more. */
  destroy(): void {
    this.#stream.destroy();
  }
}

export const MAX_WINDOW_BITS = 15;

/** Flushes whatever is written to it as a stream. */
export function openInflater(windowBits: number, options?: ZlibOptions): InflateRaw {
  return createInflateRaw({
    ...options,
    windowBits,
    chunkSize: CHUNK,
    flush: constants.Z_SYNC_FLUSH,
  });
}
