import { ApertoError } from '../protocol/aperto-error.ts';

/** The longest that a server's Retry-After is heeded. */
const LONGEST_MS = 300_000;

/**
 * How many milliseconds a server that refused a connection wants to be left alone (Retry-After, RFC 9110 10.2.3: seconds,
 * or a date), up to five minutes; 0 where it does not say. A browser does not tell what a server answered.
 */
export function retryAfterMs(error: unknown): number {
  if (!(error instanceof ApertoError)) return 0;
  const asked = String(error.response?.headers['retry-after']);
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
  return ms > 0 ? Math.min(ms, LONGEST_MS) : 0;
}
