import assert from 'node:assert/strict';
import { once } from 'node:events';
import { constants, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { attach, type Route, type Server } from '../../dist/index.js';
import { Mailbox } from '../node/connections.ts';
import {
  DATA,
  dialWire,
  END_STREAM,
  extendedConnect,
  GOAWAY,
  HEADERS,
  type Http2Wire,
  headerBlock,
  http2Frame,
  INITIAL_WINDOW_SIZE,
  PING,
  RST_STREAM,
  SETTINGS,
  setting,
  uint32,
  WINDOW_UPDATE,
} from './http2-frames.ts';
import { dialHttp2, type RawSession, type RawStream, startHttp2 } from './http2-peer.ts';
import { CLOSE, clientFrame, closePayload, readFrame, TEXT } from './raw-frames.ts';
import { within } from './raw-socket.ts';

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR } =
  constants;

function without(name: string): Record<string, string> {
  return Object.fromEntries(Object.entries(extendedConnect).filter(([field]) => field !== name));
}

/** The test over both; what nothing catches, the runner fails it for. */
function testOverBoth(name: string, run: (t: TestContext, tls: boolean) => Promise<void>): void {
  test(name, (t) => run(t, false));
  test(`${name} (TLS)`, (t) => run(t, true));
}

/** Echoes, and tells of each end. */
function echo(ends: Mailbox<number>): Route<undefined> {
  return {
    message(peer, message) {
      peer.send(message);
    },
    close: (_, code) => ends.put(code),
  };
}

async function expectEcho(stream: RawStream, text = 'hello'): Promise<void> {
  stream.write(clientFrame(TEXT, text));
  await stream.expectFrame(TEXT, text);
}

/** A client that comes new is served. */
async function checkAlive(t: TestContext, server: Server, tls: boolean): Promise<void> {
  await expectEcho(await (await dialHttp2(t, server.port, tls)).open());
}

/** The code with which the stream is reset. */
async function resetOf(wire: Http2Wire, streamId: number): Promise<number> {
  const frame = await wire.next(RST_STREAM, HEADERS, GOAWAY);
  assert.deepEqual([frame.type, frame.streamId], [RST_STREAM, streamId]);
  return frame.payload.readUInt32BE();
}

async function expectGranted(wire: Http2Wire, streamId: number): Promise<void> {
  const frame = await wire.next(RST_STREAM, HEADERS, GOAWAY);
  assert.deepEqual([frame.type, frame.streamId], [HEADERS, streamId]);
  // RFC 7541 A: 8 is `:status` 200.
  assert.equal(frame.payload[0], 0x88);
}

test('fault 75: `:protocol` where the setting was not sent is a stream error, and never reaches a route', async (t) => {
  const http = createServer();
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const { port } = http.address() as AddressInfo;
  t.after(() => http.close());
  const before = await dialWire(t, port, false);
  await before.next(SETTINGS);
  const ends = new Mailbox<number>();
  let opens = 0;
  const server = attach(http, { routes: { '/': { ...echo(ends), open: () => void opens++ } } });
  before.sendHeaders(1, extendedConnect);
  assert.equal(await resetOf(before, 1), NGHTTP2_PROTOCOL_ERROR);
  assert.equal(opens, 0);
  // Who comes after `attach` is told.
  await checkAlive(t, server, false);
  const after = await dialHttp2(t, port, false);
  assert.equal(after.session.remoteSettings.enableConnectProtocol, true);
  await expectEcho(await after.open());
  before.raw.destroy();
  after.session.destroy();
  await within('close', server.close({ timeoutMs: 50 }));
});

testOverBoth('fault 76: `:path` or `:scheme` absent is a stream error', async (t, tls) => {
  const ends = new Mailbox<number>();
  const server = await startHttp2(t, tls, { routes: { '*': echo(ends) } });
  const wire = await dialWire(t, server.port, tls);
  wire.sendHeaders(1, without(':path'));
  assert.equal(await resetOf(wire, 1), NGHTTP2_PROTOCOL_ERROR);
  wire.sendHeaders(3, without(':scheme'));
  assert.equal(await resetOf(wire, 3), NGHTTP2_PROTOCOL_ERROR);
  wire.sendHeaders(5, without(':authority'));
  assert.equal(await resetOf(wire, 5), NGHTTP2_PROTOCOL_ERROR);
  // The session goes on.
  wire.sendHeaders(7, { ...extendedConnect, ':scheme': tls ? 'https' : 'http' });
  await expectGranted(wire, 7);
  assert.equal(server.peers.size, 1);
  await checkAlive(t, server, tls);
});

