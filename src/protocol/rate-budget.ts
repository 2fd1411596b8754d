/** The bucket counts thousandths: what one a second gives in a millisecond, so that all stays whole. */
const ONE = 1000;

/** Counts frames or messages against a rate with a burst, as a bucket that refills with time. */
export class RateBudget {
  readonly #perMs: number;
  readonly #burst: number;
  #left: number;
  #filledAt: number;

  /** @param perSecond in the long run; `Infinity` for no limit. */
  constructor(perSecond: number, burst: number, now: number) {
    this.#perMs = perSecond;
    // Without a rate there is no limit: the bucket never empties.
    this.#burst = perSecond === Number.POSITIVE_INFINITY ? perSecond : burst * ONE;
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
    if (this.#left < ONE) return false;
    this.#left -= ONE;
    return true;
  }
}
