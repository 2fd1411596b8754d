import type { Deflater } from '../extensions/compression.ts';
import { type CompressionCount, count } from '../extensions/compression-counters.ts';
import { RSV1 } from '../frames/frame-rules.ts';
import type { EncodedMessage, FrameSender, FrameSink } from '../frames/frame-sender.ts';
import { TEXT } from '../opcodes.ts';
import type { Platform } from '../platform.ts';
import type { MessageBatch, MessageEncoding } from './message-batch.ts';
import type { PreparedMessage } from './prepared-message.ts';

/** What is the same for all who compress alike. */
export interface DeflateSettings {
  readonly platform: Platform;
  readonly sender: FrameSender;
  /** Shorter messages are not compressed. */
  readonly threshold: number;
  /** Compresses messages that refer to no other. */
  readonly shared: Deflater;
  readonly counter: CompressionCount;
}

/** How messages for many are compressed: once for all who share these settings. */
export class SharedDeflate implements MessageEncoding {
  readonly settings: DeflateSettings;

  constructor(settings: DeflateSettings) {
    this.settings = settings;
  }

  encode(message: PreparedMessage): EncodedMessage | undefined {
    const { platform, threshold, shared, counter } = this.settings;
    if (!message.compress || message.size < threshold || message.size === 0) return message;
    const found = message.deflatedBy(shared);
    if (found !== undefined || message.size > shared.laterAbove) return found;
    const startedAt = platform.clock();
    const deflated = message.deflate(shared, platform);
    count(counter, message.size, payloadSize(deflated), platform.clock() - startedAt);
    return deflated;
  }
}

/**
 * Sends messages compressed (RFC 7692 7.2.1) where that makes them shorter. Without a deflater of its own
 * it keeps nothing between calls, so that one serves any number of connections. With one (context
 * takeover) it is one connection's; large and published messages are compressed by themselves there too.
 */
export class MessageDeflater {
  readonly #encoding: SharedDeflate;
  readonly #settings: DeflateSettings;
  readonly #makeOwn: (() => Deflater) | undefined;
  /** There once a message was compressed with it: who only gets what all get needs none. */
  #own: Deflater | undefined = undefined;
  /**
   * Whether the peer has got what our own context does not know of, or has not got what it does: then the
   * next message must not refer to any before it, which is always allowed.
   */
  #isBehind = false;

  constructor(encoding: SharedDeflate, makeOwn?: () => Deflater) {
    this.#encoding = encoding;
    this.#settings = encoding.settings;
    this.#makeOwn = makeOwn;
  }

  text(sink: FrameSink, text: string): void {
    const { platform, sender, threshold, shared } = this.#settings;
    // UTF-8 takes one to three bytes for a UTF-16 unit.
    const size = text.length * 3 < threshold ? 0 : platform.utf8Length(text);
    if (size < threshold || size === 0) {
      sender.text(sink, text);
    } else if (size > shared.laterAbove) {
      const bytes = platform.allocate(size);
      platform.encodeUtf8(text, bytes, 0, size);
      this.#sendLater(sink, TEXT, bytes);
    } else {
      // It is encoded where its frame will be, which is made of what comes out of the deflater.
      const target = sink.reserve(size);
      const start = sink.position;
      platform.encodeUtf8(text, target, start, size);
      const length = this.#deflate(target, start, start + size);
      if (length === 0) sender.text(sink, text);
      else this.#sendOutput(sink, TEXT, length);
    }
  }

  bytes(sink: FrameSink, opcode: number, payload: Uint8Array): void {
    const { sender, threshold, shared } = this.#settings;
    const size = payload.length;
    if (size < threshold || size === 0) {
      sender.bytes(sink, opcode, payload);
    } else if (size > shared.laterAbove) {
      this.#sendLater(sink, opcode, payload);
    } else {
      const length = this.#deflate(payload, 0, size);
      if (length === 0) sender.bytes(sink, opcode, payload);
      else this.#sendOutput(sink, opcode, length);
    }
  }

  /** Returns how long the message has become; 0 where it is better sent as it is. */
  #deflate(bytes: Uint8Array, start: number, end: number): number {
    const { platform, shared, counter } = this.#settings;
    const startedAt = platform.clock();
    this.#own ??= this.#makeOwn?.();
    const own = this.#own;
    const length =
      own === undefined
        ? shared.deflate(bytes, start, end, true)
        : own.deflate(bytes, start, end, this.#isBehind);
    count(counter, end - start, length, platform.clock() - startedAt);
    this.#isBehind = false;
    if (length < end - start) return length;
    this.forget();
    return 0;
  }

  #sendOutput(sink: FrameSink, opcode: number, length: number): void {
    const { output } = this.#own ?? this.#settings.shared;
    this.#settings.sender.bytes(sink, opcode | RSV1, output.subarray(0, length), true);
  }

  #sendLater(sink: FrameSink, opcode: number, payload: Uint8Array): void {
    const { platform, sender, shared, counter } = this.#settings;
    const place = sink.keepPlace(payload.length);
    const startedAt = platform.clock();
    this.forget();
    const done = (compressed: Uint8Array): void => {
      count(counter, payload.length, compressed.length, platform.clock() - startedAt);
      const isShorter = compressed.length < payload.length;
      place.fill(
        isShorter ? sender.frame(opcode | RSV1, compressed) : sender.frame(opcode, payload),
      );
    };
    shared.deflateLater(payload, done, () => place.isKept);
  }

  prepared(sink: FrameSink, message: PreparedMessage): void {
    const { platform, sender, shared, counter } = this.#settings;
    const encoded = this.#encoding.encode(message);
    if (encoded !== message) this.forget();
    if (encoded !== undefined) {
      sender.encoded(sink, encoded);
      return;
    }
    const place = sink.keepPlace(message.size);
    const startedAt = platform.clock();
    const isFirst = message.deflateLater(shared, platform, (deflated) => {
      // Once, however many wait for it.
      if (isFirst)
        count(counter, message.size, payloadSize(deflated), platform.clock() - startedAt);
      place.fill(sender.encodedFrame(deflated));
    });
  }

  /** The batch's frames; undefined where its messages are to be sent one by one. */
  framesOf(batch: MessageBatch): Uint8Array | undefined {
    const frames = batch.framesOf(this.#encoding);
    if (frames !== undefined && !batch.arePlain(frames)) this.forget();
    return frames;
  }

  /** What the peer gets is not what was compressed one after the other. */
  forget(): void {
    this.#isBehind = true;
  }

  close(): void {
    this.#own?.close();
  }
}

function payloadSize({ frame, payloadStart }: EncodedMessage): number {
  return frame.length - payloadStart;
}
