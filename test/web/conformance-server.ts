import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { BINARY, CLOSE, closePayload, hex, serverFrame, TEXT } from '../faults/raw-frames.ts';
import { switching } from '../faults/raw-server.ts';
import { Head, RawSocket } from '../faults/raw-socket.ts';
import type { Behaviour, ConnectionRecord, Step } from './conformance-behaviour.ts';

/** Where the compiled cases are: this file's own folder. */
const modules = new URL('./', import.meta.url);

/** In a page of these SharedArrayBuffer is there. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};

/** Something that happens once, for who waits already and who comes later. */
class Occasion<T> {
  readonly come: Promise<T>;
  tell: (value: T) => void = () => {};

  constructor() {
    this.come = new Promise((resolve) => {
      this.tell = resolve;
    });
  }
}

/** The server of the cases: by hand, so that it can misbehave, and shares nothing with what is tested. */
export class ConformanceServer implements AsyncDisposable {
  readonly #server: Server = createServer((request, response) => this.#respond(request, response));
  readonly #sockets = new Set<Duplex>();
  readonly #records = new Map<string, Occasion<ConnectionRecord>>();
  readonly #releases = new Map<string, Occasion<void>>();

  static async start(): Promise<ConformanceServer> {
    const server = new ConformanceServer();
    server.#server.on('upgrade', (request, socket, head) => {
      server.#upgrade(request, socket, head).catch(() => {
        // The client has left early, as some cases have it.
        socket.destroy();
      });
    });
    server.#server.on('connection', (socket) => {
      server.#sockets.add(socket);
      socket.on('close', () => server.#sockets.delete(socket));
    });
    // Those to whom a case speaks TLS.
    server.#server.on('clientError', (_error, socket) => socket.destroy());
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get host(): string {
    // It listens on TCP.
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  // --- Over HTTP: the page, the modules, and what cases ask

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const send = (type: string, body: string): void => {
      response.writeHead(200, { 'Content-Type': type, ...isolation }).end(body);
    };
    if (path === '/') send('text/html', '<!doctype html><link rel="icon" href="data:,">');
    else if (path === '/record') {
      const record = await at(this.#records, query).come;
      send('application/json', JSON.stringify(record));
    } else if (path === '/release') {
      at(this.#releases, query).tell();
      send('text/plain', '');
    } else if (/^\/modules\/[\w/-]+\.js$/.test(path)) {
      const file = new URL(path.slice('/modules/'.length), modules);
      send('text/javascript', await readFile(file, 'utf8'));
    } else response.writeHead(404, isolation).end();
  }

  // --- WebSocket

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.unshift(head);
    // An HTTP server's connections are sockets, over TCP.
    const raw = new RawSocket(socket as ConstructorParameters<typeof RawSocket>[0]);
    const [target = '', query = '{}'] = (request.url ?? '').split('?');
    const behaviour = behaviourOf(query);
    const frames: string[] = [];
    try {
      if (behaviour.delayed) await at(this.#releases, behaviour.id).come;
      await this.#talk(raw, headOf(request), behaviour, frames);
    } finally {
      const fields: Record<string, string> = {};
      for (const [name, value] of Object.entries(request.headers)) fields[name] = String(value);
      at(this.#records, behaviour.id).tell({ target, fields, frames });
    }
  }

  async #talk(
    raw: RawSocket,
    request: Head,
    { id, status = 101, fields = {}, together = false, steps = [] }: Behaviour,
    frames: string[],
  ): Promise<void> {
    const response = status === 101 ? accept(request, fields) : refuse(status, fields);
    const packet: Uint8Array[] = [Buffer.from(response)];
    const flush = (): void => {
      if (packet.length > 0) raw.write(...packet.splice(0));
    };
    if (status !== 101) {
      flush();
      raw.end();
      return;
    }
    if (!together) flush();
    // A script that closes, or never does, does it itself.
    const closes = steps.some((step) => typeof step === 'object' && 'close' in step);
    const answersClose = !closes && !steps.includes('mute');
    let isClosed = false;
    const read = async (): Promise<Uint8Array> => {
      const { first, payload } = await raw.readFrame();
      frames.push(toldFrame(first, payload));
      const same = serverFrame(first, payload);
      isClosed = first === CLOSE;
      if (isClosed && answersClose) raw.write(same);
      return same;
    };
    for (const step of steps) {
      if (typeof step === 'object') {
        packet.push(bytesOf(step));
        continue;
      }
      flush();
      if (step === 'end') raw.end();
      else if (step === 'reset') raw.reset();
      else if (step === 'read') await read();
      else if (step === 'hold') {
        raw.socket.pause();
        await at(this.#releases, id).come;
        raw.socket.resume();
      } else if (step === 'echo') {
        for (let same = await read(); !isClosed; same = await read()) raw.write(same);
      }
    }
    flush();
    while (!isClosed) await read();
    if (closes || answersClose) raw.end();
    else await raw.drain();
  }
}

function at<T>(occasions: Map<string, Occasion<T>>, id: string): Occasion<T> {
  const occasion = occasions.get(id) ?? new Occasion<T>();
  occasions.set(id, occasion);
  return occasion;
}

/** Cases about URLs come with queries of their own. */
function behaviourOf(query: string): Behaviour {
  try {
    return JSON.parse(decodeURIComponent(query)) as Behaviour;
  } catch {
    return { id: 'nobody asks' };
  }
}

function headOf({ method, url, rawHeaders }: IncomingMessage): Head {
  const lines = [`${method} ${url} HTTP/1.1`];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`);
  }
  return new Head(lines.join('\r\n'));
}

function accept(request: Head, fields: Readonly<Record<string, string | null>>): string {
  const first = request.get('sec-websocket-protocol')?.split(',')[0];
  return switching(request, present({ 'sec-websocket-protocol': first ?? null, ...fields }));
}

/** `switching` leaves out what is undefined. */
function present(fields: Readonly<Record<string, string | null>>) {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, value ?? undefined]),
  );
}

function refuse(status: number, fields: Readonly<Record<string, string | null>>): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} Refused\r\n${lines.join('')}Content-Length: 0\r\nConnection: close\r\n\r\n`;
}

function bytesOf(step: Exclude<Step, string>): Uint8Array {
  if ('text' in step) return serverFrame(TEXT, step.text);
  if ('binary' in step) return serverFrame(BINARY, Uint8Array.from(step.binary));
  if ('bytes' in step) return hex(step.bytes);
  const [code, reason] = step.close;
  return serverFrame(CLOSE, code === undefined ? '' : closePayload(code, reason));
}

function toldFrame(first: number, payload: Buffer): string {
  const shown = payload.length > 200 ? `${payload.length} bytes` : payload.toString('hex');
  return `${first.toString(16).padStart(2, '0')} ${shown}`.trim();
}
