import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer, type Server, Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { before, describe, type TestContext, test } from 'node:test';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';
import { attach } from '../../dist/index.js';
import { sharedReading, takeOver, trySharedReads } from '../../dist/node/shared-read-buffer.js';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo } from './connections.ts';
import { settle, until, wasMoved, watchSockets } from './ways-of-reading.ts';

const onread = sharedReading(() => {});

interface Accepted {
  readonly server: Server;
  readonly accepted: Socket;
  readonly client: Socket;
}

/** A connection with both its ends; closed with the test. */
async function accept(t: TestContext): Promise<Accepted> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = connect({ port: address.port, host: '127.0.0.1', allowHalfOpen: true });
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(client, 'connect')]);
  assert.ok(accepted instanceof Socket);
  t.after(() => {
    accepted.destroy();
    client.destroy();
    server.close();
  });
  return { server, accepted, client };
}

/** What the client sends arrives at the socket, and what that sends at the client. */
async function expectWorks(socket: Socket, client: Socket): Promise<void> {
  const atSocket = once(socket, 'data');
  client.write('there?');
  assert.equal(String((await within('the question', atSocket))[0]), 'there?');
  const atClient = once(client, 'data');
  socket.write('here');
  assert.equal(String((await within('the answer', atClient))[0]), 'here');
}

// First: what comes after it runs with the trial passed.
test('nothing is taken over before the trial has passed', async (t) => {
  const { accepted, client } = await accept(t);
  assert.equal(takeOver(accepted, onread), undefined);
  const trying = trySharedReads();
  assert.equal(takeOver(accepted, onread), undefined);
  await trying;
  await expectWorks(accepted, client);
  assert.ok(takeOver(accepted, onread) instanceof Socket);
});

describe('takeOver leaves as they are', () => {
  before(trySharedReads);

  test('sockets of TLS', async (t) => {
    const { cert, key } = await localCertificate();
    const server = createTlsServer({ cert, key });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const client = connectTls({ port: address.port, host: '127.0.0.1', ca: cert });
    const [[accepted]] = await Promise.all([
      once(server, 'secureConnection'),
      once(client, 'secureConnect'),
    ]);
    t.after(() => {
      client.destroy();
      server.close();
    });
    assert.equal(takeOver(accepted, onread), undefined);
    assert.equal(takeOver(client, onread), undefined);
    await expectWorks(accepted, client);
  });

  test('sockets of a derived class', async (t) => {
    class Counting extends Socket {}
    const { server } = await accept(t);
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const derived = new Counting();
    t.after(() => derived.destroy());
    derived.connect(address.port, '127.0.0.1');
    const [accepted] = await once(server, 'connection');
    assert.equal(takeOver(derived, onread), undefined);
    await expectWorks(derived, accepted);
    accepted.destroy();
  });

  test('streams that are no sockets', async () => {
    const stream = new PassThrough();
    assert.equal(takeOver(stream, onread), undefined);
    stream.write('x');
    assert.equal(String(stream.read()), 'x');
  });

  test('sockets without a connection', () => {
    assert.equal(takeOver(new Socket(), onread), undefined);
  });

  test('a socket that is still connecting', async (t) => {
    const { server } = await accept(t);
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const socket = connect({ port: address.port, host: '127.0.0.1' });
    t.after(() => socket.destroy());
    const accepting = once(server, 'connection');
    assert.equal(takeOver(socket, onread), undefined);
    const [accepted] = await accepting;
    await expectWorks(socket, accepted);
    accepted.destroy();
  });

  test('a socket that was destroyed', async (t) => {
    const { accepted, client } = await accept(t);
    client.resume();
    const ended = once(client, 'end');
    accepted.destroy();
    assert.equal(takeOver(accepted, onread), undefined);
    await within('its end', ended);
  });

  test('a socket whose peer has ended', async (t) => {
    const { accepted, client } = await accept(t);
    const ended = once(accepted, 'end');
    accepted.resume();
    client.end();
    await ended;
    assert.equal(takeOver(accepted, onread), undefined);
    const closed = once(client, 'close');
    client.resume();
    accepted.end();
    await within('the end', closed);
  });

  test('a socket that has ended', async (t) => {
    const { accepted, client } = await accept(t);
    accepted.end('last');
    assert.equal(takeOver(accepted, onread), undefined);
    assert.equal(String((await within('the last', once(client, 'data')))[0]), 'last');
    const answer = once(accepted, 'data');
    client.write('answer');
    assert.equal(String((await within('an answer', answer))[0]), 'answer');
  });

  test('a socket with bytes that nobody has read', async (t) => {
    const { accepted, client } = await accept(t);
    accepted.pause();
    client.write('unread');
    await until('the bytes', () => accepted.readableLength > 0);
    assert.equal(takeOver(accepted, onread), undefined);
    assert.equal(String(accepted.read()), 'unread');
    accepted.resume();
    await expectWorks(accepted, client);
  });

  test('a socket with bytes that were not sent', async (t) => {
    const { accepted, client } = await accept(t);
    const large = Buffer.alloc(16 * 1024 * 1024, 'x');
    accepted.write(large);
    assert.notEqual(accepted.writableLength, 0);
    assert.equal(takeOver(accepted, onread), undefined);
    let size = 0;
    client.on('data', (chunk) => {
      size += chunk.length;
    });
    await until('all of it', () => size === large.length);
  });
});

