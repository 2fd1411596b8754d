import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import { createServer as createTcpServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { attach, type ConnectOptions, type Message } from '../../../dist/index.js';
import { within } from '../../faults/raw-socket.ts';
import { dialTo, Mailbox } from '../connections.ts';

/** Listens until the test ends; returns the port. */
export async function listen(t: TestContext, server: Server, path?: string): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, '127.0.0.1', resolve);
    else server.listen(path, resolve);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A server that never speaks, and who connected to it. */
export async function silent(t: TestContext): Promise<{ port: number; sockets: Mailbox<Socket> }> {
  const sockets = new Mailbox<Socket>();
  return { port: await listen(t, createTcpServer(sockets.put)), sockets };
}

/** The other side has closed its connection. */
export async function gone(socket: Socket): Promise<void> {
  if (socket.destroyed) return;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume();
  await within('the client to go', closed);
}

export interface Recorder {
  readonly server: Server;
  readonly port: number;
  /** The requests that asked for WebSocket. */
  readonly asked: IncomingMessage[];
  readonly sockets: Mailbox<Socket>;
}

export interface RecorderOptions {
  readonly tls?: ServerOptions;
  /** Of a Unix socket. */
  readonly path?: string;
  /** The Location that a path is answered with, other than `/echo`. */
  redirect?(url: string): string | readonly string[] | undefined;
  readonly status?: number;
}

/** A server that echoes at `/echo`, and writes down what it is asked. */
export async function startRecorder(
  t: TestContext,
  { tls, path, redirect = () => undefined, status = 302 }: RecorderOptions = {},
): Promise<Recorder> {
  const asked: IncomingMessage[] = [];
  const sockets = new Mailbox<Socket>();
  const http = tls === undefined ? createServer() : createTlsServer(tls);
  http.on('connection', sockets.put);
  http.on('tlsClientError', () => {});
  http.on('upgrade', (request, socket) => {
    asked.push(request);
    const { url = '' } = request;
    if (url.startsWith('/echo')) return;
    const locations = [redirect(url) ?? []].flat().map((one) => `Location: ${one}\r\n`);
    socket.end(
      `HTTP/1.1 ${status} Moved\r\n${locations.join('')}Connection: close\r\nContent-Length: 5\r\n\r\nmoved`,
    );
  });
  attach(http, {
    routes: {
      '/echo': {
        protocols: ['chat'],
        origins: '*',
        message: (peer, data) => void peer.send(data),
      },
    },
  });
  return { server: http, port: await listen(t, http, path), asked, sockets };
}

/** Sends a message to a recorder and gets it back. */
export async function checkEcho(
  t: TestContext,
  url: string,
  options: ConnectOptions,
): Promise<void> {
  const inbox = new Mailbox<Message>();
  const peer = await dialTo(t, url, { ...options, message: (_, data) => inbox.put(data) });
  peer.send('hello');
  assert.equal(await inbox.next(), 'hello');
  peer.close(1000);
  assert.equal((await within('the end', peer.closed)).code, 1000);
}
