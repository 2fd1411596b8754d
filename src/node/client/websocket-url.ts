import type { ApertoError } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';
import type { Endpoint } from './open-socket.ts';

/** Where a WebSocket URL leads. */
export type Target = Endpoint & {
  /** Path and query. */
  readonly path: string;
};

function invalid(url: string, detail: string): ApertoError {
  return apertoError('INVALID_URL', { detail: `${detail} in ${JSON.stringify(url)}` });
}

/**
 * Reads `ws:`, `wss:` and `ws+unix:` URLs (RFC 6455 3); the last as `ws+unix:/path/to.sock:/request/path`,
 * whose second part is `/` where it is left out.
 * @throws {ApertoError} INVALID_URL
 */
export function parseWebSocketUrl(url: string | URL): Target {
  const text = String(url);
  if (!URL.canParse(text)) throw invalid(text, 'no absolute URL');
  const { protocol, hostname, port, pathname, search, hash, username, password } = new URL(text);
  // RFC 6455 3: a fragment has no meaning and must not be used.
  if (hash !== '' || text.endsWith('#')) throw invalid(text, 'a fragment');
  if (username !== '' || password !== '') {
    throw invalid(text.replace(/\/\/[^/]*@/, '//'), 'a user or password: set a header instead');
  }
  if (protocol === 'ws+unix:') {
    if (hostname !== '') throw invalid(text, 'a host before the socket path');
    return unixTarget(text, pathname, search);
  }
  if (protocol !== 'ws:' && protocol !== 'wss:') throw invalid(text, `the scheme ${protocol}`);
  const encrypted = protocol === 'wss:';
  return {
    encrypted,
    host: hostname.replace(/^\[|\]$/g, ''),
    // RFC 6455 3: the default ports are those of HTTP.
    port: port === '' ? (encrypted ? 443 : 80) : Number(port),
    socketPath: undefined,
    path: pathname + search,
  };
}

function unixTarget(text: string, pathname: string, search: string): Target {
  const colon = pathname.indexOf(':');
  const socketPath = decoded(colon < 0 ? pathname : pathname.slice(0, colon));
  const path = colon < 0 ? '/' : pathname.slice(colon + 1);
  if (!socketPath || !path.startsWith('/')) throw invalid(text, 'no socket path');
  return { encrypted: false, host: undefined, port: undefined, socketPath, path: path + search };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
