import type { MessageStream } from './message-stream.ts';

/** Timers strike up to this much late; what is due sooner is waited for by looking at the clock. */
const TIMER_SLACK_MS = 2;

/**
 * Sends at a constant rate, by the streams in turn, whatever comes back: message k is due k/rate seconds
 * after the start, and counts as sent then, however late it leaves.
 */
export class OpenLoop {
  readonly #msEach: number;
  readonly #streams: readonly MessageStream[];
  readonly #send: (stream: MessageStream, due: number) => void;
  #startedAt = 0;
  /** The next message that is due, of all streams. */
  #next = 0;
  #stopped = false;

  constructor(
    rate: number,
    streams: readonly MessageStream[],
    send: (stream: MessageStream, due: number) => void,
  ) {
    this.#msEach = 1000 / rate;
    this.#streams = streams;
    this.#send = send;
  }

  start(): void {
    this.#startedAt = performance.now();
    this.#run();
  }

  stop(): void {
    this.#stopped = true;
  }

  readonly #run = (): void => {
    if (this.#stopped) return;
    const now = performance.now();
    for (let due = this.#dueAt(this.#next); due <= now; due = this.#dueAt(this.#next)) {
      const stream = this.#streams[this.#next % this.#streams.length] as MessageStream;
      this.#next++;
      if (!stream.blocked) this.#send(stream, due);
    }
    const wait = this.#dueAt(this.#next) - performance.now() - TIMER_SLACK_MS;
    if (wait > 0) setTimeout(this.#run, wait);
    else setImmediate(this.#run);
  };

  #dueAt(message: number): number {
    return this.#startedAt + message * this.#msEach;
  }

  /** Sends what became due while the stream was blocked. */
  catchUp(stream: MessageStream): void {
    const { length } = this.#streams;
    while (!this.#stopped && !stream.blocked) {
      const message = (stream.next - stream.index) * length + stream.index;
      if (message >= this.#next) return;
      this.#send(stream, this.#dueAt(message));
    }
  }
}