describe('takeOver', () => {
  before(trySharedReads);

  test('moves the connection: bytes arrive in the shared buffer, the old socket is dead', async (t) => {
    const { server, accepted, client } = await accept(t);
    const read: string[] = [];
    const reading = sharedReading(function (bytes, size) {
      assert.equal(bytes, onread.buffer);
      assert.equal(this, moved);
      read.push(Buffer.from(bytes).toString('latin1', 0, size));
    });
    const moved = takeOver(accepted, reading);
    assert.ok(moved !== undefined);
    assert.equal(Reflect.get(accepted, '_handle'), null);
    assert.ok(wasMoved(accepted));
    const told: string[] = [];
    for (const name of ['data', 'end', 'close', 'error']) accepted.on(name, () => told.push(name));

    client.write('one');
    await settle();
    assert.deepEqual(read, [], 'it is paused');
    moved.resume();
    await until('the first bytes', () => read.length === 1);
    client.write('two');
    await until('more bytes', () => read.length === 2);
    assert.deepEqual(read, ['one', 'two']);
    const answer = once(client, 'data');
    moved.write('three');
    assert.equal(String((await within('an answer', answer))[0]), 'three');

    const count = (): Promise<number> =>
      new Promise((resolve) => server.getConnections((_, connections) => resolve(connections)));
    assert.equal(await count(), 1);
    // Whoever holds on to the old one does no harm with it.
    accepted.destroy();
    await settle();
    assert.equal(await count(), 1);
    const closed = once(server, 'close');
    server.close();
    const ended = once(moved, 'end');
    client.end();
    await within("'end'", ended);
    assert.equal(await count(), 1);
    moved.end();
    await within('the server to have no connections', closed);
    assert.deepEqual(told, ['close'], 'only of being destroyed by us');
  });

  test('moves a connection of a client, which is counted nowhere', async (t) => {
    const { accepted, client } = await accept(t);
    const read: number[] = [];
    const moved = takeOver(
      client,
      sharedReading((_, size) => read.push(size)),
    );
    assert.ok(moved !== undefined);
    moved.resume();
    accepted.write('12345');
    await until('bytes', () => read.length > 0);
    assert.deepEqual(read, [5]);
    const closed = once(moved, 'close');
    moved.destroy();
    await within("'close'", closed);
  });

  test('of an HTTP server: it counts the connection until that is closed', async (t) => {
    const sockets = watchSockets(t, 'server');
    const http = createHttpServer();
    attach(http, { routes: { '/': {} }, sharedReadBuffer: true });
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const address = http.address();
    assert.ok(typeof address === 'object' && address !== null);
    const peer = await dialTo(t, `ws://127.0.0.1:${address.port}`);
    peer.pong();
    await until('it to be moved', () => sockets.some(({ socket }) => wasMoved(socket)));
    let isClosed = false;
    http.close(() => {
      isClosed = true;
    });
    await settle();
    assert.equal(isClosed, false);
    peer.terminate();
    await until('the HTTP server to close', () => isClosed);
  });
});
