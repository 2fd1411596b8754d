/**
 * The defaults themselves, each at the limit and one past it. What other values do, and what else happens then, is
 * tested beside what they are of; docs/limits.md says where.
 */
import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect, defaultLimits, type Limits, type Route, serve } from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { dialHttp2, startHttp2 } from '../faults/http2-peer.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import {
  BINARY,
  BINARY_BEGUN,
  CONTINUED,
  clientFrame,
  FINISHED,
  PING,
  PONG,
  TEXT,
} from '../faults/raw-frames.ts';
import type { RawSocket } from '../faults/raw-socket.ts';
import { within } from '../faults/raw-socket.ts';
import { startServer } from './connections.ts';
import { fakeSession } from './fake-session.ts';

const MIB = 1024 * 1024;

test('they are those of the documents', () => {
  assert.deepEqual(defaultLimits, {
    maxMessageBytes: MIB,
    maxInflationRatio: 200,
    maxFragments: 1_024,
    maxUnfinishedBytes: 256 * MIB,
    messageTimeoutMs: 30_000,
    handshakeTimeoutMs: 10_000,
    maxHeaderBytes: 16_384,
    maxHeaders: 100,
    maxStreams: 100,
    maxConnections: Number.POSITIVE_INFINITY,
    maxConnectionsPerAddress: Number.POSITIVE_INFINITY,
    messagesPerSecond: Number.POSITIVE_INFINITY,
    messageBurst: 100,
    pingAfterMs: 25_000,
    pingTimeoutMs: 20_000,
    closeTimeoutMs: 5_000,
    highWaterMarkBytes: 65_536,
    maxBufferedBytes: MIB,
    maxTopics: 1_024,
    maxTopicLength: 256,
    stallTimeoutMs: 30_000,
    controlFramesPerSecond: 50,
    controlFrameBurst: 100,
  } satisfies Limits);
});

const sizes: Route<undefined> = {
  message(peer, message) {
    peer.send(`${message.length}`);
  },
  ping() {},
};

/** A connection to a server with nothing but defaults. */
async function open(t: TestContext): Promise<RawSocket> {
  const server = await startServer(t, { routes: { '/': sizes } });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  return raw;
}

suite('messages', () => {
  test('1 MiB, in one frame or in two; a byte more is 1009', async (t) => {
    const whole = await open(t);
    whole.write(clientFrame(BINARY, Buffer.alloc(MIB)));
    await whole.expectFrame(TEXT, `${MIB}`);
    whole.write(clientFrame(BINARY_BEGUN, Buffer.alloc(MIB - 1)), clientFrame(FINISHED, 'x'));
    await whole.expectFrame(TEXT, `${MIB}`);
    whole.write(clientFrame(BINARY_BEGUN, Buffer.alloc(MIB)), clientFrame(FINISHED, 'x'));
    await whole.expectClose(1009);
    const large = await open(t);
    large.write(clientFrame(BINARY, Buffer.alloc(MIB + 1)).subarray(0, 14));
    await large.expectClose(1009);
  });

  test('1,024 fragments; one more is 1008', async (t) => {
    const raw = await open(t);
    const most = Array<Buffer>(1_022).fill(clientFrame(CONTINUED, 'x'));
    raw.write(clientFrame(BINARY_BEGUN, 'x'), ...most, clientFrame(FINISHED, 'x'));
    await raw.expectFrame(TEXT, '1024');
    raw.write(
      clientFrame(BINARY_BEGUN, 'x'),
      ...most,
      clientFrame(CONTINUED),
      clientFrame(FINISHED),
    );
    await raw.expectClose(1008);
  });

  test('256 MiB of unfinished ones in the process; whoever asks for more gets 1013', async (t) => {
    const { unfinished } = nodePlatform;
    const [one, two] = [await open(t), await open(t)];
    // What others hold, but for one fragment's due.
    const others = 256 * MIB - 64;
    assert.ok(unfinished.take(others, defaultLimits.maxUnfinishedBytes));
    try {
      one.write(clientFrame(BINARY_BEGUN), clientFrame(PING));
      await one.expectFrame(PONG);
      two.write(clientFrame(BINARY_BEGUN));
      await two.expectClose(1013);
    } finally {
      unfinished.giveBack(others);
    }
  });
});

