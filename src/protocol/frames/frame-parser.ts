import type { ErrorCode } from '../errors.ts';
import { BINARY, CONTROL_BIT, TEXT } from '../opcodes.ts';
import {
  FIN,
  firstByteError,
  LENGTH,
  LENGTH_16,
  LENGTH_64,
  length16Error,
  length64Error,
  MASKED,
  RSV1,
  secondByteError,
} from './frame-rules.ts';
import { applyMask, rotateMask } from './mask.ts';

/** Who is told of frames. All calls may stop the parser by setting `stopped`. */
export interface FrameHandler {
  /**
   * A message lies whole in the chunk, in one frame; most do. Its first byte, and its payload as
   * `bytes[start, end)`, unmasked, valid only during the call. The other two calls are not made for it.
   */
  wholeMessage(first: number, bytes: Uint8Array, start: number, end: number): void;
  /** A frame begins: its first byte (FIN, RSV1 and opcode) and how long its payload is. */
  frameStart(first: number, length: number): void;
  /**
   * The next piece of the payload of the frame with that first byte, unmasked: `bytes[start, end)`, valid
   * only during the call. `last` comes with its last piece, which is empty only where the payload is.
   */
  framePayload(first: number, bytes: Uint8Array, start: number, end: number, last: boolean): void;
}

/** 2 bytes, 8 of extended length, 4 of mask. */
const MAX_HEADER = 14;
/** The first bytes of messages in one frame. */
const WHOLE_TEXT = FIN | TEXT;
const WHOLE_BINARY = FIN | BINARY;
const INCOMPLETE = 0;
const FAILED = -1;
/** Frames parsed in one call, so that a peer with many tiny ones cannot keep the process. */
const FRAMES_AT_ONCE = 2048;

/**
 * Cuts a stream of bytes into frames (RFC 6455 5.2), whatever the chunks. A frame that lies whole in a
 * chunk is handed on as a view of it, and nothing is kept between frames; of a payload nothing is ever
 * copied here. Chunks are unmasked in place. While nothing is `unfinished`, one parser serves any number of
 * streams.
 */
export class FrameParser {
  /** Set by the handler to stop before the next frame; cleared by whoever wants to go on. */
  stopped = false;
  /** Set when a rule was broken; the parser is not to be used after it. */
  error: ErrorCode | undefined = undefined;

  readonly #mustBeMasked: boolean;
  readonly #mayBeCompressed: boolean;
  /** The bits of a first byte that tell what a whole message is. */
  readonly #kind: number;

  // A header that a chunk cut off.
  #head: Uint8Array | undefined = undefined;
  #headLength = 0;

  #inPayload = false;
  #messageOpen = false;
  #first = 0;
  #length = 0;
  #left = 0;
  #mask = 0;

  /**
   * @param mustBeMasked whether frames must be masked (we are the server) or must not be.
   * @param mayBeCompressed whether messages may have RSV1.
   */
  constructor(mustBeMasked: boolean, mayBeCompressed: boolean) {
    this.#mustBeMasked = mustBeMasked;
    this.#mayBeCompressed = mayBeCompressed;
    this.#kind = mayBeCompressed ? 0xff ^ RSV1 : 0xff;
  }

  /** Whether a frame has begun and is not complete, or a message lacks its last fragment. */
  get unfinished(): boolean {
    return this.#inPayload || this.#headLength > 0 || this.#messageOpen;
  }

  /**
   * Parses `bytes[start, end)`; returns where it stopped, which is `end` unless it failed, was told to stop,
   * or has handled enough frames for once.
   */
  parse(handler: FrameHandler, bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    for (let frames = 0; at < end && frames < FRAMES_AT_ONCE && !this.stopped; ) {
      if (!this.#inPayload) {
        let next: number;
        if (this.#headLength > 0) next = this.#resume(bytes, at, end);
        else {
          const stop = this.#wholeMessage(handler, bytes, at, end);
          if (stop !== INCOMPLETE) {
            at = stop;
            frames++;
            continue;
          }
          next = this.#header(bytes, at, end);
        }
        if (next === FAILED) return at;
        at = next;
        if (!this.#inPayload) return at;
        handler.frameStart(this.#first, this.#length);
        if (this.stopped) return at;
      }
      // Also where the chunk ends here: an empty payload has no byte of its own to be delivered with.
      at = this.#payload(handler, bytes, at, end);
      frames++;
    }
    return at;
  }

  /**
   * What most frames are, in one step: an unfragmented message that lies whole in the chunk, with nothing
   * that a rule could object to. Returns where it ends; `INCOMPLETE` for all others.
   */
  #wholeMessage(handler: FrameHandler, bytes: Uint8Array, at: number, end: number): number {
    const first = bytes[at];
    const kind = first & this.#kind;
    if ((kind !== WHOLE_TEXT && kind !== WHOLE_BINARY) || this.#messageOpen) return INCOMPLETE;
    const maskSize = this.#mustBeMasked ? 4 : 0;
    let start = at + 2 + maskSize;
    if (start > end) return INCOMPLETE;
    // RFC 6455 5.1, 5.2: with the mask bit as it must be, what is left is a length of 7 bits.
    let length = this.#mustBeMasked ? bytes[at + 1] ^ MASKED : bytes[at + 1];
    if (length === LENGTH_16) {
      start += 2;
      length = (bytes[at + 2] << 8) | bytes[at + 3];
      if (start > end || length16Error(length) !== undefined) return INCOMPLETE;
    } else if (length > LENGTH_16) return INCOMPLETE;
    const stop = start + length;
    if (stop > end) return INCOMPLETE;
    if (this.#mustBeMasked) applyMask(bytes, start, stop, maskAt(bytes, start - 4));
    handler.wholeMessage(first, bytes, start, stop);
    return stop;
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
    const firstError = firstByteError(first, this.#messageOpen, this.#mayBeCompressed);
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
      this.#mask = maskAt(bytes, at + size);
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

  #payload(handler: FrameHandler, bytes: Uint8Array, at: number, end: number): number {
    const stop = at + Math.min(this.#left, end - at);
    if (this.#mustBeMasked) {
      applyMask(bytes, at, stop, this.#mask);
      this.#mask = rotateMask(this.#mask, stop - at);
    }
    this.#left -= stop - at;
    const last = this.#left === 0;
    this.#inPayload = !last;
    if (last || stop > at) handler.framePayload(this.#first, bytes, at, stop, last);
    return stop;
  }

  #fail(error: ErrorCode): typeof FAILED {
    this.error = error;
    this.stopped = true;
    return FAILED;
  }
}

function maskAt(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}

function uint32(bytes: Uint8Array, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0;
}
