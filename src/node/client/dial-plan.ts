import type { Agent } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import type { ApertoError } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';
import {
  type CompressionOptions,
  type ResolvedCompression,
  resolveCompression,
} from '../../protocol/extensions/permessage-deflate.ts';
import { requestFields } from '../../protocol/handshake/client-handshake.ts';
import { type Limits, resolveLimits } from '../../protocol/limits.ts';
import { checkSharedReadBuffer } from '../shared-read-buffer.ts';
import { type AddressOptions, checkAddressOptions, withContext } from './open-socket.ts';
import { type HttpProxy, parseProxy } from './proxy.ts';
import { environmentProxy } from './proxy-environment.ts';
import type { Hop } from './redirects.ts';
import { parseWebSocketUrl, type Target } from './websocket-url.ts';

/** How a client connects, whatever its face is. */
export interface DialOptions extends AddressOptions {
  /**
   * Whether, and how, compression is offered (permessage-deflate, RFC 7692); the server decides. `true` takes
   * the defaults. Default true.
   */
  readonly compression?: boolean | CompressionOptions;
  /** Further headers: Origin, Cookie, Authorization, Host and such. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * For `wss:`: certificates, also the client's own (`cert` and `key`, or `pfx`), `rejectUnauthorized`,
   * `servername` and what else node:tls takes. The server's certificate must be for the URL's host, or for
   * `servername` where that is set.
   */
  readonly tls?: ConnectionOptions;
  /**
   * Whether the connection is a stream of HTTP/2 (RFC 8441) where the server offers that. Sockets to one server, with
   * the same options of the connection, share one session. `true`: opens one where there is none; with `wss:` the
   * server chooses by ALPN, with `ws:` it is expected to know HTTP/2 without having been asked, and may be asked a
   * second time, over HTTP/1.1. `false`: never. INVALID_OPTION for `true` together with `agent` or
   * `tls.ALPNProtocols`. Default: over a session that an earlier connection has opened.
   */
  readonly http2?: boolean;
  /** Makes the TCP or TLS connection. Default: a direct one, or one through `proxy`. */
  readonly agent?: Agent;
  /**
   * The URL of an HTTP proxy (`http://user:password@proxy:3128`, or `https:` where the proxy speaks TLS) that
   * opens a tunnel for every connection, `ws:` too (CONNECT, RFC 9110 9.3.6). `'environment'`: the one that
   * `ws_proxy` or `wss_proxy`, else `http_proxy` or `https_proxy`, else `all_proxy` names, unless `no_proxy`
   * exempts the server. INVALID_OPTION together with `agent`, and, where it is a URL, for `ws+unix:`.
   * Default: none.
   */
  readonly proxy?: string | URL | 'environment';
  /** For the connection to an `https:` proxy: what node:tls takes. */
  readonly proxyTls?: ConnectionOptions;
  /**
   * How many redirects (301, 302, 303, 307, 308) are followed, to `ws:`, `wss:`, `http:` and `https:`, but never
   * from `wss:` to `ws:`; what is not followed is REDIRECT_REFUSED. Once one leads to another scheme, host or
   * port, the headers Authorization, Cookie, Proxy-Authorization and Host are left out, and of `tls` the client's
   * certificate and keys, `secureContext`, `session` and `servername`. Default 0: a redirect is STATUS_NOT_101.
   */
  readonly maxRedirects?: number;
  readonly limits?: Partial<Limits>;
  /**
   * Whether a plain TCP or Unix socket is read into one buffer that all connections share, which is faster;
   * ignored where a trial at the start shows that the runtime cannot. Default: true, but false with an
   * `agent`, whose sockets are not ours, and through a proxy.
   */
  readonly sharedReadBuffer?: boolean;
}

/** Where to connect and how, checked. */
export interface DialPlan {
  /** To the URL itself. */
  readonly hop: Hop;
  readonly options: DialOptions;
  readonly protocols: readonly string[];
  readonly limits: Limits;
  readonly compression: ResolvedCompression | undefined;
  readonly address: AddressOptions;
  readonly maxRedirects: number;
  /** As Node takes it. */
  readonly maxHeaderSize: number;
  /** What a target is reached through; undefined: nothing. */
  readonly proxyFor: (target: Target) => HttpProxy | undefined;
  readonly proxyTls: ConnectionOptions;
}

/** @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION */
export function planDial(
  url: string | URL,
  protocols: readonly string[],
  options: DialOptions,
): DialPlan {
  const target = parseWebSocketUrl(url);
  const { headers = {}, agent, maxRedirects = 0, tls = {}, proxyTls = {} } = options;
  checkHttp2(options);
  const compression = resolveCompression(
    options.compression === undefined ? true : options.compression,
  );
  if (options.sharedReadBuffer !== undefined) checkSharedReadBuffer(options.sharedReadBuffer);
  if (!Number.isSafeInteger(maxRedirects) || maxRedirects < 0) {
    throw invalidOption(`maxRedirects is a whole number, not ${String(maxRedirects)}`);
  }
  const limits = resolveLimits(options.limits);
  const proxyFor = proxyRule(options, target);
  const viaTls = proxyFor(target)?.encrypted === true;
  // An agent has certificates of its own.
  const own = target.encrypted && agent === undefined;
  // So that what is wrong is told now.
  requestFields({ key: '', protocols, compression, headers });
  return {
    hop: {
      target,
      headers: { ...headers },
      tls: own ? withContext('tls', tls) : tls,
    },
    options,
    protocols: [...protocols],
    limits,
    compression,
    address: checkAddressOptions(options),
    maxRedirects,
    maxHeaderSize: Math.min(limits.maxHeaderBytes, 2 ** 31 - 1),
    proxyFor,
    proxyTls: viaTls ? withContext('proxyTls', proxyTls) : proxyTls,
  };
}

function checkHttp2({ http2, agent, tls }: DialOptions): void {
  if (http2 !== undefined && typeof http2 !== 'boolean') {
    throw invalidOption(`http2 is true or false, not ${String(http2)}`);
  }
  if (http2 !== true) return;
  if (agent !== undefined) throw invalidOption('http2 and agent exclude each other');
  if (tls?.ALPNProtocols !== undefined) {
    throw invalidOption('http2 and tls.ALPNProtocols exclude each other');
  }
}

function proxyRule({ proxy, agent }: DialOptions, target: Target): DialPlan['proxyFor'] {
  if (proxy === undefined) return () => undefined;
  if (agent !== undefined) throw invalidOption('proxy and agent exclude each other');
  if (proxy === 'environment') {
    return (to) => (to.socketPath === undefined ? environmentProxy(to) : undefined);
  }
  const parsed = parseProxy('proxy', proxy);
  if (target.socketPath !== undefined) {
    throw invalidOption('proxy is not for ws+unix:, which a proxy cannot reach');
  }
  return () => parsed;
}

function invalidOption(detail: string): ApertoError {
  return apertoError('INVALID_OPTION', { detail });
}
