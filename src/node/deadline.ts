/** The longest that a timer of Node can be set; more than that it takes for 1 ms. 24 days. */
export const LONGEST_TIMER_MS: number = 2 ** 31 - 1;

/** `setTimeout` for a limit: one of `Infinity`, or longer than Node can count, never strikes. */
export function deadline(ms: number, strike: () => void): NodeJS.Timeout | undefined {
  return ms > LONGEST_TIMER_MS ? undefined : setTimeout(strike, ms);
}
