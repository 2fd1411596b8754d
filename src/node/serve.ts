import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { ServerOptions as TlsServerOptions } from 'node:https';
import type { Server as NetServer } from 'node:net';
import { apertoError, errorTable } from '../protocol/errors.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { asksForWebSocket } from '../protocol/handshake/server-handshake.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { createHttpServer } from './http-server.ts';
import type { ServerTopics } from './peer-topics.ts';
import { Routes } from './routes.ts';
import { Server } from './server.ts';
import type { AttachOptions } from './server-options.ts';
import { trySharedReads } from './shared-read-buffer.ts';

export interface ServeOptions<Data> extends AttachOptions<Data> {
  /** TCP port; 0 for any free one. Default 0. */
  readonly port?: number;
  /** Address to listen on. Default 127.0.0.1: only this machine. `::` or `0.0.0.0` for all interfaces. */
  readonly host?: string;
  /** Path of a Unix socket, in place of `port` and `host`. */
  readonly unix?: string;
  /** Certificate, key and what else node:https takes; with it the server speaks TLS. */
  readonly tls?: TlsServerOptions;
  /**
   * Whether HTTP/2 is spoken besides HTTP/1.1 on the same port, so that a client can have many connections over
   * one (RFC 8441): with `tls` by ALPN, without it for clients that begin with HTTP/2 ("prior knowledge"), as
   * proxies in front can. Default: true with `tls`, otherwise false.
   */
  readonly http2?: boolean;
  /**
   * Answers ordinary requests on the same port, as with node:http; those of HTTP/2 come as what node:http2 has for that
   * (its compatibility API), which not every framework takes. Default: 404, and on a route 426, or 405 over HTTP/2.
   */
  readonly request?: RequestListener;
}

/** @internal */
export async function listen<Data>(
  options: ServeOptions<Data>,
  topics: ServerTopics,
): Promise<Server<Data>> {
  const limits = resolveLimits(options.limits);
  const { tls, http2 = tls !== undefined } = options;
  if (typeof http2 !== 'boolean') {
    throw apertoError('INVALID_OPTION', { detail: `http2 is true or false, not ${String(http2)}` });
  }
  const http = createHttpServer(tls, http2, limits);
  const server = new Server(http, true, topics, options);
  http.on('request', answerPlain(options, limits));
  try {
    await server.started;
    if (tls === undefined && (options.sharedReadBuffer ?? true)) await trySharedReads();
    await listening(http, options);
  } catch (error) {
    await server.close({ timeoutMs: 0 });
    throw error;
  }
  http.on('error', (error) => {
    // Accepting failed, for want of descriptors say: this connection is lost, the server is not.
    server.report(error);
  });
  return server;
}

function listening<Data>(http: NetServer, options: ServeOptions<Data>): Promise<void> {
  return new Promise((resolve, reject) => {
    http.once('error', reject);
    const done = (): void => {
      http.off('error', reject);
      resolve();
    };
    if (options.unix !== undefined) http.listen(options.unix, done);
    else http.listen(checkPort(options.port), options.host ?? '127.0.0.1', done);
  });
}

function checkPort(port = 0): number {
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw apertoError('INVALID_OPTION', { detail: `port is 0 to 65535, not ${String(port)}` });
}

/** Requests that are no upgrade, and those that meant to be one. */
function answerPlain<Data>(options: ServeOptions<Data>, limits: Limits): RequestListener {
  const routes = new Routes(options.routes, limits, undefined);
  const { request: application } = options;
  return (request: IncomingMessage, response: ServerResponse) => {
    const onRoute = routes.find(request.url ?? '/') !== undefined;
    if (onRoute && asksForWebSocket(new HeaderFields(request.rawHeaders))) {
      // Node takes a request for an upgrade only where Connection says so; a proxy may have lost that.
      answer(response, 400, `${errorTable.CONNECTION_MISSING.message}\n`, {});
    } else if (application !== undefined) {
      application(request, response);
    } else if (onRoute && request.httpVersionMajor > 1) {
      answer(response, 405, `${errorTable.METHOD_NOT_GET.message}\n`, { Allow: 'CONNECT' });
    } else if (onRoute) {
      const headers = { Upgrade: 'websocket', Connection: 'Upgrade, close' };
      answer(response, 426, `${errorTable.UPGRADE_MISSING.message}\n`, headers);
    } else answer(response, 404, 'Not Found\n', {});
  };
}

function answer(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(body);
}
