/**
 * How long to wait before trying again, with full jitter: anything from nothing to a ceiling that
 * doubles with each attempt. After a restart of the server its visitors come back spread out.
 *
 * @param attempt 0 for the first.
 * @param random a number from 0 to 1.
 * @returns milliseconds.
 */
export function backoff(
  attempt: number,
  random: number = Math.random(),
  firstMs: number = 1000,
  mostMs: number = 30_000,
): number {
  // 2 ** 1024 is Infinity, which the ceiling turns into itself.
  return random * Math.min(mostMs, firstMs * 2 ** attempt);
}
