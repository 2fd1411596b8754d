import { createServer, type Server as HttpServer, type ServerOptions } from 'node:http';
import {
  createServer as createHttp2Server,
  createSecureServer as createSecureHttp2Server,
  type Http2SecureServer,
} from 'node:http2';
import {
  createServer as createTlsServer,
  type ServerOptions as TlsServerOptions,
} from 'node:https';
import type { Server as NetServer, Socket } from 'node:net';
import type { Limits } from '../protocol/limits.ts';
import { deadline, LONGEST_TIMER_MS } from './deadline.ts';

/** How often Node looks for requests that take too long. */
const CHECKS_A_TIMEOUT = 4;

/** What a stream takes in while nobody reads it: Node's default. */
const WINDOW = 64 * 1024;

/** What a client that speaks HTTP/2 begins with (RFC 9113 3.4), as far as no request of HTTP/1.1 does. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n', 'latin1');

/** The HTTP server that `serve` listens with. */
export function createHttpServer(
  tls: TlsServerOptions | undefined,
  http2: boolean,
  limits: Limits,
): NetServer {
  const { handshakeTimeoutMs } = limits;
  const timeout = handshakeTimeoutMs > LONGEST_TIMER_MS ? 0 : handshakeTimeoutMs;
  const options: ServerOptions = {
    maxHeaderSize: Math.min(limits.maxHeaderBytes, 2 ** 31 - 1),
    headersTimeout: timeout,
    // Node's own default, unless it would be shorter than that.
    requestTimeout: Math.max(timeout, 300_000),
    connectionsCheckingInterval: timeout === 0 ? 30_000 : Math.ceil(timeout / CHECKS_A_TIMEOUT),
    insecureHTTPParser: false,
  };
  if (tls === undefined) return http2 ? createBoth(options, limits) : createHttp1(options);
  const tlsOptions = { handshakeTimeout: timeout === 0 ? 120_000 : timeout, ...options, ...tls };
  if (!http2) return withAllHeaders(createTlsServer(tlsOptions));
  const server: Http2SecureServer & ServerOptions = createSecureHttp2Server({
    ...tlsOptions,
    ...http2Options(limits),
    allowHTTP1: true,
  });
  // node:http2 takes those of node:http as properties alone, and has not all of its defaults.
  const ofHttp1 = {
    ...options,
    maxHeadersCount: 0,
    keepAliveTimeout: 5_000,
    requireHostHeader: true,
  };
  return Object.assign(server, ofHttp1);
}

function createHttp1(options: ServerOptions): HttpServer {
  return withAllHeaders(createServer(options));
}

/** All headers are counted by the handshake; Node would silently leave out those over its own limit. */
function withAllHeaders<S extends { maxHeadersCount: number | null }>(server: S): S {
  server.maxHeadersCount = 0;
  return server;
}

function http2Options(limits: Limits) {
  const perStream = limits.maxBufferedBytes + WINDOW;
  return {
    settings: {
      enableConnectProtocol: true,
      maxHeaderListSize: Math.min(limits.maxHeaderBytes, 2 ** 32 - 1),
      maxConcurrentStreams: Math.min(limits.maxStreams, 2 ** 32 - 1),
    },
    // In MiB. What waits for a peer is bounded by limits of ours; Node's 10 are for all streams together.
    maxSessionMemory: Math.min(10 + Math.ceil((limits.maxStreams * perStream) / 2 ** 20), 2 ** 20),
    // One more than is allowed, and the pseudo-headers, so that it is us who answer 431.
    maxHeaderListPairs: Math.min(limits.maxHeaders + 8, 2 ** 31 - 1),
  };
}

/**
 * A server of HTTP/2 in cleartext that leaves those who begin with anything else to one of HTTP/1.1. What comes of
 * either is told by this one.
 */
function createBoth(options: ServerOptions, limits: Limits): NetServer {
  const server = createHttp2Server(http2Options(limits));
  const http1 = createHttp1(options);
  for (const event of ['request', 'upgrade']) {
    http1.on(event, (...args: unknown[]) => void server.emit(event, ...args));
  }
  const [asHttp2] = server.listeners('connection');
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    socket.setNoDelay(true);
    peek(socket, limits, (isHttp2) => {
      if (isHttp2) Reflect.apply(asHttp2 as (socket: Socket) => void, server, [socket]);
      else {
        http1.emit('connection', socket);
        socket.resume();
      }
    });
  });
  // It listens nowhere itself, but has timeouts to check, and connections to close.
  server.on('listening', () => http1.emit('listening'));
  const close = server.close.bind(server);
  server.close = (done) => {
    http1.close();
    return close(done);
  };
  return server;
}

/** Finds out whether what comes begins as HTTP/2 does, and leaves it to be read by whom that concerns. */
function peek(socket: Socket, limits: Limits, decide: (isHttp2: boolean) => void): void {
  const timer = deadline(limits.handshakeTimeoutMs, () => socket.destroy());
  timer?.unref();
  let seen: Buffer = Buffer.alloc(0);
  const look = (): void => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isHttp2 = seen.subarray(0, length).equals(PREFACE.subarray(0, length));
    if (isHttp2 && length < PREFACE.length) return;
    finish();
    // Not before: it would be read again at once, over and over.
    socket.unshift(seen);
    decide(isHttp2);
  };
  const finish = (): void => {
    clearTimeout(timer);
    socket.off('readable', look);
    socket.off('close', finish);
    socket.off('end', end);
    socket.off('error', end);
  };
  const end = (): void => void socket.destroy();
  socket.on('readable', look);
  socket.on('close', finish);
  socket.on('end', end);
  socket.on('error', end);
}
