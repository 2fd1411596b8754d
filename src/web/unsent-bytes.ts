import type { Link } from './link.ts';

/** What is handed over in one task is told apart in steps of this size. */
const STEP = 64 * 1024;

/** Up to where the application's bytes reach in what the transport takes. */
interface Mark {
  readonly bytes: number;
  readonly taken: number;
}

/**
 * Counts the application's bytes that have not been transmitted (`bufferedAmount`,
 * https://websockets.spec.whatwg.org/#dom-websocket-bufferedamount): without framing, as they were before
 * compression, as of the beginning of the current task, and not forgotten where the connection ends.
 */
export class UnsentBytes {
  /** Not handed over: they wait for a Blob, or came when the connection was closing. */
  #kept = 0;
  /** Handed over since the beginning. */
  #sent = 0;
  /** Transmitted of those. */
  #transmitted = 0;
  #marks: Mark[] = [];
  #marked = 0;

  get amount(): number {
    return this.#kept + this.#sent - this.#transmitted;
  }

  keep(bytes: number): void {
    this.#kept += bytes;
  }

  /** So many bytes were handed over to the link just now. */
  send(bytes: number, link: Link): void {
    this.#sent += bytes;
    if (this.#sent - this.#marked >= STEP) this.#mark(link);
  }

  /** So many of those that were kept. */
  sendKept(bytes: number, link: Link): void {
    this.#kept -= bytes;
    this.send(bytes, link);
  }

  /** A task has ended: takes note of what has been transmitted. Returns whether all has. */
  update(link: Link): boolean {
    if (link.isOpen && link.bufferedAmount === 0) {
      this.#transmitted = this.#sent;
      this.#marks = [];
      this.#marked = this.#sent;
      return true;
    }
    if (this.#sent > this.#marked) this.#mark(link);
    const waiting = this.#marks.findIndex(({ taken }) => taken > link.bytesTaken);
    const done = this.#marks.splice(0, waiting < 0 ? this.#marks.length : waiting).at(-1);
    if (done !== undefined) this.#transmitted = done.bytes;
    return this.#transmitted === this.#sent;
  }

  #mark(link: Link): void {
    this.#marks.push({ bytes: this.#sent, taken: link.bytesTaken + link.bufferedAmount });
    this.#marked = this.#sent;
  }
}
