import type { ApertoError } from '../protocol/aperto-error.ts';
import { apertoError } from '../protocol/errors.ts';

/** What an engine's client failed with, as an error that can be matched. */
export function engineAway(cause: unknown): ApertoError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return apertoError('ENGINE_AWAY', { detail, cause });
}
