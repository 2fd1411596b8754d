import { createHash } from 'node:crypto';
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { localCertificate } from '../../faults/certificate.ts';
import { type RawFrame, readFrame } from '../../faults/raw-frames.ts';
import { Mailbox } from '../connections.ts';
import { listen } from './servers.ts';

/** A stream on which a client has asked for WebSocket, answered by hand. */
export class RawStream {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly frames: Mailbox<RawFrame> = new Mailbox();
  /** The code of its end. */
  readonly closed: Promise<number | undefined>;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
    this.stream = stream;
    this.headers = headers;
    stream.on('error', () => {});
    this.closed = new Promise((resolve) => stream.on('close', () => resolve(stream.rstCode)));
  }

  /** Grants it, and reads frames from now on. */
  grant(fields: OutgoingHttpHeaders = {}): this {
    const { stream } = this;
    stream.respond({ ':status': 200, ...fields });
    stream.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      for (;;) {
        const frame = readFrame(this.#bytes);
        if (frame === undefined) return;
        this.#bytes = this.#bytes.subarray(frame.size);
        this.frames.put(frame);
      }
    });
    return this;
  }

  refuse(status: number, fields: OutgoingHttpHeaders = {}, body = ''): void {
    this.stream.respond({ ':status': status, ...fields });
    this.stream.end(body);
  }
}

interface Http2ServerOptions {
  readonly tls?: SecureServerOptions;
  readonly settings?: Settings;
  /** Of a Unix socket. */
  readonly path?: string;
}

/** A server of HTTP/2 by hand. */
export interface RawHttp2Server {
  readonly server: Http2Server | Http2SecureServer;
  readonly port: number;
  readonly url: string;
  readonly sockets: Mailbox<Socket>;
  readonly sessions: Mailbox<ServerHttp2Session>;
  readonly streams: Mailbox<RawStream>;
}

/** Offers extended CONNECT, unless other settings are given. */
export async function startHttp2(
  t: TestContext,
  { tls, settings = { enableConnectProtocol: true }, path }: Http2ServerOptions = {},
): Promise<RawHttp2Server> {
  const server =
    tls === undefined ? createServer({ settings }) : createSecureServer({ ...tls, settings });
  const sockets = new Mailbox<Socket>();
  const sessions = new Mailbox<ServerHttp2Session>();
  const streams = new Mailbox<RawStream>();
  server.on('connection', sockets.put);
  server.on('tlsClientError', () => {});
  server.on('session', (session) => {
    session.on('error', () => {});
    sessions.put(session);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    streams.put(new RawStream(stream, headers));
  });
  const port = await listen(t, server, path);
  const url = path === undefined ? `ws${tls ? 's' : ''}://127.0.0.1:${port}` : `ws+unix:${path}`;
  return { server, port, url, sockets, sessions, streams };
}

/** Answers upgrades of HTTP/1.1 by hand; what comes on such a connection is not read. */
export function takeUpgrades(server: Http2SecureServer): Mailbox<Duplex> {
  const upgraded = new Mailbox<Duplex>();
  server.on('upgrade', (request, socket: Duplex) => {
    const key = `${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash('sha1').update(key).digest('base64');
    socket.on('error', () => {});
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    upgraded.put(socket);
  });
  return upgraded;
}

/** A server of TLS that chooses HTTP/2, and then does something else. */
export async function chooseHttp2(
  t: TestContext,
  then: (socket: TLSSocket) => void,
): Promise<{ url: string; sockets: Mailbox<Socket> }> {
  const sockets = new Mailbox<Socket>();
  const tls = await localCertificate();
  const server = createTlsServer({ ...tls, ALPNProtocols: ['h2'] }, (socket) => {
    socket.on('error', () => {});
    then(socket);
  });
  server.on('connection', sockets.put);
  return { url: `wss://127.0.0.1:${await listen(t, server)}`, sockets };
}
