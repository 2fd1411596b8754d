/** Compressed payloads by hand (RFC 7692 7.2): nothing of it comes from the library under test. */
import assert from 'node:assert/strict';
import { constants, deflateRawSync, inflateRawSync, type ZlibOptions } from 'node:zlib';

/** RSV1, for the first byte of a frame. */
export const RSV1 = 0x40;

/** What each payload lacks at its end. */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);

/** One message's payload. With a `dictionary`, which are messages before it, it may refer to these. */
export function deflated(message: string | Uint8Array, options: ZlibOptions = {}): Buffer {
  const flushed = deflateRawSync(message, { ...options, finishFlush: constants.Z_SYNC_FLUSH });
  assert.deepEqual(flushed.subarray(-4), TAIL);
  return flushed.subarray(0, -4);
}

/** The message of a payload. */
export function inflated(payload: Uint8Array, options: ZlibOptions = {}): Buffer {
  return inflateRawSync(Buffer.concat([payload, TAIL]), {
    ...options,
    finishFlush: constants.Z_SYNC_FLUSH,
  });
}

const zeros = deflated(Buffer.alloc(16 * 1024 * 1024), { level: 9 });

/** A payload that inflates to so many times 16 MiB of zeros: a bomb of 1000 to 1. */
export function bomb(times: number): Buffer {
  const payload = Buffer.concat(Array.from({ length: times }, () => [zeros, TAIL]).flat());
  return payload.subarray(0, -4);
}
