import type { ErrorCode } from '../errors.ts';
import {
  agreedFields,
  type HandshakeExpectation,
  type HandshakeOffer,
  type HandshakeResponse,
  type HandshakeResult,
  offeredFields,
} from './client-handshake.ts';
import type { HeaderFields } from './header-fields.ts';
import { asciiLowerCase } from './header-syntax.ts';
import { parseHost } from './host.ts';
import {
  type Agreed,
  agreeOn,
  checkTarget,
  type Refusal,
  refusal,
  type UpgradeRules,
} from './server-handshake.ts';

/**
 * The opening handshake over HTTP/2 (RFC 8441): a CONNECT with the pseudo-header `:protocol`, answered with 200, after
 * which the stream is what a TCP connection is otherwise. No key, no Accept, no Upgrade: HTTP/2 has checked already that
 * both sides know what they do.
 */

/** What the handshake looks at in an extended CONNECT. A missing pseudo-header is undefined. */
export interface ExtendedConnect {
  readonly protocol: string;
  readonly scheme: string | undefined;
  readonly path: string | undefined;
  readonly authority: string | undefined;
  /** Without the pseudo-headers. */
  readonly fields: HeaderFields;
}

/** Judges an extended CONNECT, by the same rules as an upgrade. */
export function checkExtendedConnect(
  { protocol, scheme, path, authority, fields }: ExtendedConnect,
  rules: UpgradeRules,
): Agreed | Refusal {
  // RFC 8441 4: with `:protocol` there must be `:scheme` and `:path` as well.
  if (scheme === undefined || path === undefined) return refusal('CONNECT_MALFORMED');
  // RFC 9220 3: a protocol that is not known is answered with 501.
  if (asciiLowerCase(protocol) !== 'websocket') return refusal('PROTOCOL_UNKNOWN');
  if (fields.count > rules.maxHeaders) return refusal('TOO_MANY_HEADERS');
  // RFC 9113 8.3.1: `:authority` stands for Host, which must not say anything else.
  const hosts = fields.values('host');
  const name = authority ?? hosts[0] ?? '';
  const host = parseHost(name);
  if (host === undefined || hosts.some((other) => other !== name)) return refusal('HOST_INVALID');
  const misdirected = checkTarget(fields, host, rules);
  if (misdirected !== undefined) return misdirected;
  // RFC 8441 5: the version is said as before.
  if (fields.single('sec-websocket-version') !== '13') return refusal('VERSION_UNSUPPORTED');
  return agreeOn(fields, host, rules);
}

/** The fields of the response that grants an extended CONNECT, besides its status, which is 200 (RFC 8441 5). */
export function connectedFields({ protocol, deflate }: Agreed): Record<string, string> {
  return {
    ...(protocol !== '' && { 'sec-websocket-protocol': protocol }),
    ...(deflate !== undefined && { 'sec-websocket-extensions': deflate.response }),
  };
}

/**
 * The fields of a client's extended CONNECT, all but the pseudo-headers; names in lower case (RFC 9113 8.2.1).
 * @throws {ApertoError} INVALID_PROTOCOL, INVALID_HEADER
 */
export function extendedConnectFields(offer: Omit<HandshakeOffer, 'key'>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(offeredFields(offer)).map(([name, value]) => [asciiLowerCase(name), value]),
  );
}

/** Judges a server's answer to an extended CONNECT. */
export function checkConnected(
  { status, fields }: HandshakeResponse,
  { protocols, compression }: Omit<HandshakeExpectation, 'accept'>,
): HandshakeResult | { readonly reject: ErrorCode } {
  // RFC 9110 9.3.6, RFC 8441 5: any 2xx has made the tunnel.
  if (status < 200 || status > 299) return { reject: 'STATUS_NOT_101' };
  return agreedFields(fields, protocols, compression);
}
