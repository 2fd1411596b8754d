/**
 * The port for compression (RFC 7692 7.2). The core says what is to be compressed and inflated and what
 * may be remembered; src/node/compression does it with zlib.
 */

/** How messages are compressed. */
export interface DeflateParameters {
  /** The window is `2 ** windowBits` bytes; 9 to 15. */
  readonly windowBits: number;
  /** Effort, 1 to 9. */
  readonly level: number;
  /** Memory for the work, 1 to 9. */
  readonly memLevel: number;
}

/** Compresses messages. `output` is shared by all of a kind: it is to be used before anybody's next call. */
export interface Deflater {
  readonly output: Uint8Array;
  /** Messages longer than this are better given to `deflateLater`. */
  readonly laterAbove: number;
  /**
   * Compresses `bytes[start, end)` into `output`, from its beginning; returns how long that is. The four
   * bytes 00 00 ff ff at the end are left out (RFC 7692 7.2.1).
   * @param fresh whether it must not refer to messages before it.
   */
  deflate(bytes: Uint8Array, start: number, end: number, fresh: boolean): number;
  /**
   * Compresses a message by itself, on another thread; refers to none before it, and none after refers to
   * it. `bytes` must not change until then. `done` is called later, once, with memory that is the receiver's;
   * not at all where `isWanted` says no when its turn comes.
   */
  deflateLater(
    bytes: Uint8Array,
    done: (compressed: Uint8Array) => void,
    isWanted?: () => boolean,
  ): void;
  /** Gives its memory back, once what was begun is done. */
  close(): void;
}

/** What `inflate` returns where it is not a length. */
export const CORRUPT = -1;
export const TOO_LONG = -2;

/** A message that is being inflated, or waits for it. */
export interface InflateJob {
  cancel(): void;
}

/** Inflates messages. `output` is as of `Deflater`. */
export interface Inflater {
  readonly output: Uint8Array;
  /** Payloads longer than this are better given to `inflateLater`. */
  readonly laterAbove: number;
  /**
   * Inflates the payload of one message, `bytes[start, end)`, into `output`, from its beginning. Returns how
   * long that is; `TOO_LONG` where it is more than `maxBytes`, of which it finds out early; `CORRUPT`.
   * After either of these an own inflater is not to be used again. No payload is an empty message.
   */
  inflate(bytes: Uint8Array, start: number, end: number, maxBytes: number): number;
  /**
   * The same on another thread. `bytes` must not change, and nothing else be asked of an own inflater, until
   * `done` is called, later and once, with what is the receiver's; not at all where the job is cancelled.
   */
  inflateLater(
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Uint8Array | typeof CORRUPT | typeof TOO_LONG) => void,
  ): InflateJob;
  /** Gives its memory back. `done` of what was begun is not called any more. */
  close(): void;
}

export interface Compression {
  /** One for all that compress so and let no message refer to another. Never closed. */
  sharedDeflater(parameters: DeflateParameters): Deflater;
  /** One for all whose peers let no message refer to another. Never closed. */
  sharedInflater(): Inflater;
  /** One of a connection's own, whose messages may refer to those before. */
  ownDeflater(parameters: DeflateParameters): Deflater;
  /** @param windowBits 8 to 15, what the peer compresses with at most. */
  ownInflater(windowBits: number): Inflater;
}
