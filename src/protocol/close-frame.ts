import { CloseCode, isWireCloseCode } from './close-codes.ts';
import type { ErrorCode } from './errors.ts';
import type { Platform } from './platform.ts';

/** What a close frame says. */
export interface CloseStatus {
  readonly code: number;
  readonly reason: string;
}

const NONE = new Uint8Array(0);

/** Reads the payload of a close frame (RFC 6455 5.5.1). */
export function readClosePayload(
  payload: Uint8Array,
  platform: Platform,
): CloseStatus | { readonly error: ErrorCode } {
  // RFC 6455 7.1.5: a close frame without a code counts as 1005.
  if (payload.length === 0) return { code: CloseCode.NO_STATUS, reason: '' };
  // RFC 6455 5.5.1: a payload begins with a two-byte code.
  if (payload.length === 1) return { error: 'CLOSE_LENGTH' };
  const code = (payload[0] << 8) | payload[1];
  // RFC 6455 7.4: reserved codes must not be sent.
  if (!isWireCloseCode(code)) return { error: 'CLOSE_CODE' };
  const reason = platform.decodeUtf8(payload, 2, payload.length);
  // RFC 6455 5.5.1, 8.1: the reason is UTF-8.
  return reason === undefined ? { error: 'INVALID_UTF8' } : { code, reason };
}

/** The payload of a close frame; empty without a code. */
export function closePayload(code: number | undefined, reason: Uint8Array): Uint8Array {
  if (code === undefined) return NONE;
  const payload = new Uint8Array(2 + reason.length);
  payload[0] = code >>> 8;
  payload[1] = code;
  payload.set(reason, 2);
  return payload;
}
