import { createHash } from 'node:crypto';
import { apertoError } from '../../protocol/errors.ts';

/** What stays as it is. A token of a subject has no space and none of `.`, `*` and `>`; `%` escapes. */
const plain = /^[\w:/@#=+,-]+$/;

/** Names that come out longer are hashed. A line of the protocol has at most 4,096 bytes, a subject up to three names. */
const MAX_TOKEN = 256;

/** A name as one token of a subject; different names have different tokens. */
export function subjectToken(name: string): string {
  if (name.length <= MAX_TOKEN && plain.test(name)) return name;
  const escaped = encodeURIComponent(name).replaceAll('.', '%2E').replaceAll('*', '%2A');
  // No escaped name begins so: % is followed by hexadecimal digits there.
  if (escaped === '') return '%';
  if (escaped.length <= MAX_TOKEN) return escaped;
  return `%~${createHash('sha256').update(name).digest('base64url')}`;
}

/**
 * What subjects begin with.
 * @throws {ApertoError} INVALID_OPTION
 */
export function checkPrefix(prefix: string): string {
  if (typeof prefix !== 'string' || prefix.length > 64 || !/^[\w-]+(\.[\w-]+)*$/.test(prefix)) {
    const detail = 'prefix is one or more names of letters, digits, _ and -, joined by dots';
    throw apertoError('INVALID_OPTION', { detail });
  }
  return prefix;
}

/** The name of a stream, which must not have dots. No prefix has an equals sign. */
export function streamName(prefix: string, what: string): string {
  return `${prefix.replaceAll('.', '=')}-${what}`;
}