testOverBoth('fault 77: an unknown `:protocol` is answered with 501', async (t, tls) => {
  const server = await startHttp2(t, tls, { routes: { '/': echo(new Mailbox()) } });
  const session = await dialHttp2(t, server.port, tls);
  for (const protocol of ['connect-udp', 'webtransport', 'websocket2', 'h2c']) {
    const stream = session.connect('/', { ':protocol': protocol });
    await stream.expectStatus(501);
    await stream.text();
    assert.equal(await stream.closed(), NGHTTP2_NO_ERROR);
  }
  assert.equal(server.peers.size, 0);
  await expectEcho(await session.open('/', { ':protocol': 'WebSocket' }));
});

testOverBoth('fault 78: success is 200, never 101, and has no Accept', async (t, tls) => {
  const ends = new Mailbox<number>();
  const server = await startHttp2(t, tls, { routes: { '/': echo(ends) } });
  const session = await dialHttp2(t, server.port, tls);
  for (const key of [undefined, 'dGhlIHNhbXBsZSBub25jZQ==']) {
    const stream = await session.open('/', {
      ...(key === undefined ? {} : { 'sec-websocket-key': key }),
    });
    const names = Object.keys(await stream.headers());
    assert.deepEqual(
      names.filter((name) => /^(sec-websocket|connection|upgrade|transfer|content)/.test(name)),
      [],
    );
    await expectEcho(stream);
    stream.write(clientFrame(CLOSE, closePayload(1000)));
    await stream.expectClose(1000);
    await stream.expectEnd();
    stream.end();
    assert.equal(await stream.closed(), NGHTTP2_NO_ERROR);
    assert.equal(await ends.next(), 1000);
  }
  assert.equal(session.session.destroyed, false);
});

testOverBoth('fault 79: RST_STREAM ends that peer only, with 1006', async (t, tls) => {
  const ends = new Mailbox<number>();
  const server = await startHttp2(t, tls, { routes: { '/': echo(ends) } });
  const session = await dialHttp2(t, server.port, tls);
  const other = await session.open();
  const codes = [NGHTTP2_NO_ERROR, NGHTTP2_CANCEL, NGHTTP2_PROTOCOL_ERROR];
  for (const [at, code] of [...codes, NGHTTP2_ENHANCE_YOUR_CALM].entries()) {
    const stream = await session.open();
    // In the middle of a frame, too.
    if (at % 2 === 1) stream.write(clientFrame(TEXT, 'hello').subarray(0, 8));
    else await expectEcho(stream);
    await delay(5);
    stream.reset(code);
    assert.equal(await ends.next(), 1006);
    await expectEcho(other);
  }
  assert.deepEqual(ends.all.length, codes.length + 1);
  assert.equal(server.peers.size, 1);
});

testOverBoth(
  'fault 79: END_STREAM without Close ends that peer only, with 1006',
  async (t, tls) => {
    const ends = new Mailbox<number>();
    const got = new Mailbox<unknown>();
    const route = { ...echo(ends), message: (_: unknown, message: unknown) => got.put(message) };
    const server = await startHttp2(t, tls, { routes: { '/': route } });
    const session = await dialHttp2(t, server.port, tls);
    const other = await session.open();
    for (const last of [clientFrame(TEXT, 'last words'), clientFrame(TEXT, 'x').subarray(0, 3)]) {
      const stream = await session.open();
      stream.write(last);
      stream.end();
      assert.equal(await ends.next(), 1006);
      await stream.closed();
    }
    // What came before the end was delivered.
    assert.deepEqual(got.all, ['last words']);
    other.write(clientFrame(TEXT, 'still there'));
    assert.equal((await got.take(2))[1], 'still there');
  },
);

testOverBoth(
  'fault 79: a request that is reset at once, or while it is decided about, takes nothing with it',
  async (t, tls) => {
    const ends = new Mailbox<number>();
    const asked = new Mailbox<() => void>();
    let opens = 0;
    const open = (): void => void opens++;
    const upgrade = (): Promise<undefined> =>
      new Promise((resolve) => asked.put(() => resolve(undefined)));
    const routes = { '/': { ...echo(ends), open }, '/later': { ...echo(ends), open, upgrade } };
    const server = await startHttp2(t, tls, { routes });
    const wire = await dialWire(t, server.port, tls);
    const request = { ...extendedConnect, ':scheme': tls ? 'https' : 'http' };
    const requests: Record<string, string>[] = [
      request,
      { ...request, ':path': '/none' },
      { ...request, ':protocol': 'chess' },
      { ...request, 'sec-websocket-version': '9' },
    ];
    let streamId = -1;
    for (const code of [NGHTTP2_NO_ERROR, NGHTTP2_CANCEL]) {
      for (const fields of requests) {
        streamId += 2;
        wire.raw.write(
          http2Frame(HEADERS, 0x4, streamId, headerBlock(fields)),
          http2Frame(RST_STREAM, 0, streamId, uint32(code)),
        );
      }
      streamId += 2;
      wire.sendHeaders(streamId, { ...request, ':path': '/later' });
      const decide = await asked.next();
      wire.send(RST_STREAM, 0, streamId, uint32(code));
      wire.send(PING, 0, 0, Buffer.alloc(8));
      await wire.next(PING);
      decide();
    }
    await checkAlive(t, server, tls);
    // Who was opened nevertheless was ended; the one that is left is alive.
    for (let ended = 0; ended < opens - 1; ended++) assert.equal(await ends.next(), 1006);
    assert.equal(server.peers.size, 1);
  },
);

