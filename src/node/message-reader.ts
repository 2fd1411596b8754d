import { CloseCode } from '../protocol/close-codes.ts';
import { ApertoError } from '../protocol/errors.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { CloseInfo } from './peer-session.ts';

/** The side of a session that a reader needs. */
export interface MessageSource {
  /** Asks for the next message. */
  pull(): void;
}

interface Waiting {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Hands messages to whoever asks. At most one lies here: while it does the peer is not read, so a slow
 * reader slows the peer and not the memory down.
 */
export class MessageReader implements AsyncIterableIterator<Message, undefined> {
  readonly #source: MessageSource;
  readonly #waiting: Waiting[] = [];
  #message: Message | undefined = undefined;
  #end: CloseInfo | undefined = undefined;
  #taken = false;

  constructor(source: MessageSource) {
    this.#source = source;
  }

  /** @throws {ApertoError} MESSAGES_TAKEN while somebody else reads. */
  [Symbol.asyncIterator](): this {
    if (this.#taken) throw new ApertoError('MESSAGES_TAKEN');
    this.#taken = true;
    return this;
  }

  /** Takes a message in; false where it has to lie here. */
  push(message: Message): boolean {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#message = message;
    else waiting.resolve({ done: false, value: message });
    return this.#waiting.length > 0;
  }

  end(info: CloseInfo): void {
    this.#end = info;
    for (const waiting of this.#waiting.splice(0)) this.#settle(waiting, info);
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    return new Promise((resolve, reject) => {
      const message = this.#message;
      if (message !== undefined) {
        this.#message = undefined;
        resolve({ done: false, value: message });
      } else if (this.#end !== undefined) {
        this.#settle({ resolve, reject }, this.#end);
      } else {
        this.#waiting.push({ resolve, reject });
        this.#source.pull();
      }
    });
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
    else reject(error ?? new ApertoError('CLOSED_BY_PEER', { detail: `code ${code}` }));
  }
}
