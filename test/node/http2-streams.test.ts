import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Peer } from '../../dist/index.js';
import { watchHeap } from '../faults/heap.ts';
import {
  ACK,
  DATA,
  dialWire,
  END_STREAM,
  extendedConnect,
  HEADERS,
  RST_STREAM,
  SETTINGS,
} from '../faults/http2-frames.ts';
import { dialHttp2, type RawStream, startHttp2 } from '../faults/http2-peer.ts';
import { BINARY, CLOSE, clientFrame, closeCodeOf, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox, makeGate } from './connections.ts';

const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = constants;

function testOverBoth(name: string, run: (t: TestContext, tls: boolean) => Promise<void>): void {
  test(name, (t) => run(t, false));
  test(`${name} (TLS)`, (t) => run(t, true));
}

function echo(peer: Peer, message: string | Uint8Array): void {
  peer.send(message);
}

async function expectEcho(stream: RawStream, text: string): Promise<void> {
  stream.write(clientFrame(TEXT, text));
  await stream.expectFrame(TEXT, text);
}

testOverBoth('two hundred streams of a session echo, each its own', async (t, tls) => {
  const server = await startHttp2(t, tls, {
    limits: { maxStreams: 200 },
    routes: { '/': { message: echo } },
  });
  const session = await dialHttp2(t, server.port, tls);
  assert.equal(session.session.remoteSettings.maxConcurrentStreams, 200);
  const streams = await Promise.all(Array.from({ length: 200 }, () => session.open()));
  assert.equal(server.peers.size, 200);
  for (let round = 0; round < 3; round++) {
    await Promise.all(streams.map((stream, at) => expectEcho(stream, `${at} in round ${round}`)));
  }
  const long = 'x'.repeat(200_000);
  await Promise.all(streams.slice(0, 5).map((stream, at) => expectEcho(stream, `${at}${long}`)));
});

testOverBoth('a stream above maxStreams is refused, until another has ended', async (t, tls) => {
  const codes = new Mailbox<number>();
  let opens = 0;
  const server = await startHttp2(t, tls, {
    limits: { maxStreams: 3 },
    routes: { '/': { open: () => void opens++, close: (_, code) => codes.put(code) } },
  });
  const fields = { ...extendedConnect, ':scheme': tls ? 'https' : 'http' };
  const wire = await dialWire(t, server.port, tls);
  for (const streamId of [1, 3, 5]) {
    wire.sendHeaders(streamId, fields);
    assert.equal((await wire.next(HEADERS, RST_STREAM)).type, HEADERS);
  }
  wire.sendHeaders(7, fields);
  const refused = await wire.next(HEADERS, RST_STREAM);
  assert.deepEqual([refused.type, refused.streamId], [RST_STREAM, 7]);
  assert.equal(refused.payload.readUInt32BE(), NGHTTP2_REFUSED_STREAM);
  assert.equal(opens, 3);
  wire.send(DATA, END_STREAM, 3, Buffer.alloc(0));
  assert.equal(await codes.next(), 1006);
  let { type, flags, streamId } = await wire.next(DATA, RST_STREAM);
  while (streamId !== 3 || !(type === RST_STREAM || flags === END_STREAM)) {
    ({ type, flags, streamId } = await wire.next(DATA, RST_STREAM));
  }
  wire.sendHeaders(9, fields);
  assert.equal((await wire.next(HEADERS)).streamId, 9);
  // The limit is of a session, not of the server.
  await (await dialHttp2(t, server.port, tls)).open();
  assert.equal(server.peers.size, 4);
  // Whoever has acknowledged the limit (RFC 9113 6.5.3) and breaks it loses the session.
  wire.send(SETTINGS, ACK, 0, Buffer.alloc(0));
  wire.sendHeaders(11, fields);
  await wire.raw.drain();
  assert.deepEqual(await codes.take(3), [1006, 1006, 1006]);
  assert.deepEqual([opens, server.peers.size], [5, 1]);
});

