import type { ApertoError } from '../protocol/aperto-error.ts';
import { apertoError } from '../protocol/errors.ts';

/** What an engine's client failed with, as an error that can be matched. */
export function engineAway(cause: unknown): ApertoError {
  if (!(cause instanceof Error)) return apertoError('ENGINE_AWAY', { detail: String(cause) });
  return apertoError('ENGINE_AWAY', { detail: cause.message, cause });
}
