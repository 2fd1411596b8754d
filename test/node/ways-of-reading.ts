import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ServeOptions, Server } from '../../dist/index.js';
import { sharedReading } from '../../dist/node/shared-read-buffer.js';
import { checkSwitched, handshake } from '../faults/raw-client.ts';
import { clientFrame, PONG, TEXT } from '../faults/raw-frames.ts';
import { RawSocket, within } from '../faults/raw-socket.ts';
import { startServer } from './connections.ts';

/** How a plain socket is read. */
export interface Way {
  readonly name: string;
  readonly sharedReadBuffer: boolean;
  readonly unix: boolean;
}

const ways: readonly Way[] = [
  { name: 'TCP, shared buffer', sharedReadBuffer: true, unix: false },
  { name: "TCP, 'data'", sharedReadBuffer: false, unix: false },
  { name: 'Unix socket, shared buffer', sharedReadBuffer: true, unix: true },
];

export function testEachWay(name: string, run: (t: TestContext, way: Way) => Promise<void>): void {
  for (const way of ways) test(`${name} (${way.name})`, (t) => run(t, way));
}

const { buffer } = sharedReading(() => {});

/** The same for what only TCP knows: a reset. */
export function testEachTcpWay(
  name: string,
  run: (t: TestContext, way: Way) => Promise<void>,
): void {
  for (const way of ways.filter(({ unix }) => !unix))
    test(`${name} (${way.name})`, (t) => run(t, way));
}

/**
 * Spoils what the shared buffer holds, once the read that is being handled has been: whatever should not
 * point there any more is spoilt with it.
 */
export function spoilSharedBuffer(): void {
  assert.ok(buffer instanceof Uint8Array);
  queueMicrotask(() => buffer.fill(0xee));
}

/** Whether the connection of a socket was moved to another one. */
export function wasMoved(socket: Socket): boolean {
  return Reflect.get(socket, '_handle') === null && !socket.destroyed;
}

export interface SocketMade {
  readonly socket: Socket;
  /** Its connection, wherever it is moved to; null for a client's that is not connected yet. */
  readonly handle: unknown;
}

/** The sockets of a kind that node:net makes from here on until the test ends. */
export function watchSockets(t: TestContext, kind: 'client' | 'server'): SocketMade[] {
  const made: SocketMade[] = [];
  const note = (message: unknown): void => {
    assert.ok(typeof message === 'object' && message !== null && 'socket' in message);
    const { socket } = message;
    assert.ok(socket instanceof Socket);
    made.push({ socket, handle: Reflect.get(socket, '_handle') });
  };
  subscribe(`net.${kind}.socket`, note);
  t.after(() => unsubscribe(`net.${kind}.socket`, note));
  return made;
}

/** A server that reads in one of the ways, and what connects to it by hand. */
export class ServerOfWay<Data> {
  readonly server: Server<Data>;
  readonly #way: Way;
  readonly #path: string | undefined;
  readonly #dialled: Socket[];
  readonly #accepted: readonly SocketMade[];

  constructor(
    way: Way,
    server: Server<Data>,
    path: string | undefined,
    accepted: readonly SocketMade[],
    dialled: Socket[],
  ) {
    this.server = server;
    this.#way = way;
    this.#path = path;
    this.#accepted = accepted;
    this.#dialled = dialled;
  }

  /** A connection without a handshake. */
  async dial(): Promise<RawSocket> {
    const where =
      this.#path === undefined
        ? { host: '127.0.0.1', port: this.server.port }
        : { path: this.#path };
    const socket = connectTcp({ ...where, allowHalfOpen: true });
    this.#dialled.push(socket);
    await within(
      'a connection',
      new Promise<void>((resolve, reject) => {
        socket.once('error', reject);
        socket.once('connect', () => {
          socket.off('error', reject);
          resolve();
        });
      }),
    );
    return new RawSocket(socket);
  }

  /** A connection with a handshake that was accepted, perhaps with more behind it. */
  async open(...behind: readonly Uint8Array[]): Promise<RawSocket> {
    const raw = await this.dial();
    raw.write(handshake(), ...behind);
    checkSwitched(await raw.readHead());
    return raw;
  }

  /** Bytes read so far from the connection that was accepted last. */
  get bytesRead(): number {
    const handle = this.#accepted.at(-1)?.handle;
    assert.ok(typeof handle === 'object' && handle !== null);
    const bytes: unknown = Reflect.get(handle, 'bytesRead');
    assert.ok(typeof bytes === 'number');
    return bytes;
  }

  /**
   * All that was accepted, and neither refused nor closed, is read in this way; a connection is moved when
   * it has something to say, for which a pong does.
   */
  async checkWay(): Promise<void> {
    for (const socket of this.#dialled) if (!socket.destroyed) socket.write(clientFrame(PONG, ''));
    const open = this.#accepted.filter(({ socket }) => !socket.destroyed);
    assert.notEqual(open.length, 0);
    const { sharedReadBuffer } = this.#way;
    if (sharedReadBuffer) {
      await until('all to be moved', () => open.every(({ socket }) => wasMoved(socket)));
    } else {
      await settle();
      assert.ok(!open.some(({ socket }) => wasMoved(socket)));
    }
  }
}

export async function startWay<Data = undefined>(
  t: TestContext,
  way: Way,
  options: ServeOptions<Data>,
): Promise<ServerOfWay<Data>> {
  let path: string | undefined;
  if (way.unix) {
    const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    path = join(folder, 'test.sock');
  }
  const dialled: Socket[] = [];
  // Before the server is closed, which would wait for them.
  t.after(() => {
    for (const socket of dialled) socket.destroy();
  });
  const server = await startServer<Data>(t, {
    ...options,
    sharedReadBuffer: way.sharedReadBuffer,
    ...(path === undefined ? {} : { unix: path }),
  });
  return new ServerOfWay(way, server, path, watchSockets(t, 'server'), dialled);
}

/** Waits until it is so; looks once a turn. */
export async function until(what: string | (() => string), isSo: () => boolean): Promise<void> {
  let givenUp = false;
  const happened = async (): Promise<void> => {
    while (!isSo() && !givenUp) await nextTurn();
  };
  try {
    await within(what, happened());
  } finally {
    givenUp = true;
  }
}

/** Lets the other side read what was written: the kernel hands it over at once. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await nextTurn();
}

/** Numbered texts of a kibibyte with their header. */
export function numbered(count: number): { bytes: Buffer; messages: string[] } {
  const messages = Array.from({ length: count }, (_, at) => `${at}`.padEnd(1_016, '.'));
  return { bytes: Buffer.concat(messages.map((text) => clientFrame(TEXT, text))), messages };
}
