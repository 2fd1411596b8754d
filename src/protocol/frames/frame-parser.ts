import type { ErrorCode } from '../errors.ts';
import { CONTROL_BIT } from '../opcodes.ts';
import {
  FIN,
  firstByteError,
  LENGTH,
  LENGTH_16,
  LENGTH_64,
  length16Error,
  length64Error,
  secondByteError,
} from './frame-rules.ts';
import { applyMask, rotateMask } from './mask.ts';

/** Who is told of frames. Both calls may stop the parser by setting `stopped`. */
export interface FrameHandler {
  /** A frame begins: its first byte (FIN and opcode) and how long its payload is. */
  frameStart(first: number, length: number): void;
  /**
   * The next piece of its payload, unmasked: `bytes[start, end)`, valid only during the call. `last` comes
   * with its last piece, which is empty only where the payload is.
   */
  framePayload(bytes: Uint8Array, start: number, end: number, last: boolean): void;
}

/** 2 bytes, 8 of extended length, 4 of mask. */
const MAX_HEADER = 14;
const INCOMPLETE = 0;
const FAILED = -1;

/**
 * Cuts a stream of bytes into frames (RFC 6455 5.2), whatever the chunks. A frame that lies whole in a
 * chunk is handed on as a view of it, and nothing is kept between frames; of a payload nothing is ever
 * copied here. Chunks are unmasked in place.
 */
export class FrameParser {
  /** Set by the handler to stop before the next frame; cleared by whoever wants to go on. */
  stopped = false;
  /** Set when a rule was broken; the parser is not to be used after it. */
  error: ErrorCode | undefined = undefined;

  readonly #handler: FrameHandler;
  readonly #mustBeMasked: boolean;

  // A header that a chunk cut off.
  #head: Uint8Array | undefined = undefined;
  #headLength = 0;

  #inPayload = false;
  #messageOpen = false;
  #first = 0;
  #length = 0;
  #left = 0;
  #mask = 0;

  /** @param mustBeMasked whether frames must be masked (we are the server) or must not be. */
  constructor(handler: FrameHandler, mustBeMasked: boolean) {
    this.#handler = handler;
    this.#mustBeMasked = mustBeMasked;
  }

  /** Whether a frame has begun and is not complete, or a message lacks its last fragment. */
  get unfinished(): boolean {
    return this.#inPayload || this.#headLength > 0 || this.#messageOpen;
  }

  /** Parses `bytes[start, end)`; returns where it stopped, which is `end` unless told to stop or failed. */
  parse(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.stopped) {
      if (!this.#inPayload) {
        const next =
          this.#headLength === 0 ? this.#header(bytes, at, end) : this.#resume(bytes, at, end);
        if (next === FAILED) return at;
        at = next;
        if (!this.#inPayload) return at;
        this.#handler.frameStart(this.#first, this.#length);
        if (this.stopped) return at;
      }
      // Also where the chunk ends here: an empty payload has no byte of its own to be delivered with.
      at = this.#payload(bytes, at, end);
    }
    return at;
  }

  /** Reads a header that begins in this chunk. */
  #header(bytes: Uint8Array, at: number, end: number): number {
    const size = this.#decode(bytes, at, end - at);
    if (size === FAILED) return FAILED;
    if (size !== INCOMPLETE) return at + size;
    this.#head = new Uint8Array(MAX_HEADER);
    this.#head.set(bytes.subarray(at, end));
    this.#headLength = end - at;
    return end;
  }

  /** Reads on a header that an earlier chunk cut off. */
  #resume(bytes: Uint8Array, at: number, end: number): number {
    const head = this.#head as Uint8Array;
    const had = this.#headLength;
    const added = Math.min(MAX_HEADER - had, end - at);
    head.set(bytes.subarray(at, at + added), had);
    const size = this.#decode(head, 0, had + added);
    if (size === FAILED) return FAILED;
    if (size === INCOMPLETE) {
      this.#headLength = had + added;
      return end;
    }
    this.#head = undefined;
    this.#headLength = 0;
    return at + size - had;
  }

  /** Decodes the header at `at`; judges whatever part of it is there. Returns its size. */
  #decode(bytes: Uint8Array, at: number, available: number): number {
    const first = bytes[at];
    const firstError = firstByteError(first, this.#messageOpen);
    if (firstError !== undefined) return this.#fail(firstError);
    if (available < 2) return INCOMPLETE;
    const second = bytes[at + 1];
    const secondError = secondByteError(first, second, this.#mustBeMasked);
    if (secondError !== undefined) return this.#fail(secondError);

    let length = second & LENGTH;
    let size = 2;
    if (length === LENGTH_16) {
      size = 4;
      if (available < size) return INCOMPLETE;
      length = (bytes[at + 2] << 8) | bytes[at + 3];
      const error = length16Error(length);
      if (error !== undefined) return this.#fail(error);
    } else if (length === LENGTH_64) {
      size = 10;
      if (available < size) return INCOMPLETE;
      const upper = uint32(bytes, at + 2);
      const lower = uint32(bytes, at + 6);
      const error = length64Error(upper, lower);
      if (error !== undefined) return this.#fail(error);
      length = upper * 0x1_0000_0000 + lower;
    }
    if (this.#mustBeMasked) {
      if (available < size + 4) return INCOMPLETE;
      const mask = at + size;
      this.#mask =
        bytes[mask] | (bytes[mask + 1] << 8) | (bytes[mask + 2] << 16) | (bytes[mask + 3] << 24);
      size += 4;
    }
    this.#first = first;
    this.#length = length;
    this.#left = length;
    this.#inPayload = true;
    // RFC 6455 5.4: control frames may stand between the fragments of a message.
    if ((first & CONTROL_BIT) === 0) this.#messageOpen = (first & FIN) === 0;
    return size;
  }

  #payload(bytes: Uint8Array, at: number, end: number): number {
    const stop = at + Math.min(this.#left, end - at);
    if (this.#mustBeMasked) {
      applyMask(bytes, at, stop, this.#mask);
      this.#mask = rotateMask(this.#mask, stop - at);
    }
    this.#left -= stop - at;
    const last = this.#left === 0;
    this.#inPayload = !last;
    if (last || stop > at) this.#handler.framePayload(bytes, at, stop, last);
    return stop;
  }

  #fail(error: ErrorCode): typeof FAILED {
    this.error = error;
    this.stopped = true;
    return FAILED;
  }
}

function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
