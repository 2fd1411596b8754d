import type { Limits } from './limits.ts';

/** Counts control frames against a rate with a burst, as a bucket that refills with time. */
export class ControlBudget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #filledAt: number;

  constructor(limits: Limits, now: number) {
    const { controlFramesPerSecond: rate, controlFrameBurst: burst } = limits;
    this.#perMs = rate / 1000;
    // Without a rate there is no limit: the bucket never empties.
    this.#burst = rate === Number.POSITIVE_INFINITY ? rate : burst;
    this.#left = this.#burst;
    this.#filledAt = now;
  }

  /** Takes one; false where there is none left. */
  spend(now: number): boolean {
    if (this.#left < 1) {
      const refill = (now - this.#filledAt) * this.#perMs;
      this.#left = Math.min(this.#burst, this.#left + refill);
      this.#filledAt = now;
    }
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
