import type { Message } from '../protocol/messages/message-assembler.ts';
import type { MessageBatch } from '../protocol/messages/message-batch.ts';
import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import { TEXT } from '../protocol/opcodes.ts';
import { isPromise } from './is-promise.ts';
import { nodePlatform } from './node-platform.ts';
import type { TopicSubscriber } from './peer-topics.ts';

/** What a server does itself with what is published to a topic. */
export interface TopicListener {
  /** A message, by whichever server it was published. Bytes are shared with others, and not to be changed. */
  message(data: Message, topic: string): unknown;
  /** Messages of other servers may have been lost on their way to this one. */
  gap?(topic: string): unknown;
}

/** Calls a listener as if it were a peer. */
export class ListeningSubscriber implements TopicSubscriber {
  readonly #topic: string;
  readonly #listener: TopicListener;
  readonly #report: (error: unknown) => void;
  #isStopped = false;

  constructor(topic: string, listener: TopicListener, report: (error: unknown) => void) {
    this.#topic = topic;
    this.#listener = listener;
    this.#report = report;
  }

  /** Calls it no more, though it be in the middle of a batch. */
  stop(): void {
    this.#isStopped = true;
  }

  deliver({ messages }: MessageBatch): void {
    for (const message of messages) {
      if (this.#isStopped) return;
      this.#call(() => this.#listener.message(contentOf(message), this.#topic));
    }
  }

  missed(): void {
    this.#call(() => this.#listener.gap?.(this.#topic));
  }

  #call(handler: () => unknown): void {
    try {
      // What is awaited in vain must not end the process.
      const settled = handler();
      if (isPromise(settled)) settled.then(undefined, this.#report);
    } catch (error) {
      this.#report(error);
    }
  }
}

function contentOf({ opcode, frame, payloadStart }: PreparedMessage): Message {
  // Plain bytes, as those of a peer's message.
  if (opcode !== TEXT) {
    return new Uint8Array(
      frame.buffer,
      frame.byteOffset + payloadStart,
      frame.length - payloadStart,
    );
  }
  // It was encoded from a string, or checked when it came.
  return nodePlatform.decodeUtf8(frame, payloadStart, frame.length) ?? '';
}