testOverBoth('a client without a window stalls only itself, and is bounded', async (t, tls) => {
  const opened = new Mailbox<Peer>();
  const codes = new Mailbox<number>();
  const watch = { open: opened.put, close: (_: Peer, code: number) => codes.put(code) };
  const server = await startHttp2(t, tls, {
    limits: { highWaterMarkBytes: 10_000, maxBufferedBytes: 100_000 },
    routes: { '/': { ...watch, message: echo }, '/drop': { ...watch, slowPeers: 'drop' } },
  });
  const fast = await (await dialHttp2(t, server.port, tls)).open();
  await opened.next();
  const stalled = await dialHttp2(t, server.port, tls, { initialWindowSize: 0 });
  const dropped = await stalled.open('/drop');
  const dropping = (await opened.next()) as Peer;
  const checkHeap = await watchHeap();
  const results = [];
  for (let i = 0; i < 2_000; i++) {
    results.push(dropping.send(Buffer.alloc(10_000, i)));
    assert.ok(dropping.bufferedAmount <= 120_000, `${dropping.bufferedAmount}`);
    if (i % 200 === 0) await expectEcho(fast, `still ${i}`);
  }
  assert.equal(results.at(-1), false);
  assert.ok(dropping.dropped > 1_900, `${dropping.dropped}`);
  assert.equal(dropped.unread, 0);
  await checkHeap(3);

  const closed = await stalled.open();
  const closing = (await opened.next()) as Peer;
  while (closing.state === 'open') closing.send(Buffer.alloc(10_000));
  await expectEcho(fast, 'still there');
  assert.equal(server.peers.size, 3);
  // Given a window, it gets what waits, and what tells why it is closed.
  stalled.session.settings({ initialWindowSize: 1_000_000 });
  let frame = await closed.readFrame();
  while (frame.first === BINARY) frame = await closed.readFrame();
  assert.equal(frame.first, CLOSE);
  assert.equal(closeCodeOf(frame.payload), 1013);
  await closed.expectEnd();
  const { payload } = await dropped.readFrame();
  assert.deepEqual(payload, Buffer.alloc(10_000, 0));
});

testOverBoth('a client that takes nothing for stallTimeoutMs is cut off, alone', async (t, tls) => {
  const opened = new Mailbox<Peer>();
  const server = await startHttp2(t, tls, {
    limits: { stallTimeoutMs: 60 },
    routes: { '/': { open: opened.put, message: echo } },
  });
  const session = await dialHttp2(t, server.port, tls, { initialWindowSize: 1_000 });
  const other = await session.open();
  const stream = await session.open();
  const [, peer] = await opened.take(2);
  stream.stream.pause();
  // More than Node's client takes in while it is not read.
  peer?.send('x'.repeat(500_000));
  assert.equal((await peer?.closed)?.error?.code, 'SEND_STALLED');
  stream.stream.resume();
  assert.equal(await stream.closed(), NGHTTP2_CANCEL);
  await expectEcho(other, 'other');
});

testOverBoth('a stream that is not read does not stall others of its session', async (t, tls) => {
  const opened = new Mailbox<Peer>();
  const server = await startHttp2(t, tls, {
    limits: { highWaterMarkBytes: 10_000, maxBufferedBytes: 10_000_000 },
    routes: { '/': { open: opened.put, message: echo } },
  });
  const session = await dialHttp2(t, server.port, tls);
  const other = await session.open();
  const stream = await session.open();
  const [, peer] = (await opened.take(2)) as [Peer, Peer];
  stream.stream.pause();
  // Far more than the window, of the stream and of the session.
  let full = false;
  for (let i = 0; i < 50; i++) full = !peer.send(Buffer.alloc(20_000, i));
  assert.ok(full);
  for (let i = 0; i < 20; i++) await expectEcho(other, `${i} ${'x'.repeat(10_000)}`);
  assert.ok(peer.bufferedAmount > 500_000, `${peer.bufferedAmount}`);
  stream.stream.resume();
  for (let i = 0; i < 50; i++) await stream.expectFrame(BINARY, Buffer.alloc(20_000, i));
  assert.equal(peer.bufferedAmount, 0);
});

testOverBoth('a peer that the application holds does not stall others', async (t, tls) => {
  const go = makeGate();
  const held = new Mailbox<number>();
  const server = await startHttp2(t, tls, {
    routes: {
      '/': { message: echo },
      '/held': {
        async message(_, message) {
          held.put(message.length);
          await go.opened;
        },
      },
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const other = await session.open();
  const stream = await session.open('/held');
  let taken = false;
  for (let i = 0; i < 100; i++) stream.write(clientFrame(BINARY, Buffer.alloc(10_000)));
  stream.stream.write(clientFrame(TEXT, 'last'), () => {
    taken = true;
  });
  assert.equal(await held.next(), 10_000);
  for (let i = 0; i < 20; i++) {
    await expectEcho(other, `${i} ${'x'.repeat(10_000)}`);
    await nextTurn();
  }
  assert.equal(held.all.length, 1);
  // It is not read on: what it sends waits with the client.
  assert.equal(taken, false);
  go.open();
  assert.equal((await within('all of them', held.take(100))).at(-1), 4);
});
