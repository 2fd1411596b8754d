import type { EncodedMessage } from '../frames/frame-sender.ts';
import type { Platform } from '../platform.ts';
import type { PreparedMessage } from './prepared-message.ts';

/** How some of a batch's receivers take its messages. */
export interface MessageEncoding {
  /** The message as these receivers get it; undefined where that is not known yet. */
  encode(message: PreparedMessage): EncodedMessage | undefined;
}

/** Messages that go to many peers, joined once for all that take them the same way. */
export class MessageBatch {
  readonly messages: readonly PreparedMessage[];
  readonly #platform: Platform;
  #plain: Uint8Array | undefined = undefined;
  #encoded: Map<MessageEncoding, Uint8Array | undefined> | undefined = undefined;

  constructor(messages: readonly PreparedMessage[], platform: Platform) {
    this.messages = messages;
    this.#platform = platform;
  }

  /** The frames one behind the other, uncompressed, as a server sends them. */
  get plainFrames(): Uint8Array {
    this.#plain ??= this.#join(this.messages);
    return this.#plain;
  }

  /** Whether these frames, which are the batch's, are the uncompressed ones. */
  arePlain(frames: Uint8Array): boolean {
    return frames === this.#plain;
  }

  /** The frames as an encoding makes them; undefined where one of them is not there yet. */
  framesOf(encoding: MessageEncoding): Uint8Array | undefined {
    this.#encoded ??= new Map();
    if (!this.#encoded.has(encoding)) this.#encoded.set(encoding, this.#encode(encoding));
    return this.#encoded.get(encoding);
  }

  #encode(encoding: MessageEncoding): Uint8Array | undefined {
    const encoded: EncodedMessage[] = [];
    let arePlain = true;
    for (const message of this.messages) {
      const one = encoding.encode(message);
      if (one === undefined) return undefined;
      arePlain &&= one === message;
      encoded.push(one);
    }
    return arePlain ? this.plainFrames : this.#join(encoded);
  }

  #join(messages: readonly EncodedMessage[]): Uint8Array {
    const [first] = messages;
    if (messages.length === 1 && first !== undefined) return first.frame;
    let size = 0;
    for (const { frame } of messages) size += frame.length;
    const frames = this.#platform.allocateBrief(size);
    let at = 0;
    for (const { frame } of messages) {
      frames.set(frame, at);
      at += frame.length;
    }
    return frames;
  }
}
