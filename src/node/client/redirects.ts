import type { ConnectionOptions } from 'node:tls';
import { HeaderFields } from '../../protocol/handshake/header-fields.ts';
import { asciiLowerCase } from '../../protocol/handshake/header-syntax.ts';
import type { ResponseHead } from './answer.ts';
import { parseWebSocketUrl, type Target } from './websocket-url.ts';

/** Where a request goes, and what of the application's goes with it. */
export interface Hop {
  readonly target: Target;
  /** The application's headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: ConnectionOptions;
}

// RFC 9110 15.4: the statuses whose Location is where to ask next. 300 and 304 to 306 are none of them.
const statuses: ReadonlySet<number | undefined> = new Set([301, 302, 303, 307, 308]);

/** The locations that a redirect names; undefined for what is no redirect. */
export function locationsOf({
  statusCode,
  rawHeaders,
}: ResponseHead): readonly string[] | undefined {
  if (!statuses.has(statusCode)) return undefined;
  const locations = new HeaderFields(rawHeaders).values('location');
  return locations.length === 0 ? undefined : locations;
}

/** Where a redirect leads; why it is not followed, as text. */
export function nextHop({ target, headers, tls }: Hop, locations: readonly string[]): Hop | string {
  const [location = '', another] = locations;
  if (another !== undefined) return 'there are two locations';
  const base = urlOf(target);
  // Node reads header fields as Latin-1, servers write UTF-8, if not ASCII.
  const text = Buffer.from(location, 'latin1').toString('utf8');
  if (!URL.canParse(text, base.href)) return `${JSON.stringify(text)} is no URL`;
  const url = new URL(text, base);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  if (url.protocol === 'https:') url.protocol = 'wss:';
  // RFC 9110 10.2.2: Location may have a fragment; that of a WebSocket URL would have no meaning.
  url.hash = '';
  if (url.protocol !== 'ws:' && url.protocol !== 'wss:') return `to the scheme ${url.protocol}`;
  if (url.protocol === 'ws:' && target.encrypted) return 'from wss: to ws:';
  if (url.username !== '' || url.password !== '') return 'to a URL with a user or password';
  if (url.origin === base.origin) {
    return { target: { ...target, path: url.pathname + url.search }, headers, tls };
  }
  return {
    target: parseWebSocketUrl(url),
    headers: publicHeaders(headers),
    tls: publicOptions(tls),
  };
}

/** The URL that the server knows of itself. Over a Unix socket it is asked as localhost. */
export function urlOf({ encrypted, host = 'localhost', port = 80, path }: Target): URL {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return new URL(`${encrypted ? 'wss' : 'ws'}://${bracketed}:${port}${path}`);
}

// What the application told the first server in confidence, and what holds for that one alone.
const confidential: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'host',
  'proxy-authorization',
]);

function publicHeaders(headers: Hop['headers']): Hop['headers'] {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !confidential.has(asciiLowerCase(name))),
  );
}

function publicOptions(tls: ConnectionOptions): ConnectionOptions {
  const { cert, key, passphrase, pfx, pskCallback, ...withoutPem } = tls;
  const { clientCertEngine, privateKeyEngine, privateKeyIdentifier, ...withoutKeys } = withoutPem;
  const { secureContext, servername, session, ...rest } = withoutKeys;
  return rest;
}
