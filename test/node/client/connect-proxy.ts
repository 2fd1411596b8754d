import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { Certificate } from '../../faults/certificate.ts';
import { Mailbox } from '../connections.ts';

export interface ConnectProxyOptions {
  /** Speaks TLS with its clients. */
  readonly tls?: Certificate;
  /** `user:password` without which nobody gets through. */
  readonly credentials?: string;
  /** Answers in place of opening a tunnel. */
  readonly answer?: (client: Duplex, request: IncomingMessage) => void;
}

export interface ConnectProxy {
  readonly port: number;
  /** With a user and a password where they are given, percent-encoded. */
  url(credentials?: string): string;
  readonly requests: {
    readonly target: string | undefined;
    readonly headers: IncomingHttpHeaders;
  }[];
  /** What clients connected with; TLS, if any, is not of it. */
  readonly clients: Mailbox<Socket>;
  readonly servernames: (string | false | null)[];
  /** Stops listening. */
  close(): void;
}

/** A proxy that knows CONNECT and nothing else. Its connections end with the test. */
export async function startProxy(
  t: TestContext,
  { tls, credentials, answer }: ConnectProxyOptions = {},
): Promise<ConnectProxy> {
  const proxy = tls === undefined ? createServer() : createTlsServer(tls);
  const requests: ConnectProxy['requests'] = [];
  const servernames: ConnectProxy['servernames'] = [];
  const clients = new Mailbox<Socket>();
  const sockets = new Set<Duplex>();
  const watch = (socket: Duplex): void => {
    sockets.add(socket);
    socket.on('error', () => {});
    // A server of HTTP leaves its connections half open.
    socket.on('end', () => socket.end());
  };
  proxy.on('connection', (socket: Socket) => {
    watch(socket);
    clients.put(socket);
  });
  proxy.on('secureConnection', (socket: { servername: string | false | null }) => {
    servernames.push(socket.servername);
  });
  proxy.on('tlsClientError', () => {});
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
  proxy.on('connect', (request, client, head) => {
    watch(client);
    const { url, headers } = request;
    requests.push({ target: url, headers });
    if (answer !== undefined) return answer(client, request);
    if (headers['proxy-authorization'] !== expected) {
      return client.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\n' +
          'Content-Length: 12\r\n\r\nwho are you?',
      );
    }
    const { hostname, port } = new URL(`http://${url}`);
    const target = connectTcp(Number(port), hostname.replace(/^\[|\]$/g, ''), () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    watch(target);
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const address = proxy.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { port } = address;
  return {
    port,
    url: (userinfo = '') =>
      `${tls === undefined ? 'http' : 'https'}://${userinfo && `${userinfo}@`}127.0.0.1:${port}`,
    requests,
    clients,
    servernames,
    close: () => void proxy.close(),
  };
}
