import type { IncomingHttpHeaders } from 'node:http';

/** Fields of which the first counts, as node:http has it; of others the values are joined. */
const FIRST_COUNTS: ReadonlySet<string> = new Set([
  ...['age', 'authorization', 'content-length', 'content-type', 'etag', 'expires', 'from', 'host'],
  ...['if-modified-since', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards'],
  ...['proxy-authorization', 'referer', 'retry-after', 'server', 'user-agent'],
]);

/** What is kept of the request that asked for the connection. */
export class UpgradeRequest {
  /** Path and query, as they were sent. */
  readonly url: string;
  /**
   * The client's IP address: what has connected, or what a trusted proxy says has; undefined over a Unix socket.
   */
  readonly remoteAddress: string | undefined;
  /**
   * Names and values in turn, in one string: a fifth of what an object would hold for as long as the
   * connection lasts. No header can contain the separator.
   */
  readonly #fields: string;

  /**
   * @internal
   * @param rawHeaders names and values in turn; over HTTP/2 they begin with `:protocol`.
   */
  constructor(url: string, rawHeaders: readonly string[], remoteAddress: string | undefined) {
    this.url = url;
    this.remoteAddress = remoteAddress;
    this.#fields = rawHeaders.join('\n');
  }

  /** RFC 6455 4.1, RFC 8441 4: over HTTP/2 it is CONNECT. */
  get method(): 'GET' | 'CONNECT' {
    return this.#fields.startsWith(':') ? 'CONNECT' : 'GET';
  }

  /** The headers as node:http gives them, names in lower case. Made anew with each call. */
  get headers(): IncomingHttpHeaders {
    const headers: IncomingHttpHeaders = {};
    const fields = this.#fields.split('\n');
    for (let i = 0; i + 1 < fields.length; i += 2) {
      const name = String(fields[i]).toLowerCase();
      if (name.startsWith(':')) continue;
      const value = String(fields[i + 1]);
      const before = Object.hasOwn(headers, name) ? headers[name] : undefined;
      if (name === 'set-cookie') headers[name] = [...(headers['set-cookie'] ?? []), value];
      else if (before === undefined) headers[name] = value;
      else if (name === 'cookie') headers[name] = `${before}; ${value}`;
      else if (!FIRST_COUNTS.has(name)) headers[name] = `${before}, ${value}`;
    }
    return headers;
  }
}
