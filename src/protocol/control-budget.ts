import type { Limits } from './limits.ts';

/** Counts control frames against a rate with a burst, as a bucket that refills with time. */
export class ControlBudget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #filledAt: number;

  constructor(limits: Limits, now: number) {
    this.#perMs = limits.controlFramesPerSecond / 1000;
    this.#burst = limits.controlFrameBurst;
    this.#left = limits.controlFrameBurst;
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
