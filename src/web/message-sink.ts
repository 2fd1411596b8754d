import { Deferred } from './deferred.ts';
import type { Link } from './link.ts';
import { bufferSource, usvString } from './web-idl.ts';

/** What can be written to a WebSocketStream: a string as text, bytes as binary. */
export type WritableMessage = string | ArrayBuffer | ArrayBufferView;

/** What the writer asks of the stream. */
interface SinkOwner {
  closeWritten(): void;
  abortWritten(reason: unknown): void;
}

function closedError(): DOMException {
  return new DOMException('a closed WebSocketStream cannot be written to', 'InvalidStateError');
}

/** The writable side of a WebSocketStream: a write takes until the link has taken it. */
export class MessageSink {
  readonly writable: WritableStream<WritableMessage>;
  readonly #link: Link;
  #controller: WritableStreamDefaultController | undefined = undefined;
  /** A write that waits for room. */
  #writing: Deferred<void> | undefined = undefined;
  /** A close that waits for the closing handshake. */
  #closing: Deferred<void> | undefined = undefined;

  constructor(link: Link, owner: SinkOwner) {
    this.#link = link;
    this.writable = new WritableStream<WritableMessage>({
      start: (controller) => {
        this.#controller = controller;
        // The stream does not get to `abort` before the write has settled.
        const { signal } = controller;
        signal.addEventListener('abort', () => this.#takeWriting()?.reject(signal.reason));
      },
      write: (chunk) => this.#write(chunk),
      close: () => {
        this.#closing = new Deferred();
        owner.closeWritten();
        return this.#closing.promise;
      },
      abort: (reason: unknown) => owner.abortWritten(reason),
    });
  }

  /** Whether something is written that the link has not taken. */
  get isWriting(): boolean {
    return this.#writing !== undefined;
  }

  /** "To write chunk to a WebSocketStream" */
  #write(chunk: unknown): Promise<void> | undefined {
    const link = this.#link;
    // 2 to 5. A BufferSource is sent as binary; anything else converted to a USVString, which may throw, as text.
    const message = bufferSource(chunk) ?? usvString(chunk);
    // 6.2. Only if the closing handshake has not yet started. To resolve all the same would hide a loss.
    if (!link.isOpen) throw closedError();
    // 6.1. Wait until there is sufficient buffer space: for the next one, that is. The link has room for this.
    // 6.3. Resolve promise.
    if (link.send(message)) return undefined;
    this.#writing = new Deferred();
    return this.#writing.promise;
  }

  /** The write that waits, which is settled by who takes it. */
  #takeWriting(): Deferred<void> | undefined {
    const writing = this.#writing;
    this.#writing = undefined;
    return writing;
  }

  /** The link has taken something. */
  progress(): void {
    // All of it, as with Node's streams. What the transport has taken keeps the network busy meanwhile.
    if (this.#link.bufferedAmount === 0) this.#takeWriting()?.resolve();
  }

  /** The other side has closed: nothing more can be written. A write that waits may still be taken. */
  peerClosed(): void {
    if (this.#closing === undefined) this.#controller?.error(closedError());
  }

  /** The connection has ended: cleanly, or with an error. */
  ended(error: DOMException | undefined): void {
    if (this.#closing === undefined) this.#controller?.error(error ?? closedError());
    else if (error === undefined) this.#closing.resolve();
    else this.#closing.reject(error);
    this.#takeWriting()?.reject(error ?? closedError());
  }
}
