import { apertoError } from '../../protocol/errors.ts';
import type { TcpEndpoint } from './open-socket.ts';

/** A proxy that opens tunnels (RFC 9110 9.3.6). */
export interface HttpProxy extends TcpEndpoint {
  /** The value of Proxy-Authorization; undefined where it asks for none. */
  readonly authorization: string | undefined;
}

/**
 * Reads the URL of a proxy. No message has any of it, since there may be a password in it.
 * @param name of the option or variable that has it.
 * @throws {ApertoError} INVALID_OPTION
 */
export function parseProxy(name: string, value: string | URL): HttpProxy {
  const invalid = (detail: string): Error =>
    apertoError('INVALID_OPTION', { detail: `${name} ${detail}` });
  const isUrl = typeof value === 'string' || value instanceof URL;
  if (!isUrl || !URL.canParse(String(value))) throw invalid('is no URL');
  const { protocol, hostname, port, pathname, search, hash, username, password } = new URL(value);
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw invalid('is not the URL of an HTTP or HTTPS proxy');
  }
  if (pathname !== '/' || search !== '' || hash !== '') {
    throw invalid('is a URL with more than a host, a port, a user and a password');
  }
  const credentials = decoded(username, password);
  if (credentials === undefined) throw invalid('has a user or password that cannot be sent');
  const encrypted = protocol === 'https:';
  return {
    encrypted,
    host: hostname.replace(/^\[|\]$/g, ''),
    port: port === '' ? (encrypted ? 443 : 80) : Number(port),
    socketPath: undefined,
    authorization:
      credentials === ':' ? undefined : `Basic ${Buffer.from(credentials).toString('base64')}`,
  };
}

/** `user:password`; undefined where that could be read in another way (RFC 7617 2). */
function decoded(username: string, password: string): string | undefined {
  try {
    const user = decodeURIComponent(username);
    const credentials = `${user}:${decodeURIComponent(password)}`;
    return user.includes(':') || /\p{Cc}/u.test(credentials) ? undefined : credentials;
  } catch {
    return undefined;
  }
}
