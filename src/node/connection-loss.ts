import { CANCEL } from './http2-stream.ts';

/** After how many seconds of silence proxies and load balancers are known to end a connection. */
const IDLE_LIMITS = [30, 50, 55, 60, 75, 90, 100, 120, 180, 240, 300, 350, 600, 900, 1800, 3600];
/** Their clocks and ours differ by so many seconds. */
const PRECISION = 1.5;

/** What is seen first of a connection's end. */
export interface Loss {
  /** When, in milliseconds. */
  readonly at: number;
  /** What the stream failed with; undefined where it was ended. */
  readonly failure: Error | undefined;
  /** What a stream of HTTP/2 was reset with; 0 where it was not, or is none. */
  readonly resetCode: number;
}

/**
 * What is known of a connection that ended without a close frame.
 * @param heardAt when something came last.
 */
export function describeLoss({ at, failure, resetCode }: Loss, heardAt: number): string {
  // What was read before the end may have been taken in after it.
  const silentMs = Math.max(0, at - heardAt);
  const seconds = silentMs / 1000;
  const when = `${seconds.toFixed(seconds < 10 ? 1 : 0)} s after something had come last`;
  const limit = IDLE_LIMITS.find((idle) => Math.abs(seconds - idle) <= PRECISION);
  const proxy =
    limit === undefined ? '' : `; a proxy on the way may end what is silent for ${limit} s`;
  return `${howOf(failure, resetCode)}, ${when}${proxy}`;
}

function howOf(failure: Error | undefined, resetCode: number): string {
  // RFC 8441 5: CANCEL is what a reset of a TCP connection is there.
  if (resetCode === CANCEL) return 'it was reset';
  if (resetCode !== 0) return `it was reset (HTTP/2 error ${resetCode})`;
  if (failure === undefined) return 'it was ended';
  const code = 'code' in failure ? String(failure.code) : failure.message;
  switch (code) {
    case 'ECONNRESET':
      return 'it was reset';
    case 'EPIPE':
      return 'it was ended while something was being sent';
    case 'ETIMEDOUT':
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `the network gave up (${code})`;
    default:
      return `it failed (${code})`;
  }
}
