import type { ClientPeer } from '../../index.ts';

/** The messages of one sender, by turn, from the first that somebody still waits for. Both ends only grow. */
export class MessageStream {
  /** Undefined before it is open, and once it is lost. */
  sender: ClientPeer | undefined = undefined;
  /** Connections that are to receive what is sent from now on. */
  receivers = 0;
  /** Whether the sender takes no more until `drain`. */
  blocked = false;
  /** Its place among the streams, and its first turn. */
  readonly index: number;
  /** The next turn to send. */
  next: number;
  /** The oldest turn on its way; `next` where there is none. */
  first: number;

  // Rings: of each turn on its way, when it was sent, and how many still wait for it.
  #times: Float64Array;
  #waiting: Uint32Array;
  #mask: number;

  /** Room for `room` messages on their way; grows where it is not enough. */
  constructor(index: number, room: number) {
    this.index = index;
    this.next = index;
    this.first = index;
    const size = 2 ** Math.ceil(Math.log2(room));
    this.#times = new Float64Array(size);
    this.#waiting = new Uint32Array(size);
    this.#mask = size - 1;
  }

  /** Notes that the next turn is sent. */
  push(time: number): void {
    if (this.next - this.first > this.#mask) this.#grow();
    const at = this.next & this.#mask;
    this.#times[at] = time;
    this.#waiting[at] = this.receivers;
    this.next++;
  }

  sentAt(turn: number): number {
    return this.#times[turn & this.#mask] as number;
  }

  /**
   * One receiver waits for that turn no longer. Returns whether nobody does; that comes in order, because
   * each receiver goes in order.
   */
  received(turn: number): boolean {
    const at = turn & this.#mask;
    const waiting = (this.#waiting[at] as number) - 1;
    this.#waiting[at] = waiting;
    if (waiting > 0) return false;
    this.first = turn + 1;
    return true;
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2);
    const waiting = new Uint32Array(times.length);
    const mask = times.length - 1;
    for (let turn = this.first; turn < this.next; turn++) {
      times[turn & mask] = this.#times[turn & this.#mask] as number;
      waiting[turn & mask] = this.#waiting[turn & this.#mask] as number;
    }
    this.#times = times;
    this.#waiting = waiting;
    this.#mask = mask;
  }
}
