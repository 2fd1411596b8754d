import type { ConnectionSettings } from '../connection-settings.ts';
import type { ErrorCode } from '../errors.ts';
import type { InflateJob } from '../extensions/compression.ts';
import { OPCODE, RSV1 } from '../frames/frame-rules.ts';
import { maxCompressedBytes } from '../limits.ts';
import { TEXT } from '../opcodes.ts';
import { RateBudget } from '../rate-budget.ts';
import { type Message, MessageAssembler, ownedBytes, wholeMessage } from './message-assembler.ts';
import type { Inflated, MessageInflater } from './message-inflater.ts';
import { MessageSender } from './message-sender.ts';

/**
 * A connection's way in: data frames become messages, inflated where they are compressed, within the limits. What it
 * needs is made when it is needed, and dropped after: most connections are idle.
 */
export abstract class MessageReceiver extends MessageSender<ConnectionSettings> {
  /** Whether the memory of the chunk that is being parsed is used again. */
  protected borrowed = false;
  /** There while a message is unfinished. */
  #assembler: MessageAssembler | undefined = undefined;
  /** There once a compressed message came, and while one is being inflated on another thread. */
  #inflater: MessageInflater | undefined = undefined;
  #inflating: InflateJob | undefined = undefined;
  #inflatingBytes = 0;
  /** There once a message came where their rate is limited. */
  #messageBudget: RateBudget | undefined = undefined;

  /** Whether messages are delivered. */
  protected abstract get isOpen(): boolean;
  /** When something came last. */
  abstract get heardAt(): number;
  abstract fail(error: ErrorCode): void;
  /** Has the parser stop before the next frame. */
  protected abstract stopParser(): void;
  protected abstract onMessage(message: Message): void;
  /** What was inflated on another thread has been dealt with. */
  protected abstract onInflated(): void;

  /** Whether a message is being inflated, so that nothing behind it can be taken in. */
  get inflating(): boolean {
    return this.#inflating !== undefined;
  }

  /** The parser's: a message that lies whole in the chunk. */
  wholeMessage(first: number, bytes: Uint8Array, start: number, end: number): void {
    const isText = (first & OPCODE) === TEXT;
    if ((first & RSV1) !== 0) {
      this.#compressedMessage(isText, bytes, start, end, this.borrowed);
      return;
    }
    const { platform, limits } = this.settings;
    // RFC 6455 10.4: the limit for a message, which is also a frame.
    if (end - start > limits.maxMessageBytes) {
      this.fail('MESSAGE_TOO_BIG');
      return;
    }
    const message = wholeMessage(platform, isText, bytes, start, end, this.borrowed);
    if (message === undefined) this.fail('INVALID_UTF8');
    else this.#deliver(message);
  }

  protected dataFrameStart(first: number, length: number): void {
    this.#assembler ??= new MessageAssembler(this.settings.platform, this.settings.limits);
    this.#assembler.begin(first, length);
    if (this.#assembler.error !== undefined) this.fail(this.#assembler.error);
  }

  protected dataFramePayload(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    // Where the frame's beginning has failed the connection, its payload is not handed on.
    const assembler = this.#assembler as MessageAssembler;
    if (assembler.isCompressed) {
      this.#compressedPiece(assembler, bytes, start, end, last);
      return;
    }
    const message = assembler.add(bytes, start, end, last, this.borrowed);
    if (message !== undefined) {
      this.#assembler = undefined;
      this.#deliver(message);
    } else if (assembler.error !== undefined) this.fail(assembler.error);
  }

  #compressedPiece(
    assembler: MessageAssembler,
    bytes: Uint8Array,
    start: number,
    end: number,
    last: boolean,
  ): void {
    const gathered = assembler.addCompressed(bytes, start, end, last);
    if (gathered === undefined) {
      if (assembler.error !== undefined) this.fail(assembler.error);
      return;
    }
    this.#assembler = undefined;
    const { isText } = assembler;
    // What lies whole in its chunk was not gathered.
    if (gathered === bytes) this.#compressedMessage(isText, bytes, start, end, this.borrowed);
    else this.#compressedMessage(isText, gathered, 0, gathered.length, false);
  }

  /** A compressed message's payload is complete. */
  #compressedMessage(
    isText: boolean,
    bytes: Uint8Array,
    start: number,
    end: number,
    borrowed: boolean,
  ): void {
    const { compression, limits } = this.settings;
    // Who has asked to close is not handed what still arrives; nor does anything come after it that refers to it.
    if (!this.isOpen || compression === undefined) return;
    if (end - start > maxCompressedBytes(limits.maxMessageBytes)) {
      this.fail('MESSAGE_TOO_BIG');
      return;
    }
    this.#inflater ??= compression.newInflater();
    if (!this.#inflater.isLarge(end - start)) {
      this.#inflated(this.#inflater.inflate(isText, bytes, start, end));
      return;
    }
    const { unfinished } = this.settings.platform;
    if (!unfinished.take(end - start, limits.maxUnfinishedBytes)) {
      this.fail('OVERLOADED');
      return;
    }
    this.#inflatingBytes = end - start;
    this.stopParser();
    // Not `slice`: of a Buffer that is no copy.
    const payload = ownedBytes(bytes, start, end, borrowed);
    this.#inflating = this.#inflater.inflateLater(isText, payload, (inflated) => {
      this.#inflatingEnded();
      this.#inflated(inflated);
      this.onInflated();
    });
  }

  #inflatingEnded(): void {
    this.#inflating = undefined;
    this.settings.platform.unfinished.giveBack(this.#inflatingBytes);
    this.#inflatingBytes = 0;
  }

  #inflated(inflated: Inflated): void {
    if ('error' in inflated) this.fail(inflated.error);
    else this.#deliver(inflated.message);
  }

  #deliver(message: Message): void {
    // Who has asked to close is not handed what still arrives.
    if (!this.isOpen) return;
    const { messagesPerSecond } = this.settings.limits;
    const isLimited = messagesPerSecond !== Number.POSITIVE_INFINITY;
    if (isLimited && !this.#mayDeliver(messagesPerSecond)) this.fail('MESSAGE_FLOOD');
    else this.onMessage(message);
  }

  #mayDeliver(perSecond: number): boolean {
    const now = this.heardAt;
    this.#messageBudget ??= new RateBudget(perSecond, this.settings.limits.messageBurst, now);
    return this.#messageBudget.spend(now);
  }

  /** Nothing that is unfinished will be finished. */
  protected giveUpMessages(): void {
    this.closeDeflater();
    this.#assembler?.release();
    this.#assembler = undefined;
    this.#inflating?.cancel();
    this.#inflatingEnded();
    this.#inflater?.close();
    this.#inflater = undefined;
  }
}
