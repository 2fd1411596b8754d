import type { IncomingHttpHeaders } from 'node:http';

/**
 * Whether an upgrade may come from where it says: from no page at all, from a page of this host and
 * port, or from one of the listed origins.
 * @param encrypted whether the server speaks TLS; then a page that came without it is another's.
 */
export function isAllowedOrigin(
  headers: IncomingHttpHeaders,
  origins: readonly string[],
  encrypted: boolean,
): boolean {
  const { origin, host } = headers;
  if (origin === undefined || origins.includes(origin)) return true;
  if (host === undefined || !isOrigin(origin) || !/^[^/?#@\\\s]+$/.test(host)) return false;
  const { protocol, host: from } = new URL(origin);
  if (encrypted && protocol !== 'https:') return false;
  // With the origin's own scheme, so that a default port compares equal to none. Without TLS https is
  // as good as http, since a proxy may have ended it.
  const here = `${protocol}//${host}`;
  return URL.canParse(here) && new URL(here).host === from;
}

/** Whether a text is an origin as browsers write it: scheme, host and port, nothing behind. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text);
}
