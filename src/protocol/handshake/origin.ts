import { apertoError } from '../errors.ts';
import { asciiLowerCase } from './header-syntax.ts';
import { type Host, parseHost } from './host.ts';

/**
 * Which pages may connect. `same-origin`: those that came from the host they connect to. `*`: all.
 * A list: these origins, `scheme://host` or `scheme://host:port`; it may have `same-origin`, and `null`,
 * the origin of sandboxed frames and of files. A request without an Origin header is not from a page and passes.
 */
export type OriginPolicy = 'same-origin' | '*' | readonly string[];

const SAME_ORIGIN = 'same-origin';

interface Origin {
  readonly scheme: string;
  readonly host: Host;
}

const defaultPorts = new Map([
  ['http', 80],
  ['https', 443],
]);

// RFC 6454 6.2: scheme "://" host [ ":" port ], and no path behind it.
function parseOrigin(text: string): Origin | undefined {
  const separator = text.indexOf('://');
  if (separator === -1) return undefined;
  const scheme = asciiLowerCase(text.slice(0, separator));
  if (!/^[a-z][a-z0-9+.-]*$/.test(scheme)) return undefined;
  const authority = text.slice(separator + 3);
  // A page from a file has `file://` in Chromium; http and https need a host.
  const hostless = authority === '' && !defaultPorts.has(scheme);
  const host = hostless ? { name: '', port: undefined } : parseHost(authority);
  return host && { scheme, host };
}

/** The one spelling of an origin: lower case, without the scheme's default port. */
function normaliseOrigin(text: string): string | undefined {
  if (text === 'null' || text === SAME_ORIGIN) return text;
  const origin = parseOrigin(text);
  if (origin === undefined) return undefined;
  const { scheme, host } = origin;
  const elided = host.port === undefined || host.port === defaultPorts.get(scheme);
  return `${scheme}://${host.name}${elided ? '' : `:${host.port}`}`;
}

/**
 * The policy in the form that `originAllowed` compares: origins in lower case, without default ports.
 * @throws {ApertoError} INVALID_OPTION for what is no policy, and for an entry of a list that no
 * browser could send, such as one with a path or only a slash at its end.
 */
export function normaliseOrigins(policy: OriginPolicy): OriginPolicy {
  if (policy === '*') return policy;
  if (policy === SAME_ORIGIN) return [SAME_ORIGIN];
  if (!Array.isArray(policy)) {
    throw apertoError('INVALID_OPTION', { detail: "origins is 'same-origin', '*' or a list" });
  }
  return policy.map((entry: unknown) => {
    const origin = typeof entry === 'string' ? normaliseOrigin(entry) : undefined;
    if (origin === undefined) {
      throw apertoError('INVALID_OPTION', {
        detail: `origins has ${JSON.stringify(entry)}, which is not scheme://host, scheme://host:port, same-origin or null`,
      });
    }
    return origin;
  });
}

/**
 * Whether a request with these Origin headers may connect.
 * @param policy as `normaliseOrigins` made it.
 * @param host the request's Host header.
 * @param encrypted whether the request came over TLS. Where it did not, an https origin is the same as
 * well, since TLS may end at a proxy before us.
 */
export function originAllowed(
  values: readonly string[],
  policy: OriginPolicy,
  host: Host,
  encrypted: boolean,
): boolean {
  // RFC 6455 10.2: only browsers send an origin; what is no browser may claim any, so none is as good.
  if (values.length === 0) return true;
  // RFC 6454 7.3: a user agent sends at most one.
  if (values.length > 1) return false;
  if (policy === '*') return true;
  const origin = normaliseOrigin(values[0]);
  if (origin === undefined || origin === SAME_ORIGIN) return false;
  if (policy.includes(origin)) return true;
  return policy.includes(SAME_ORIGIN) && sameOrigin(values[0], host, encrypted);
}

function sameOrigin(text: string, host: Host, encrypted: boolean): boolean {
  const origin = parseOrigin(text);
  if (origin === undefined) return false;
  const defaultPort = defaultPorts.get(origin.scheme);
  if (defaultPort === undefined) return false;
  if (encrypted && origin.scheme !== 'https') return false;
  // A Host without a port means the default of the scheme that the page was loaded by.
  const samePort = (origin.host.port ?? defaultPort) === (host.port ?? defaultPort);
  return samePort && origin.host.name === host.name;
}
