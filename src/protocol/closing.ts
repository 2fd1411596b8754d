import { CloseCode } from './close-codes.ts';
import type { ConnectionEnd } from './connection-host.ts';
import { type ErrorCode, errorTable } from './errors.ts';

/** How a connection ends, from the first close frame or failure on. */
export interface Closing {
  /** When the transport is cut off. */
  deadline: number;
  /** What the peer's close frame said. */
  code: number | undefined;
  reason: string;
  /** Why we broke it off. */
  error: ErrorCode | undefined;
}

/** What it comes to once the transport is gone. */
export function endOf(closing: Closing | undefined): ConnectionEnd {
  if (closing?.code !== undefined) {
    return { code: closing.code, reason: closing.reason, error: undefined };
  }
  // RFC 6455 7.1.5: without a close frame the connection counts as closed with 1006.
  const error = closing?.error ?? 'CONNECTION_LOST';
  const { closeCode = CloseCode.ABNORMAL, message } = errorTable[error];
  return { code: closeCode, reason: closeCode === CloseCode.ABNORMAL ? '' : message, error };
}
