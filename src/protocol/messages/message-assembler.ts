import type { ErrorCode } from '../errors.ts';
import { FIN, OPCODE, RSV1 } from '../frames/frame-rules.ts';
import { type Limits, maxCompressedBytes } from '../limits.ts';
import { CONTINUATION, TEXT } from '../opcodes.ts';
import type { Platform } from '../platform.ts';
import { Utf8Validator } from './utf8-validator.ts';

/** What arrives: text as string, binary as bytes. */
export type Message = string | Uint8Array;

/**
 * The message whose payload is `bytes[start, end)`; undefined for text that is not UTF-8.
 * @param borrowed whether the memory is used again after the call, so that nothing of it may be kept.
 */
export function wholeMessage(
  platform: Platform,
  isText: boolean,
  bytes: Uint8Array,
  start: number,
  end: number,
  borrowed: boolean,
): Message | undefined {
  // RFC 6455 8.1: text that is not UTF-8 fails the connection.
  if (isText) return platform.decodeUtf8(bytes, start, end);
  return ownedBytes(bytes, start, end, borrowed);
}

/** What a fragment counts for at least: the smallest ones cost time as well. */
const FRAGMENT_BYTES = 64;

/**
 * Makes messages of the payloads of data frames (RFC 6455 5.4). The parser has seen to it that the frames
 * come in a legal order. A message that lies whole in one piece is decoded straight from it; any other is
 * gathered in one buffer that grows with what has arrived, never with what was announced.
 */
export class MessageAssembler {
  readonly #platform: Platform;
  readonly #limits: Limits;

  isText = false;
  /** RFC 7692 6.2: what comes is the payload of a compressed message, for `addCompressed`. */
  isCompressed = false;
  #maxBytes = 0;
  #final = false;
  #fragments = 0;
  /** Bytes gathered, and bytes known to come: with all of the current frame. */
  #size = 0;
  #announced = 0;
  /** What was gathered; for text it is scratch. */
  #buffer: Uint8Array | undefined = undefined;
  #utf8: Utf8Validator | undefined = undefined;
  /** What is counted of it among the unfinished data of all. */
  #charged = 0;

  /** Why the message must not go on; set by `begin` and `add`. */
  error: ErrorCode | undefined = undefined;

  constructor(platform: Platform, limits: Limits) {
    this.#platform = platform;
    this.#limits = limits;
  }

