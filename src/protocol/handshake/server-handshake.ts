import { type ErrorCode, errorTable } from '../errors.ts';
import { parseExtensions } from '../extensions/extension-header.ts';
import {
  type AcceptedOffer,
  acceptOffers,
  type ResolvedCompression,
} from '../extensions/permessage-deflate.ts';
import type { Platform } from '../platform.ts';
import { acceptFor, isValidKey } from './accept-key.ts';
import type { HeaderFields } from './header-fields.ts';
import { type Host, hostAllowed, parseHost } from './host.ts';
import { type OriginPolicy, originAllowed } from './origin.ts';
import { chooseProtocol, parseProtocols } from './subprotocols.ts';

/** What the handshake looks at in a request. */
export interface HandshakeRequest {
  readonly method: string;
  /** As Node says it: `1.1`. */
  readonly httpVersion: string;
  readonly fields: HeaderFields;
}

/** What a server demands of an upgrade. */
export interface UpgradeRules {
  /** The subprotocols that are spoken, as `checkProtocols` returned them. */
  readonly protocols: readonly string[];
  /** As `normaliseOrigins` returned it. */
  readonly origins: OriginPolicy;
  /** As `normaliseHosts` returned it; undefined: every host. */
  readonly hosts: readonly string[] | undefined;
  /** Whether the request came over TLS. */
  readonly encrypted: boolean;
  /** Most header fields of a request. */
  readonly maxHeaders: number;
  /** How messages may be compressed; undefined: not at all. */
  readonly compression: ResolvedCompression | undefined;
}

/** What client and server come to agree on. */
export interface Agreed {
  /** The subprotocol chosen; '' for none. */
  readonly protocol: string;
  /** The offer of permessage-deflate that is accepted; undefined for none. */
  readonly deflate: AcceptedOffer | undefined;
}

/** An upgrade that may go on. */
export interface Acceptance extends Agreed {
  /** The value of Sec-WebSocket-Accept. */
  readonly accept: string;
}

/** An upgrade that is refused, with what HTTP answers to it. */
export interface Refusal {
  readonly reject: ErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** The refusal of a code, with the headers that its status demands; 400 where its row names none. */
export function refusal(code: ErrorCode): Refusal {
  const { status = 400 } = errorTable[code];
  return { reject: code, status, headers: refusalHeaders(code) };
}

function refusalHeaders(code: ErrorCode): Readonly<Record<string, string>> {
  switch (code) {
    case 'METHOD_NOT_GET':
      // RFC 9110 15.5.6: a 405 says which methods there are.
      return { Allow: 'GET' };
    case 'UPGRADE_MISSING':
      // RFC 9110 15.5.22: a 426 says which protocol is needed.
      return { Upgrade: 'websocket', Connection: 'Upgrade' };
    case 'VERSION_UNSUPPORTED':
      // RFC 6455 4.4: the answer to a wrong version names the right one.
      return { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Version': '13' };
    case 'TOO_MANY_CONNECTIONS':
    case 'SERVER_CLOSING':
      // RFC 9110 10.2.3: when to come again; whoever is told adds a random time, so that not all come at once.
      return { 'Retry-After': '5' };
    default:
      return {};
  }
}

/** Whether a request asks for an upgrade to WebSocket, well or badly (RFC 6455 4.2.1 (3)). */
export function asksForWebSocket(fields: HeaderFields): boolean {
  return fields.hasToken('upgrade', 'websocket');
}

/**
 * Judges an opening handshake (RFC 6455 4.2.1). What is not HTTP as it should be is told first, then
 * what is not WebSocket, then who may not connect.
 */
export function checkUpgrade(
  request: HandshakeRequest,
  rules: UpgradeRules,
  platform: Platform,
): Acceptance | Refusal {
  const { fields } = request;
  // RFC 6455 4.2.1 (1): the method must be GET.
  if (request.method !== 'GET') return refusal('METHOD_NOT_GET');
  // RFC 6455 4.2.1 (1): HTTP/1.1 or higher. A version is DIGIT "." DIGIT, so text order is its order.
  if (!/^\d\.\d$/.test(request.httpVersion) || request.httpVersion < '1.1') {
    return refusal('HTTP_VERSION');
  }
  if (fields.count > rules.maxHeaders) return refusal('TOO_MANY_HEADERS');

  // RFC 6455 4.2.1 (2), RFC 9112 3.2: Host exactly once, and valid.
  const host = parseHost(fields.single('host') ?? '');
  if (host === undefined) return refusal('HOST_INVALID');
  const misdirected = checkTarget(fields, host, rules);
  if (misdirected !== undefined) return misdirected;

  // RFC 6455 4.2.1 (3): Upgrade contains `websocket`.
  if (!asksForWebSocket(fields)) return refusal('UPGRADE_MISSING');
  // RFC 6455 4.2.1 (4): Connection contains `upgrade`.
  if (!fields.hasToken('connection', 'upgrade')) return refusal('CONNECTION_MISSING');
  // RFC 6455 4.2.1 (6): the version is 13. Before the key, whose form is the version's to say.
  if (fields.single('sec-websocket-version') !== '13') return refusal('VERSION_UNSUPPORTED');
  // RFC 6455 4.2.1 (5), 11.3.1: one key of sixteen bytes.
  const key = fields.single('sec-websocket-key');
  if (key === undefined || !isValidKey(key)) return refusal('KEY_INVALID');

  const agreed = agreeOn(fields, host, rules);
  return 'reject' in agreed ? agreed : { ...agreed, accept: acceptFor(key, platform) };
}

/** Judges a request's host, where a list of them is set, and whether it has a body. */
export function checkTarget(
  fields: HeaderFields,
  host: Host,
  rules: UpgradeRules,
): Refusal | undefined {
  // RFC 9110 7.4: a request for a host that is not ours is misdirected (DNS rebinding).
  if (rules.hosts !== undefined && !hostAllowed(host, rules.hosts, rules.encrypted)) {
    return refusal('HOST_UNKNOWN');
  }
  // RFC 6455 4.1: the handshake has no body; its bytes could be taken for frames.
  const hasLength = fields.values('content-length').some((length) => length !== '0');
  if (hasLength || fields.values('transfer-encoding').length > 0) return refusal('REQUEST_BODY');
  return undefined;
}

/** Judges what the fields offer and where the request comes from; the same whatever carries the handshake. */
export function agreeOn(fields: HeaderFields, host: Host, rules: UpgradeRules): Agreed | Refusal {
  // RFC 6455 4.2.1 (8): the subprotocols offered, if any.
  const offered = parseProtocols(fields.values('sec-websocket-protocol'));
  if (offered === undefined) return refusal('PROTOCOL_HEADER_INVALID');
  // RFC 6455 9.1: a malformed list of extensions fails the handshake; 4.2.2 (4): we may take none of it.
  const extensions = parseExtensions(fields.values('sec-websocket-extensions'));
  if (extensions === undefined) return refusal('EXTENSIONS_HEADER_INVALID');
  // RFC 6455 4.2.2 (4), 10.2: an origin that is not welcome is answered 403.
  if (!originAllowed(fields.values('origin'), rules.origins, host, rules.encrypted)) {
    return refusal('ORIGIN_FORBIDDEN');
  }
  const { compression } = rules;
  return {
    protocol: chooseProtocol(offered, rules.protocols),
    deflate: compression && acceptOffers(extensions, compression),
  };
}
