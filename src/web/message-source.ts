import type { Link } from './link.ts';

/**
 * Where the link cannot be held, as a browser's WebSocket cannot: what may wait to be read, before the message
 * that is too much. A page that is this far behind would end without memory.
 */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;

/** What a message takes of memory; an empty one waits too. */
function bytesOf(message: string | Uint8Array): number {
  return Math.max(1, typeof message === 'string' ? message.length * 2 : message.byteLength);
}

/** The readable side of a WebSocketStream: the messages of a link, which is held while nobody reads. */
export class MessageSource {
  readonly readable: ReadableStream<string | Uint8Array>;
  readonly #link: Link;
  /** Until the stream is closed, errored or cancelled. */
  #controller: ReadableStreamDefaultController<string | Uint8Array> | undefined = undefined;

  /** @param cancelled called when the reader wants no more */
  constructor(link: Link, cancelled: (reason: unknown) => void) {
    this.#link = link;
    // "Apply backpressure to the WebSocket": nothing is delivered before the stream asks for it.
    link.hold();
    this.readable = new ReadableStream<string | Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        // "To pull bytes": if stream is currently applying backpressure, release backpressure.
        pull: () => link.release(),
        cancel: (reason: unknown) => {
          this.#controller = undefined;
          cancelled(reason);
        },
      },
      // One message is fetched ahead, so that a reader seldom waits, and no more, since messages may be large.
      // That is Chromium's count of one. Weighed in bytes any message fills the queue alike, and `desiredSize`
      // tells how many bytes wait.
      { highWaterMark: 1, size: bytesOf },
    );
  }

  /** Returns false where the message was refused, since too much waits. */
  push(message: string | Uint8Array): boolean {
    const controller = this.#controller;
    if (controller === undefined) return true;
    if ((controller.desiredSize ?? 0) <= -MAX_WAITING_BYTES) return false;
    controller.enqueue(message);
    if ((controller.desiredSize ?? 0) <= 0) this.#link.hold();
    return true;
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
