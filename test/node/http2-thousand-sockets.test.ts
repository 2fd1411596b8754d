import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { runInNewContext } from 'node:vm';
import { type ConnectOptions, connect, type Message, type Server } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { watchHeap } from '../faults/heap.ts';
import { within } from '../faults/raw-socket.ts';
import { type Gate, makeGate, startServer } from './connections.ts';

const SOCKETS = 1_000;
/** One more, which keeps the connection while the others come and go. */
const MAX_STREAMS = SOCKETS + 1;
const OPENING_AT_ONCE = 100;
const MESSAGES = 5;
/** Far more than any of it takes, also where other tests have the cores. */
const PATIENCE_MS = 60_000;
const limits = { handshakeTimeoutMs: PATIENCE_MS, closeTimeoutMs: PATIENCE_MS };
/** What may be left; buffers for output are kept, 4 MiB of them. A thousand open sockets have some 15 MiB. */
const LEFT_MEGABYTES = 8;

/** How many TCP connections a server takes from now on. */
function countConnections(t: TestContext, { port }: Server): () => number {
  let connections = 0;
  const count = (message: unknown): void => {
    if ((message as { socket: Socket }).socket.localPort === port) connections++;
  };
  subscribe('net.server.socket', count);
  t.after(() => unsubscribe('net.server.socket', count));
  return () => connections;
}

/** No message is like one of another socket or round; some need more than one frame of HTTP/2. */
function messagesOf(socket: number, round: number): Message[] {
  return Array.from({ length: MESSAGES }, (_, at) => {
    const long = socket % 100 === at ? 30_000 : 0;
    const text = `${round}, ${socket}, ${at}: häh ${'x'.repeat(long)}`;
    return at % 2 === 0 ? text : Buffer.from(text);
  });
}

/** Opens a socket; what is returned has one send messages and get them back, the other closes it. */
async function open(url: string, socket: number, options: ConnectOptions) {
  const received: Message[] = [];
  let complete: Gate = makeGate();
  const peer = await connect(url, {
    ...options,
    message(_, message) {
      received.push(typeof message === 'string' ? message : Buffer.from(message));
      if (received.length === MESSAGES) complete.open();
    },
  });
  return {
    transport: peer.transport,
    async echo(round: number): Promise<void> {
      const messages = messagesOf(socket, round);
      received.length = 0;
      complete = makeGate();
      for (const message of messages) peer.send(message);
      await complete.opened;
      assert.deepEqual(received, messages);
    },
    async close(): Promise<void> {
      peer.close(4000, `${socket}`);
      const { code, error } = await peer.closed;
      assert.deepEqual([code, error], [4000, undefined]);
    },
  };
}

type Opened = Awaited<ReturnType<typeof open>>;

async function openAll(url: string, options: ConnectOptions): Promise<Opened[]> {
  const sockets: Opened[] = [];
  while (sockets.length < SOCKETS) {
    const some = Array.from({ length: OPENING_AT_ONCE }, (_, at) =>
      open(url, sockets.length + at, options),
    );
    sockets.push(...(await within('sockets to open', Promise.all(some), PATIENCE_MS)));
  }
  return sockets;
}

function echoAll(sockets: readonly Opened[], round: number): Promise<unknown> {
  const all = Promise.all(sockets.map((socket) => socket.echo(round)));
  return within('all echoes', all, PATIENCE_MS);
}

/** Bytes in use of both sides; of what OpenSSL holds nothing is known here. */
async function bytesInUse(): Promise<number> {
  // test/faults/heap.ts has exposed it. What holds on to memory outside of the heap goes first.
  for (let i = 0; i < 3; i++) {
    runInNewContext('gc')();
    await nextTurn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Opens a thousand sockets, has them echo twice, and closes them. Returns what they cost. */
async function openEchoClose(server: Server, options: ConnectOptions): Promise<string> {
  const before = await bytesInUse();
  const sockets = await openAll(server.url, options);
  const transports = new Set(sockets.map(({ transport }) => transport));
  assert.deepEqual([...transports], [options.http2 === true ? 'h2' : 'http/1.1']);
  assert.equal(server.peers.size, SOCKETS + 1);
  await echoAll(sockets, 1);
  const kilobytes = ((await bytesInUse()) - before) / SOCKETS / 1024;
  const cpu = process.cpuUsage();
  await echoAll(sockets, 2);
  const { user, system } = process.cpuUsage(cpu);
  const microseconds = (user + system) / SOCKETS;
  await within('all ends', Promise.all(sockets.map((one) => one.close())), PATIENCE_MS);
  return (
    `${kilobytes.toFixed(1)} KiB a socket and ${microseconds.toFixed(0)} us of CPU ` +
    `for ${MESSAGES} messages of each, both sides together`
  );
}

for (const http2 of [true, false]) {
  const over = http2 ? 'one connection of HTTP/2' : 'as many connections of HTTP/1.1';
  test(`a thousand WebSockets over ${over} echo, close, and leave nothing`, async (t) => {
    const tls = await localCertificate();
    const ends: string[] = [];
    const server = await startServer(t, {
      tls,
      limits: { ...limits, maxStreams: MAX_STREAMS },
      routes: {
        '/': {
          message: (peer, message) => void peer.send(message),
          close: (_, code, reason) => void ends.push(`${code} ${reason}`),
        },
      },
    });
    const options = { http2, tls: { ca: tls.cert }, limits };
    const connections = countConnections(t, server);
    const first = await open(server.url, SOCKETS, options);
    await first.echo(0);
    const checkHeap = await watchHeap();
    t.diagnostic(await openEchoClose(server, options));
    // Again, where that costs no connections: a stream that was not freed would need another one.
    if (http2) t.diagnostic(await openEchoClose(server, options));
    await first.echo(3);
    assert.equal(connections(), http2 ? 1 : SOCKETS + 1);
    assert.equal(server.peers.size, 1);
    const expected = Array.from({ length: SOCKETS }, (_, socket) => `4000 ${socket}`);
    assert.deepEqual(ends.toSorted(), [...expected, ...(http2 ? expected : [])].toSorted());
    await checkHeap(LEFT_MEGABYTES);
    await first.close();
  });
}
