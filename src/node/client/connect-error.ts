import type { PeerCertificate } from 'node:tls';
import type { ApertoError } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';

/** What node:tls says of a certificate that is for another name. */
interface WrongName extends Error {
  readonly host: string;
  readonly cert: PeerCertificate;
}

function isWrongName(error: Error): error is WrongName {
  return 'code' in error && error.code === 'ERR_TLS_CERT_ALTNAME_INVALID' && 'cert' in error;
}

/**
 * What a connection that failed is told as.
 * @param whose '' for the server's, otherwise words that say whose, such as `the proxy p:3128: `.
 */
export function connectError(cause: Error, whose: string): ApertoError {
  if (!isWrongName(cause)) {
    return apertoError('CONNECT_FAILED', { detail: whose + reasonOf(cause), cause });
  }
  const { subject, subjectaltname } = cause.cert;
  // RFC 9110 4.3.4: the common name counts only where there are no alternative ones.
  const names = subjectaltname?.replaceAll('DNS:', '').replaceAll('IP Address:', '');
  const name = names ?? subject?.CN ?? 'nobody';
  const detail = `${whose}wanted ${cause.host}, it is for ${name}`;
  return apertoError('CERTIFICATE_NAME', { detail, cause });
}

function reasonOf(cause: Error): string {
  // OpenSSL tells a number, its library, function and reason, and the line of its source.
  const reason = /error:[\dA-F]+:[^:]*:[^:]*:([^:]+)/.exec(cause.message)?.[1];
  if (reason !== undefined) return `TLS: ${reason}`;
  // Where all addresses of a name were tried in vain, the error has no message of its own.
  if (!(cause instanceof AggregateError) || cause.message !== '') return cause.message;
  return cause.errors
    .map((error: unknown) => (error instanceof Error ? error.message : String(error)))
    .join('; ');
}
