import { type ClientErrorCode, clientError } from '../protocol/client-errors.ts';

/** @throws {ApertoError} of that code, where the application has made a mistake */
export function ensure(isRight: boolean, code: ClientErrorCode, detail: unknown): asserts isRight {
  if (!isRight) throw clientError(code, { detail: String(detail) });
}