suite('the opening handshake', () => {
  /** The status that a request with such fields gets. */
  async function statusFor(t: TestContext, fields: Readonly<Record<string, string>>) {
    const server = await startServer(t, { routes: { '/': {} } });
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake({ fields }));
    return (await raw.readHead()).status;
  }

  test('100 headers; one more is 431', async (t) => {
    const own = 5;
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count - own }, (_, i) => [`h${i}`, '']));
    assert.equal(await statusFor(t, many(100)), 101);
    assert.equal(await statusFor(t, many(101)), 431);
  });

  test('the same over HTTP/2', async (t) => {
    const server = await startHttp2(t, false, { routes: { '/': {} } });
    const session = await dialHttp2(t, server.port, false);
    // `sec-websocket-version` is one.
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count - 1 }, (_, i) => [`h${i}`, '']));
    await session.connect('/', many(100)).expectStatus(200);
    await session.connect('/', many(101)).expectStatus(431);
  });

  test('16 KiB of headers, as Node counts them: the target, names and values', async (t) => {
    const head = handshake({ fields: { x: '' } });
    const [requestLine = '', ...lines] = head.trimEnd().split('\r\n');
    const counted =
      (requestLine.split(' ')[1] ?? '').length +
      lines.reduce((sum, line) => sum + line.replace(': ', '').replace(/:$/, '').length, 0);
    assert.equal(await statusFor(t, { x: 'v'.repeat(16_383 - counted) }), 101);
    assert.equal(await statusFor(t, { x: 'v'.repeat(16_384 - counted) }), 431);
  });

  test('10 s for `upgrade`; then 503', async (t) => {
    let isAsked = false;
    const server = await serve<undefined>({
      routes: {
        '/': {
          upgrade() {
            isAsked = true;
            return new Promise<never>(() => {});
          },
        },
      },
    });
    const raw = await dial(server.port, false);
    t.mock.timers.enable({ apis: ['setTimeout'] });
    raw.write(handshake());
    while (!isAsked) await nextTurn();
    t.mock.timers.tick(9_999);
    for (let i = 0; i < 100; i++) await nextTurn();
    assert.equal(raw.unread, 0);
    t.mock.timers.tick(1);
    t.mock.timers.reset();
    assert.equal((await raw.readHead()).status, 503);
    raw.destroy();
    await within('the close', server.close());
  });

  test('10 s for a client; then HANDSHAKE_TIMEOUT', async (t) => {
    const server = await serve<undefined>({
      limits: { handshakeTimeoutMs: 60_000 },
      routes: { '/': { upgrade: () => new Promise<never>(() => {}) } },
    });
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let failed = false;
    const connecting = connect(server.url).catch((error: { code: string }) => {
      failed = true;
      return error.code;
    });
    t.mock.timers.tick(9_999);
    for (let i = 0; i < 100; i++) await nextTurn();
    assert.equal(failed, false);
    t.mock.timers.tick(1);
    t.mock.timers.reset();
    assert.equal(await within('the failure', connecting), 'HANDSHAKE_TIMEOUT');
    await within('the close', server.close({ timeoutMs: 0 }));
  });
});

test('100 streams over one connection of HTTP/2: the server says so, and takes as many', async (t) => {
  const server = await startHttp2(t, false, { routes: { '/': {} } });
  const session = await dialHttp2(t, server.port, false);
  assert.equal(session.session.remoteSettings.maxConcurrentStreams, 100);
  for (let i = 0; i < 100; i++) await session.open();
  assert.equal(server.peers.size, 100);
});

suite('what waits for a peer', () => {
  /** The frame of so many bytes. */
  const message = (frameBytes: number): Buffer =>
    Buffer.alloc(frameBytes - (frameBytes > 65_535 ? 10 : 4));

  test('up to 64 KiB `send` says true; a byte more, and it says false', () => {
    for (const [bytes, expected] of [
      [65_536, true],
      [65_537, false],
    ] as const) {
      const { socket, peer } = fakeSession({});
      socket.atOnce = false;
      const half = Buffer.alloc(30_000);
      peer.send(half);
      const told = peer.send(Buffer.alloc(bytes - peer.bufferedAmount - 4));
      assert.equal(peer.bufferedAmount, bytes);
      assert.equal(told, expected);
      peer.terminate();
    }
  });

  test('up to 1 MiB waits; a byte more, and the peer is closed with 1013', () => {
    for (const [more, state] of [
      [0, 'open'],
      [1, 'closing'],
    ] as const) {
      const { socket, peer } = fakeSession({});
      socket.atOnce = false;
      peer.send(message(500_000));
      const before = peer.bufferedAmount;
      // The header is not counted for what is about to be sent.
      peer.send(Buffer.alloc(MIB - before + more));
      assert.equal(peer.state, state);
      peer.terminate();
    }
  });

  test('30 s without taking any of it; then the connection is destroyed', async (t) => {
    let clock = 1_000_000;
    t.mock.method(performance, 'now', () => clock);
    const { socket, session, peer } = fakeSession({ limits: { pingAfterMs: Infinity } });
    socket.atOnce = false;
    peer.send('never taken');
    await nextTurn();
    clock += 29_999;
    session.wake(clock);
    assert.equal(peer.state, 'open');
    clock += 1;
    session.wake(clock);
    assert.equal(peer.state, 'closing');
    assert.equal((await within('the end', peer.closed)).error?.code, 'SEND_STALLED');
  });
});
