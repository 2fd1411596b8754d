import { performance } from 'node:perf_hooks';

/** What can be woken. The links are the heartbeat's. */
export abstract class Timed {
  /** When to be woken, at the latest; `Infinity` for never. */
  wakeAt: number = Number.POSITIVE_INFINITY;
  next: Timed | undefined = undefined;
  previous: Timed | undefined = undefined;
  slot = -1;

  /** Does what is due at `now`; returns when to be woken next. Waking early must do no harm. */
  abstract wake(now: number): number;
}

const TICK_MS = 100;
/** Ticks on the wheel: 51 s. What is due later is looked at once a turn. */
const SLOTS = 512;

/**
 * One coarse timer for all connections: a wheel of slots, each a list of who is to be woken in that tick.
 * Setting and clearing take the same few steps however many there are, and whoever is not due costs nothing.
 */
export class Heartbeat {
  readonly #slots: (Timed | undefined)[] = new Array<Timed | undefined>(SLOTS).fill(undefined);
  #timer: NodeJS.Timeout | undefined = undefined;
  #count = 0;
  /** The tick that was handled last. */
  #tick = 0;

  /** Milliseconds since the process began, whole. */
  now(): number {
    return Math.trunc(performance.now());
  }

  /** Sees to it that `timed` is woken at `at` or a little later, if not before. */
  wakeBy(timed: Timed, at: number): void {
    if (at >= timed.wakeAt) return;
    this.clear(timed);
    timed.wakeAt = at;
    this.#insert(timed);
  }

  clear(timed: Timed): void {
    if (timed.slot < 0) return;
    if (timed.previous === undefined) this.#slots[timed.slot] = timed.next;
    else timed.previous.next = timed.next;
    if (timed.next !== undefined) timed.next.previous = timed.previous;
    timed.next = undefined;
    timed.previous = undefined;
    timed.slot = -1;
    timed.wakeAt = Number.POSITIVE_INFINITY;
    if (--this.#count === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #insert(timed: Timed): void {
    if (this.#count++ === 0) this.#start();
    const due = Math.ceil(timed.wakeAt / TICK_MS);
    const tick = Math.min(Math.max(due, this.#tick + 1), this.#tick + SLOTS - 1);
    const slot = tick % SLOTS;
    const first = this.#slots[slot];
    timed.slot = slot;
    timed.next = first;
    if (first !== undefined) first.previous = timed;
    this.#slots[slot] = timed;
  }

  #start(): void {
    this.#tick = Math.floor(this.now() / TICK_MS);
    // After a stall the timers come before the sockets are read: what has arrived meanwhile is taken in
    // first, so that no peer is held dead for our own silence.
    this.#timer = setInterval(() => setImmediate(() => this.#run()), TICK_MS);
    this.#timer.unref();
  }

  #run(): void {
    const now = this.now();
    const until = Math.floor(now / TICK_MS);
    // A stall longer than a turn of the wheel must not visit a slot twice.
    this.#tick = Math.max(this.#tick, until - SLOTS);
    while (this.#tick < until) {
      this.#tick++;
      this.#wakeSlot(this.#tick % SLOTS, now);
    }
  }

  #wakeSlot(slot: number, now: number): void {
    // Whoever is set again here goes to a later slot, so the list comes to its end.
    for (let timed = this.#slots[slot]; timed !== undefined; timed = this.#slots[slot]) {
      this.clear(timed);
      this.wakeBy(timed, timed.wake(now));
    }
  }
}

/** The process's own. */
export const heartbeat: Heartbeat = new Heartbeat();