  /** A data frame begins. False where the message must not go on: see `error`. */
  begin(first: number, length: number): boolean {
    const opcode = first & OPCODE;
    if (opcode !== CONTINUATION) {
      const { maxMessageBytes } = this.#limits;
      this.isText = opcode === TEXT;
      this.isCompressed = (first & RSV1) !== 0;
      this.#maxBytes = this.isCompressed ? maxCompressedBytes(maxMessageBytes) : maxMessageBytes;
      this.#fragments = 0;
      this.#size = 0;
      this.#announced = 0;
    }
    this.#final = (first & FIN) !== 0;
    this.#fragments++;
    this.#announced += length;
    // RFC 6455 10.4: a limit for a frame, and one for a message after reassembly, protect the receiver.
    if (this.#announced > this.#maxBytes) this.error = 'MESSAGE_TOO_BIG';
    else if (this.#fragments > this.#limits.maxFragments) this.error = 'TOO_MANY_FRAGMENTS';
    // Who ends a message is about to give back what it holds: that must not be what it fails for.
    else if (!this.#final || this.#fragments === 1) this.#charge(FRAGMENT_BYTES);
    return this.error === undefined;
  }

  /**
   * Takes a piece of the frame's payload. Returns the message with its last piece, else undefined: then
   * `error` says whether it must not go on.
   * @param borrowed whether the memory is used again after the call, so that nothing of it may be kept.
   */
  add(
    bytes: Uint8Array,
    start: number,
    end: number,
    last: boolean,
    borrowed: boolean,
  ): Message | undefined {
    const complete = last && this.#final;
    if (complete && this.#size === 0) {
      this.release();
      const message = wholeMessage(this.#platform, this.isText, bytes, start, end, borrowed);
      if (message === undefined) this.error = 'INVALID_UTF8';
      return message;
    }
    if (end > start && !this.#gather(bytes, start, end)) return undefined;
    return complete ? this.#finish() : undefined;
  }

  /**
   * Takes a piece of a compressed message's payload. Returns the payload with its last piece: gathered, or
   * `bytes` itself where it is `bytes[start, end)`.
   */
  addCompressed(
    bytes: Uint8Array,
    start: number,
    end: number,
    last: boolean,
  ): Uint8Array | undefined {
    const complete = last && this.#final;
    if (complete && this.#size === 0) {
      this.release();
      return bytes;
    }
    if (end > start && !this.#gather(bytes, start, end)) return undefined;
    if (!complete) return undefined;
    this.release();
    return this.#buffer?.subarray(0, this.#size);
  }

  #gather(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#gathersText) {
      this.#utf8 ??= new Utf8Validator(this.#platform);
      if (!this.#utf8.push(bytes, start, end)) {
        // RFC 6455 8.1: an endpoint may fail at the first wrong byte; we do.
        this.error = 'INVALID_UTF8';
        return false;
      }
    }
    const size = this.#size + (end - start);
    const buffer = this.#room(size);
    if (buffer === undefined) return false;
    buffer.set(bytes.subarray(start, end), this.#size);
    this.#size = size;
    return true;
  }

  /**
   * The buffer, with room for `size` bytes. It is made for four times what there is, so that copying stays
   * cheap, but never larger than what the message can still become. Undefined where the process holds too much.
   */
  #room(size: number): Uint8Array | undefined {
    const buffer = this.#buffer;
    if (buffer !== undefined && buffer.length >= size) return buffer;
    const platform = this.#platform;
    const atMost = this.#final ? this.#announced : this.#maxBytes;
    const wanted = Math.min(4 * size, atMost);
    if (!this.#charge(wanted - (buffer?.length ?? 0))) return undefined;
    const grown = this.#gathersText ? platform.takeScratch(wanted) : platform.allocate(wanted);
    if (buffer !== undefined) {
      grown.set(buffer.subarray(0, this.#size));
      if (this.#gathersText) platform.returnScratch(buffer);
    }
    this.#buffer = grown;
    return grown;
  }

  get #gathersText(): boolean {
    return this.isText && !this.isCompressed;
  }

  #charge(bytes: number): boolean {
    if (this.#platform.unfinished.take(bytes, this.#limits.maxUnfinishedBytes)) {
      this.#charged += bytes;
      return true;
    }
    this.error = 'OVERLOADED';
    return false;
  }

  /** It is finished, or will never be: what it holds counts no more. */
  release(): void {
    this.#platform.unfinished.giveBack(this.#charged);
    this.#charged = 0;
  }

  #finish(): Message | undefined {
    this.release();
    const buffer = this.#buffer as Uint8Array;
    this.#buffer = undefined;
    if (!this.isText) return ownedBytes(buffer, 0, this.#size, false);
    const text = this.#decode(buffer);
    this.#platform.returnScratch(buffer);
    return text;
  }

  #decode(buffer: Uint8Array): string | undefined {
    const utf8 = this.#utf8 as Utf8Validator;
    this.#utf8 = undefined;
    // RFC 6455 8.1: a sequence cut off by the end of the message is not UTF-8.
    if (!utf8.complete) {
      this.error = 'INVALID_UTF8';
      return undefined;
    }
    return this.#platform.decodeUtf8(buffer, 0, this.#size);
  }
}

/**
 * Bytes that the application may keep. A view will do, unless the memory is not ours to keep or the view
 * would pin far more than it shows. It is no Buffer, whatever `bytes` is.
 */
export function ownedBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
  borrowed: boolean,
): Uint8Array {
  const length = end - start;
  if (borrowed || length * 4 < bytes.buffer.byteLength) {
    const copy = new Uint8Array(length);
    copy.set(bytes.subarray(start, end));
    return copy;
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, length);
}
