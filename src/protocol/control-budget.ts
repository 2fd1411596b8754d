import type { Limits } from './limits.ts';

/** The bucket counts thousandths: what one frame a second gives in a millisecond, so that all stays whole. */
const FRAME = 1000;

/** Counts control frames against a rate with a burst, as a bucket that refills with time. */
export class ControlBudget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #filledAt: number;

  constructor(limits: Limits, now: number) {
    const { controlFramesPerSecond: rate, controlFrameBurst: burst } = limits;
    this.#perMs = rate;
    // Without a rate there is no limit: the bucket never empties.
    this.#burst = rate === Number.POSITIVE_INFINITY ? rate : burst * FRAME;
    this.#left = this.#burst;
    this.#filledAt = now;
  }

  /** Takes one; false where there is none left. */
  spend(now: number): boolean {
    // Also while some are left: a refill that waited for the last would come on top of the burst.
    if (now > this.#filledAt) {
      const refill = (now - this.#filledAt) * this.#perMs;
      this.#left = Math.min(this.#burst, this.#left + refill);
      this.#filledAt = now;
    }
    if (this.#left < FRAME) return false;
    this.#left -= FRAME;
    return true;
  }
}
