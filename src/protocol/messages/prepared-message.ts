import type { Deflater } from '../extensions/compression.ts';
import { RSV1 } from '../frames/frame-rules.ts';
import type { EncodedMessage } from '../frames/frame-sender.ts';
import { headerSize, writeHeader } from '../frames/frame-writer.ts';
import { BINARY, TEXT } from '../opcodes.ts';
import type { Platform } from '../platform.ts';

/** What waits for a message that is being compressed on another thread. */
type WhenDeflated = (message: EncodedMessage) => void;

/**
 * A message encoded once, for any number of peers: its frame as a server sends it, and where in it the
 * payload begins, for those who must mask. It is compressed once for all who share a deflater.
 */
export class PreparedMessage implements EncodedMessage {
  readonly opcode: number;
  readonly frame: Uint8Array;
  readonly payloadStart: number;
  /** Whether it may be compressed. */
  readonly compress: boolean;
  /** How it is compressed by each deflater, or who waits for that. */
  #deflated: Map<Deflater, EncodedMessage | WhenDeflated[]> | undefined = undefined;

  /** @param frame a whole frame as a server sends it, unfragmented and unmasked. */
  constructor(opcode: number, frame: Uint8Array, payloadStart: number, compress: boolean) {
    this.opcode = opcode;
    this.frame = frame;
    this.payloadStart = payloadStart;
    this.compress = compress;
  }

  /** @param isBrief whether it is sent at once and then forgotten. */
  static encode(
    data: string | Uint8Array,
    platform: Platform,
    compress: boolean,
    isBrief = false,
  ): PreparedMessage {
    const isText = typeof data === 'string';
    const length = isText ? platform.utf8Length(data) : data.length;
    const opcode = isText ? TEXT : BINARY;
    const size = headerSize(length) + length;
    const frame = isBrief ? platform.allocateBrief(size) : platform.allocate(size);
    const payloadStart = writeHeader(frame, 0, opcode, length, false);
    if (isText) platform.encodeUtf8(data, frame, payloadStart, length);
    else frame.set(data, payloadStart);
    return new PreparedMessage(opcode, frame, payloadStart, compress);
  }

  /** Bytes of the payload. */
  get size(): number {
    return this.frame.length - this.payloadStart;
  }

  /** As compressed by a deflater; undefined where that has not been done yet. */
  deflatedBy(deflater: Deflater): EncodedMessage | undefined {
    const found = this.#deflated?.get(deflater);
    return Array.isArray(found) ? undefined : found;
  }

  /** Compresses it now. */
  deflate(deflater: Deflater, platform: Platform): EncodedMessage {
    const length = deflater.deflate(this.frame, this.payloadStart, this.frame.length, true);
    return this.#keep(deflater, deflater.output.subarray(0, length), platform);
  }

  /**
   * Compresses it on another thread, once however often this is called, and tells of it later. Returns
   * whether this is the first call.
   */
  deflateLater(deflater: Deflater, platform: Platform, done: WhenDeflated): boolean {
    const found = this.#deflated?.get(deflater);
    if (Array.isArray(found)) {
      found.push(done);
      return false;
    }
    const waiting = [done];
    this.#deflated ??= new Map();
    this.#deflated.set(deflater, waiting);
    deflater.deflateLater(this.frame.subarray(this.payloadStart), (compressed) => {
      const message = this.#keep(deflater, compressed, platform);
      for (const tell of waiting) tell(message);
    });
    return true;
  }

  #keep(deflater: Deflater, compressed: Uint8Array, platform: Platform): EncodedMessage {
    // What compression does not make shorter goes as it is: RSV1 is each message's own (RFC 7692 6).
    const message = compressed.length < this.size ? this.#frameOf(compressed, platform) : this;
    this.#deflated ??= new Map();
    this.#deflated.set(deflater, message);
    return message;
  }

  #frameOf(compressed: Uint8Array, platform: Platform): EncodedMessage {
    const opcode = this.opcode | RSV1;
    const frame = platform.allocate(headerSize(compressed.length) + compressed.length);
    const payloadStart = writeHeader(frame, 0, opcode, compressed.length, false);
    frame.set(compressed, payloadStart);
    return { opcode, frame, payloadStart };
  }
}
