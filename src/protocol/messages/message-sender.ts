import type { AgreedCompression } from '../extensions/agreed-compression.ts';
import type { FrameSender, FrameSink } from '../frames/frame-sender.ts';
import { BINARY } from '../opcodes.ts';
import type { MessageBatch } from './message-batch.ts';
import type { MessageDeflater } from './message-deflater.ts';
import type { PreparedMessage } from './prepared-message.ts';

/** What a sender needs of a connection's settings. */
export interface SenderSettings {
  readonly sender: FrameSender;
  readonly compression: AgreedCompression | undefined;
}

/** A connection's way out: its messages, compressed where that was agreed on, as frames into a sink. */
export class MessageSender<Settings extends SenderSettings = SenderSettings> {
  protected readonly settings: Settings;
  readonly #sink: FrameSink;
  /** There once a message was sent, where compression was agreed on. */
  #deflater: MessageDeflater | undefined = undefined;

  constructor(sink: FrameSink, settings: Settings) {
    this.#sink = sink;
    this.settings = settings;
  }

  sendText(text: string, compress: boolean): void {
    const deflater = compress ? this.#whereAgreed() : undefined;
    if (deflater === undefined) this.settings.sender.text(this.#sink, text);
    else deflater.text(this.#sink, text);
  }

  sendBinary(payload: Uint8Array, compress: boolean): void {
    const deflater = compress ? this.#whereAgreed() : undefined;
    if (deflater === undefined) this.sendBytes(BINARY, payload);
    else deflater.bytes(this.#sink, BINARY, payload);
  }

  sendPrepared(message: PreparedMessage, compress: boolean): void {
    const deflater = compress && message.compress ? this.#whereAgreed() : undefined;
    if (deflater === undefined) this.settings.sender.encoded(this.#sink, message);
    else deflater.prepared(this.#sink, message);
  }

  /** A frame as it is: RFC 7692 6.1 leaves control frames alone. */
  sendBytes(opcode: number, payload: Uint8Array): void {
    this.settings.sender.bytes(this.#sink, opcode, payload);
  }

  /** A batch's frames as the peer takes them; undefined where its messages are to be sent one by one. */
  framesOf(batch: MessageBatch): Uint8Array | undefined {
    const deflater = this.#whereAgreed();
    return deflater === undefined ? batch.plainFrames : deflater.framesOf(batch);
  }

  /** Messages that were sent do not reach the peer after all, so that no other may refer to them. */
  discarded(): void {
    this.#deflater?.forget();
  }

  protected closeDeflater(): void {
    this.#deflater?.close();
    this.#deflater = undefined;
  }

  #whereAgreed(): MessageDeflater | undefined {
    const { compression } = this.settings;
    if (compression === undefined) return undefined;
    this.#deflater ??= compression.newDeflater();
    return this.#deflater;
  }
}
