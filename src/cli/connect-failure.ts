import { ApertoError } from '../index.ts';
import { visible } from './transcript.ts';
import { CommandError, UsageError } from './usage.ts';

/** Codes of errors that the command line can be blamed for. */
const misuse: ReadonlySet<string> = new Set([
  'INVALID_URL',
  'INVALID_PROTOCOL',
  'INVALID_HEADER',
  'INVALID_OPTION',
]);
/** The most that is shown of a refusing response's body. */
const MAX_BODY = 500;

/** The error that tells a person why a connection could not be opened. */
export function connectFailure(error: unknown): unknown {
  if (!(error instanceof ApertoError)) return error;
  if (misuse.has(error.code)) return new UsageError(error.message);
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new CommandError(
      'too many open files: each connection takes one; raise the limit (ulimit -n), or open fewer with --connections',
    );
  }
  const body = error.response?.body.trim().slice(0, MAX_BODY) ?? '';
  return new CommandError(body === '' ? error.message : `${error.message}\n${visible(body)}`);
}