testOverBoth('fault 80: a zero window stalls that stream alone', async (t, tls) => {
  const ends = new Mailbox<number>();
  const sends: boolean[] = [];
  const server = await startHttp2(t, tls, {
    limits: { highWaterMarkBytes: 20_000 },
    routes: {
      '/': echo(ends),
      '/many': {
        open(peer) {
          for (let i = 0; i < 10; i++) sends.push(peer.send('x'.repeat(10_000)));
        },
      },
    },
  });
  const wire = await dialWire(t, server.port, tls, setting(INITIAL_WINDOW_SIZE, 0));
  const fields = { ...extendedConnect, ':scheme': tls ? 'https' : 'http' };
  wire.sendHeaders(1, { ...fields, ':path': '/many' });
  await expectGranted(wire, 1);
  assert.equal(sends.at(-1), false, 'send told nothing');
  wire.sendHeaders(3, fields);
  await expectGranted(wire, 3);
  wire.send(WINDOW_UPDATE, 0, 3, uint32(50_000));
  for (let i = 0; i < 20; i++) {
    wire.send(DATA, 0, 3, clientFrame(TEXT, `message ${i}`));
    const { streamId, payload } = await wire.next(DATA, RST_STREAM, GOAWAY);
    assert.equal(streamId, 3);
    assert.equal(readFrame(payload)?.payload.toString(), `message ${i}`);
  }
  assert.equal(server.peers.size, 2);
  // Given a window, it gets what waited.
  wire.send(WINDOW_UPDATE, 0, 1, uint32(5_000));
  let arrived = Buffer.alloc(0);
  while (arrived.length < 5_000) {
    const { streamId, payload } = await wire.next(DATA, RST_STREAM, GOAWAY);
    assert.equal(streamId, 1);
    arrived = Buffer.concat([arrived, payload]);
  }
  assert.deepEqual(arrived.subarray(0, 4), Buffer.of(TEXT, 126, 10_000 >> 8, 10_000 & 0xff));
  wire.send(DATA, END_STREAM, 3, Buffer.alloc(0));
  assert.equal(await ends.next(), 1006);
});

testOverBoth('fault 81: rapid reset ends with GOAWAY; others are served', async (t, tls) => {
  const ends = new Mailbox<number>();
  let opensAfter = 0;
  const after = { open: () => void opensAfter++ };
  const server = await startHttp2(t, tls, { routes: { '/': echo(ends), '/after': after } });
  const bystander: RawSession = await dialHttp2(t, server.port, tls);
  const stream = await bystander.open();
  const wire = await dialWire(t, server.port, tls);
  const block = headerBlock({ ...extendedConnect, ':scheme': tls ? 'https' : 'http' });
  let goaway: number | undefined;
  let sent = 0;
  while (goaway === undefined) {
    assert.ok(sent < 10_000, 'as many resets as one likes');
    const frames = [];
    for (let i = 0; i < 50; i++, sent++) {
      frames.push(http2Frame(HEADERS, 0x4, 2 * sent + 1, block));
      frames.push(http2Frame(RST_STREAM, 0, 2 * sent + 1, uint32(NGHTTP2_CANCEL)));
    }
    // Its answer shows that all before it was taken in.
    wire.raw.write(...frames, http2Frame(PING, 0, 0, Buffer.alloc(8)));
    const frame = await wire.next(PING, GOAWAY);
    if (frame.type === GOAWAY) goaway = frame.payload.readUInt32BE(4);
    await expectEcho(stream);
  }
  assert.notEqual(goaway, NGHTTP2_NO_ERROR);
  // What it asks for now is not listened to.
  wire.sendHeaders(2 * sent + 1, { ...extendedConnect, ':path': '/after' });
  await expectEcho(stream);
  await checkAlive(t, server, tls);
  // Whoever was opened was ended, once.
  assert.ok(ends.all.every((code) => code === 1006));
  assert.ok(server.peers.size <= 2);
  assert.equal(opensAfter, 0);
});
