import { TEXT } from '../opcodes.ts';
import type { Platform } from '../platform.ts';
import { headerSize, writeHeader, writeMask } from './frame-writer.ts';
import { applyMask } from './mask.ts';

/** Where frames go: a buffer that the sink owns, so that many frames leave in one write. */
export interface FrameSink {
  /** A buffer with room for `size` bytes from `position` on. */
  reserve(size: number): Uint8Array;
  readonly position: number;
  /** The frame that was written from `position` on ends at `end`. */
  commit(end: number): void;
  /** Sends bytes after all that was committed. They are not copied for sure, and must not change. */
  append(bytes: Uint8Array): void;
  /** Keeps a place for frames that are still being made, of about `size` bytes: what is sent next waits behind it. */
  keepPlace(size: number): FramePlace;
}

export interface FramePlace {
  /** Whether frames for it are still wanted. */
  readonly isKept: boolean;
  /** The frames are there. Once; without effect where the place has been given up meanwhile. */
  fill(frames: Uint8Array): void;
}

/** A message as it is sent: its opcode with RSV1 where it is compressed, its frame without a mask, where in it the payload begins. */
export interface EncodedMessage {
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly payloadStart: number;
}

/** A header with the longest length and a mask. */
const MAX_HEADER = 14;
/** Up to here, in UTF-16 units, text is encoded without being measured first; further on that pays. */
const UNMEASURED_TEXT = 1024;
/** From here on a payload that needs no mask is handed on instead of copied. */
const BY_REFERENCE = 16 * 1024;

/**
 * Puts messages into frames, masked where we are the client (RFC 6455 5.1), and these into a sink. It keeps
 * nothing between calls, so that one serves any number of connections.
 */
export class FrameSender {
  readonly #platform: Platform;
  readonly #masked: boolean;

  constructor(platform: Platform, masked: boolean) {
    this.#platform = platform;
    this.#masked = masked;
  }

  text(sink: FrameSink, text: string): void {
    // UTF-8 takes at most three bytes for one UTF-16 unit.
    const measured = text.length > UNMEASURED_TEXT ? this.#platform.utf8Length(text) : undefined;
    const target = sink.reserve(MAX_HEADER + (measured ?? text.length * 3));
    const start = sink.position;
    const maskSize = this.#masked ? 4 : 0;
    // The header's size depends on the length: guess it for ASCII, move the payload where that was wrong.
    const guess = start + headerSize(measured ?? text.length) + maskSize;
    const length = this.#platform.encodeUtf8(text, target, guess, measured);
    const payload = start + headerSize(length) + maskSize;
    if (payload !== guess) target.copyWithin(payload, guess, guess + length);
    const maskAt = writeHeader(target, start, TEXT, length, this.#masked);
    if (this.#masked) this.#mask(target, maskAt, length);
    sink.commit(payload + length);
  }

  /**
   * @param opcode with RSV1 where the payload is compressed.
   * @param borrowed whether the payload's memory is used again after the call.
   */
  bytes(sink: FrameSink, opcode: number, payload: Uint8Array, borrowed = false): void {
    const length = payload.length;
    if (length >= BY_REFERENCE && !this.#masked && !borrowed) {
      const target = sink.reserve(MAX_HEADER);
      sink.commit(writeHeader(target, sink.position, opcode, length, false));
      sink.append(payload);
      return;
    }
    const target = sink.reserve(MAX_HEADER + length);
    sink.commit(this.#write(target, sink.position, opcode, payload));
  }

  encoded(sink: FrameSink, { opcode, frame, payloadStart }: EncodedMessage): void {
    if (this.#masked) this.bytes(sink, opcode, frame.subarray(payloadStart));
    else sink.append(frame);
  }

  /** An encoded message by itself. */
  encodedFrame({ opcode, frame, payloadStart }: EncodedMessage): Uint8Array {
    return this.#masked ? this.frame(opcode, frame.subarray(payloadStart)) : frame;
  }

  /** A frame by itself. */
  frame(opcode: number, payload: Uint8Array): Uint8Array {
    const length = payload.length;
    const maskSize = this.#masked ? 4 : 0;
    const frame = this.#platform.allocate(headerSize(length) + maskSize + length);
    this.#write(frame, 0, opcode, payload);
    return frame;
  }

  /** Writes a frame at `at`; returns where it ends. */
  #write(target: Uint8Array, at: number, opcode: number, payload: Uint8Array): number {
    const length = payload.length;
    const maskAt = writeHeader(target, at, opcode, length, this.#masked);
    const start = this.#masked ? maskAt + 4 : maskAt;
    copyInto(target, start, payload);
    if (this.#masked) this.#mask(target, maskAt, length);
    return start + length;
  }

  /** RFC 6455 5.3: each frame has a mask of its own, from a strong source of randomness. */
  #mask(target: Uint8Array, maskAt: number, length: number): void {
    const mask = this.#platform.randomMask();
    const start = writeMask(target, maskAt, mask);
    applyMask(target, start, start + length, mask);
  }
}

/** Below this length a loop is quicker than the call of `set`. */
const SHORT_COPY = 32;

function copyInto(target: Uint8Array, at: number, source: Uint8Array): void {
  if (source.length >= SHORT_COPY) {
    target.set(source, at);
    return;
  }
  for (let i = 0; i < source.length; i++) target[at + i] = source[i];
}
