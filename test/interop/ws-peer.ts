import type { TestContext } from 'node:test';
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from 'ws';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { httpServer, type Transport } from './transports.ts';

export interface TheirClose {
  readonly code: number;
  readonly reason: string;
}

/** A `ws` connection, with what came to it in order. */
export class TheirPeer {
  readonly socket: WebSocket;
  readonly messages = new Mailbox<string | Buffer>();
  readonly pings = new Mailbox<string>();
  readonly pongs = new Mailbox<string>();
  readonly errors: Error[] = [];
  readonly closed: Promise<TheirClose>;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (!Buffer.isBuffer(data)) throw new TypeError('a Buffer was expected');
      this.messages.put(isBinary ? data : data.toString('utf8'));
    });
    socket.on('ping', (data: Buffer) => this.pings.put(String(data)));
    socket.on('pong', (data: Buffer) => this.pongs.put(String(data)));
    socket.on('error', (error) => this.errors.push(error));
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }
}

/** Their client, connected; it offers permessage-deflate unless told otherwise. */
export async function theirClient(
  t: TestContext,
  url: string,
  protocols: string[] = [],
  options: ClientOptions = {},
): Promise<TheirPeer> {
  const { cert } = await localCertificate();
  const socket = new WebSocket(url, protocols, { ca: cert, ...options });
  const peer = new TheirPeer(socket);
  t.after(() => socket.terminate());
  await within(
    'their client',
    new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    }),
  );
  return peer;
}

/** Their server over a transport, which accepts the last subprotocol offered and permessage-deflate. */
export async function theirServer(
  t: TestContext,
  transport: Transport,
): Promise<{ url: string; accepted: Mailbox<TheirPeer> }> {
  const { http, url } = await httpServer(t, transport);
  const server = new WebSocketServer({
    server: http,
    perMessageDeflate: true,
    handleProtocols: (offered) => [...offered].at(-1) ?? false,
  });
  const accepted = new Mailbox<TheirPeer>();
  server.on('connection', (socket) => accepted.put(new TheirPeer(socket)));
  t.after(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return { url, accepted };
}
