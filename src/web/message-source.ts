import type { Link } from './link.ts';

/**
 * So many bytes may wait to be read before the link is held. Behind what waits on a held link nothing is noticed: no
 * ping is answered, and no close is seen. Chromium counts a single message, but its network process reads on and does
 * both for as much as its buffers hold.
 */
const HIGH_WATER_MARK = 64 * 1024;

/** What a message that waits counts for besides its length. */
const MESSAGE_OVERHEAD = 64;

/** The readable side of a WebSocketStream: the messages of a link, which is held while nobody reads. */
export class MessageSource {
  readonly readable: ReadableStream<string | Uint8Array>;
  readonly #link: Link;
  /** Until the stream is closed, errored or cancelled. */
  #controller: ReadableStreamDefaultController<string | Uint8Array> | undefined = undefined;
  /** "Currently applying backpressure" */
  #isHeld = false;

  /** @param cancelled called when the reader wants no more */
  constructor(link: Link, cancelled: (reason: unknown) => void) {
    this.#link = link;
    // Constructor step 7 applies backpressure from the beginning. The stream pulls at once, so that it is enough to
    // apply it once a message waits.
    this.readable = new ReadableStream<string | Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        // "To pull bytes": if stream is currently applying backpressure, release backpressure.
        pull: () => {
          if (!this.#isHeld) return;
          this.#isHeld = false;
          link.release();
        },
        cancel: (reason: unknown) => {
          this.#controller = undefined;
          cancelled(reason);
        },
      },
      { highWaterMark: HIGH_WATER_MARK, size: (message) => message.length + MESSAGE_OVERHEAD },
    );
  }

  push(message: string | Uint8Array): void {
    const controller = this.#controller;
    if (controller === undefined) return;
    controller.enqueue(message);
    if ((controller.desiredSize ?? 0) > 0) return;
    this.#isHeld = true;
    this.#link.hold();
  }

  /** No message follows those that wait. */
  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
  }

  error(reason: unknown): void {
    this.#controller?.error(reason);
    this.#controller = undefined;
  }
}
