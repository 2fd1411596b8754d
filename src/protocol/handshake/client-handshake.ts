import type { ErrorCode } from '../errors.ts';
import { parseExtensions } from '../extensions/extension-header.ts';
import {
  checkAccepted,
  type DeflateAgreement,
  deflateOffer,
  type ResolvedCompression,
} from '../extensions/permessage-deflate.ts';
import type { HeaderFields } from './header-fields.ts';
import { asciiLowerCase, checkHeaders } from './header-syntax.ts';
import { checkProtocols } from './subprotocols.ts';

/** What a client puts into its opening handshake. */
export interface HandshakeOffer {
  /** The value of Sec-WebSocket-Key, from `createKey`. */
  readonly key: string;
  /** The subprotocols offered, the preferred first. */
  readonly protocols: readonly string[];
  /** How messages may be compressed; undefined: not at all. */
  readonly compression: ResolvedCompression | undefined;
  /** The application's own headers: Origin, Cookie, Authorization, Host and such. */
  readonly headers: Readonly<Record<string, string>>;
}

// The handshake's own fields, and those that would announce a body, which an upgrade must not have.
const reserved: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'sec-websocket-accept',
  'sec-websocket-extensions',
  'sec-websocket-key',
  'sec-websocket-protocol',
  'sec-websocket-version',
  'transfer-encoding',
  'upgrade',
]);

/**
 * The header fields of a client's opening handshake (RFC 6455 4.1), all but Host, which comes from the
 * URL unless the application sets it.
 * @throws {ApertoError} INVALID_PROTOCOL for protocols that are not distinct tokens; INVALID_HEADER for
 * a header that HTTP does not allow, and for one that the application may not set: Connection,
 * Upgrade, Content-Length, Transfer-Encoding and Sec-WebSocket-Accept, -Extensions, -Key, -Protocol
 * and -Version.
 */
export function requestFields(offer: HandshakeOffer): Record<string, string> {
  return {
    ...offeredFields(offer),
    // RFC 6455 4.1 (5) to (7): Upgrade, Connection and the key.
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': offer.key,
  };
}

/**
 * The application's headers, the version and what is offered; the same whatever carries the handshake.
 * @throws {ApertoError} as `requestFields`
 */
export function offeredFields(offer: Omit<HandshakeOffer, 'key'>): Record<string, string> {
  const { protocols, compression, headers } = offer;
  checkHeaders(headers, reserved);
  const offered = checkProtocols(protocols).join(', ');
  return {
    ...headers,
    // RFC 6455 4.1 (9): the version.
    'Sec-WebSocket-Version': '13',
    // RFC 6455 4.1 (10): the subprotocols, only where there are any.
    ...(offered === '' ? {} : { 'Sec-WebSocket-Protocol': offered }),
    // RFC 6455 4.1 (11): the extensions, only where there are any.
    ...(compression && { 'Sec-WebSocket-Extensions': deflateOffer(compression) }),
  };
}

/** What the handshake looks at in a response. */
export interface HandshakeResponse {
  readonly status: number;
  readonly fields: HeaderFields;
}

/** What a response must answer. */
export interface HandshakeExpectation {
  /** What `acceptFor` makes of the key that was sent. */
  readonly accept: string;
  /** The subprotocols that were offered. */
  readonly protocols: readonly string[];
  /** As it was offered. */
  readonly compression: ResolvedCompression | undefined;
}

/** What a server's answer comes to. */
export interface HandshakeResult {
  /** The subprotocol; '' for none. */
  readonly protocol: string;
  /** What Sec-WebSocket-Extensions says; '' for none. */
  readonly extensions: string;
  /** What that means. */
  readonly agreement: DeflateAgreement | undefined;
}

/** Judges a server's answer to the opening handshake (RFC 6455 4.1). */
export function checkResponse(
  { status, fields }: HandshakeResponse,
  { accept, protocols, compression }: HandshakeExpectation,
): HandshakeResult | { readonly reject: ErrorCode } {
  // RFC 6455 4.1, response (1): any status but 101 means that nothing was switched.
  if (status !== 101) return { reject: 'STATUS_NOT_101' };
  // RFC 6455 4.1, response (2): Upgrade is `websocket`, and nothing else.
  if (asciiLowerCase(fields.single('upgrade') ?? '') !== 'websocket') {
    return { reject: 'RESPONSE_UPGRADE' };
  }
  // RFC 6455 4.1, response (3): Connection contains `upgrade`.
  if (!fields.hasToken('connection', 'upgrade')) return { reject: 'RESPONSE_CONNECTION' };
  // RFC 6455 4.1, response (4): Sec-WebSocket-Accept answers our key; 11.3.3: it comes once.
  if (fields.single('sec-websocket-accept') !== accept) return { reject: 'ACCEPT_INVALID' };
  return agreedFields(fields, protocols, compression);
}

/** Judges what an answer has agreed on; the same whatever carries the handshake. */
export function agreedFields(
  fields: HeaderFields,
  protocols: readonly string[],
  compression: ResolvedCompression | undefined,
): HandshakeResult | { readonly reject: ErrorCode } {
  // RFC 6455 4.1, response (5): no extension that was not offered. An empty header is taken for none.
  const lines = fields.values('sec-websocket-extensions').filter((line) => line !== '');
  const accepted = parseExtensions(lines);
  if (accepted === undefined) return { reject: 'RESPONSE_EXTENSION' };
  if (accepted.length > 0 && compression === undefined) return { reject: 'RESPONSE_EXTENSION' };
  const agreement = compression && checkAccepted(accepted, compression);
  if (agreement === 'RESPONSE_EXTENSION') return { reject: agreement };
  const extensions = lines.join(', ');
  // RFC 6455 4.1, response (6): no subprotocol that was not offered; 11.3.4: it comes once.
  const chosen = fields.values('sec-websocket-protocol');
  if (chosen.length === 0) return { protocol: '', extensions, agreement };
  if (chosen.length > 1 || !protocols.includes(chosen[0])) return { reject: 'RESPONSE_PROTOCOL' };
  return { protocol: chosen[0], extensions, agreement };
}
