import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type RequestListener, type ServerOptions } from 'node:http';
import {
  createServer as createTlsServer,
  type ServerOptions as TlsServerOptions,
} from 'node:https';
import { apertoError, errorTable } from '../protocol/errors.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { asksForWebSocket } from '../protocol/handshake/server-handshake.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { LONGEST_TIMER_MS } from './deadline.ts';
import type { PeerTopics } from './peer.ts';
import { Routes } from './routes.ts';
import { type AttachOptions, Server } from './server.ts';
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
  /** Answers ordinary requests on the same port, as with node:http. Default: 404, and 426 on a route. */
  readonly request?: RequestListener;
}

/** How often Node looks for requests that take too long. */
const CHECKS_A_TIMEOUT = 4;

/** @internal */
export async function listen<Data>(
  options: ServeOptions<Data>,
  topics: PeerTopics,
): Promise<Server<Data>> {
  const limits = resolveLimits(options.limits);
  const { handshakeTimeoutMs } = limits;
  const timeout = handshakeTimeoutMs > LONGEST_TIMER_MS ? 0 : handshakeTimeoutMs;
  const httpOptions: ServerOptions = {
    maxHeaderSize: Math.min(limits.maxHeaderBytes, 2 ** 31 - 1),
    headersTimeout: timeout,
    // Node's own default, unless it would be shorter than that.
    requestTimeout: Math.max(timeout, 300_000),
    connectionsCheckingInterval: timeout === 0 ? 30_000 : Math.ceil(timeout / CHECKS_A_TIMEOUT),
    insecureHTTPParser: false,
  };
  const { tls } = options;
  const http =
    tls === undefined
      ? createServer(httpOptions)
      : createTlsServer({
          handshakeTimeout: timeout === 0 ? 120_000 : timeout,
          ...httpOptions,
          ...tls,
        });
  // All headers are counted by the handshake; Node would silently leave out those over its own limit.
  http.maxHeadersCount = 0;
  const server = new Server(http, true, topics, options);
  http.on('request', answerPlain(options, limits));
  if (tls === undefined && (options.sharedReadBuffer ?? true)) await trySharedReads();
  await new Promise<void>((resolve, reject) => {
    http.once('error', reject);
    const listening = (): void => {
      http.off('error', reject);
      resolve();
    };
    if (options.unix !== undefined) http.listen(options.unix, listening);
    else http.listen(checkPort(options.port), options.host ?? '127.0.0.1', listening);
  });
  http.on('error', (error) => {
    // Accepting failed, for want of descriptors say: this connection is lost, the server is not.
    server.report(error);
  });
  return server;
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
