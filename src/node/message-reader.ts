import { CloseCode } from '../protocol/close-codes.ts';
import { apertoError } from '../protocol/errors.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { CloseInfo } from './peer-handlers.ts';

/** The side of a session that a reader needs. */
export interface MessageSource {
  /** There is room again after `push` returned false. */
  pull(): void;
}

interface Waiting {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** What a message that lies here counts for besides its length. */
const MESSAGE_OVERHEAD = 64;

/**
 * Hands messages to whoever asks. So many bytes of them may lie here; then the peer is not read, so that a
 * slow reader slows the peer down instead of filling the memory.
 */
export class MessageReader implements AsyncIterableIterator<Message, undefined> {
  readonly #source: MessageSource;
  readonly #capacity: number;
  readonly #waiting: Waiting[] = [];
  readonly #messages: Message[] = [];
  #size = 0;
  #end: CloseInfo | undefined = undefined;
  #taken = false;

  /** @param capacity bytes that may lie here; one message always may. */
  constructor(source: MessageSource, capacity: number) {
    this.#source = source;
    this.#capacity = capacity;
  }

  /** @throws {ApertoError} MESSAGES_TAKEN while somebody else reads. */
  take(): void {
    // A loop that comes to its end does not give back; there is nothing left to take, then.
    if (this.#taken && this.#end === undefined) throw apertoError('MESSAGES_TAKEN');
    this.#taken = true;
  }

  /** For a loop over the iterator itself, as after a first `next()`. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Takes a message in; false where that was enough until `pull`. */
  push(message: Message): boolean {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) {
      waiting.resolve({ done: false, value: message });
      return true;
    }
    this.#messages.push(message);
    this.#size += message.length + MESSAGE_OVERHEAD;
    return this.#size < this.#capacity;
  }

  end(info: CloseInfo): void {
    this.#end = info;
    for (const waiting of this.#waiting.splice(0)) this.#settle(waiting, info);
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    return new Promise((resolve, reject) => {
      const message = this.#messages.shift();
      if (message !== undefined) {
        resolve({ done: false, value: message });
        this.#makeRoom(message);
      } else if (this.#end !== undefined) {
        this.#settle({ resolve, reject }, this.#end);
      } else this.#waiting.push({ resolve, reject });
    });
  }

  #makeRoom(message: Message): void {
    const wasFull = this.#size >= this.#capacity;
    this.#size -= message.length + MESSAGE_OVERHEAD;
    if (wasFull && this.#size < this.#capacity) this.#source.pull();
  }

  /** The loop was left. The peer stays open, and the next loop goes on where this one stopped. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.#taken = false;
    return Promise.resolve(DONE);
  }

  #settle({ resolve, reject }: Waiting, { code, error }: CloseInfo): void {
    const isClean =
      code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY || code === CloseCode.NO_STATUS;
    if (isClean) resolve(DONE);
    else reject(error ?? apertoError('CLOSED_BY_PEER', { detail: `code ${code}` }));
  }
}
