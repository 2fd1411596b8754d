import { apertoError } from '../../protocol/errors.ts';

/**
 * The key of a part of what is kept of a topic. All parts are in one slot of a cluster, by the hash tag between the first
 * brace that opens and the first that closes: so names have none of their own.
 */
export function topicKey(prefix: string, kind: string, topic: string, part: string): string {
  const tag = topic.replace(/[%{}]/g, encodeURIComponent);
  return `${prefix}${kind}:{${tag}}:${part}`;
}

/** @throws {ApertoError} INVALID_OPTION */
export function ensurePrefix(prefix: unknown): void {
  if (typeof prefix === 'string' && !/[{}\p{Cs}]/u.test(prefix)) return;
  const detail = 'prefix is a string of well-formed Unicode without braces';
  throw apertoError('INVALID_OPTION', { detail });
}
