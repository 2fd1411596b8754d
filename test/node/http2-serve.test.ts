import assert from 'node:assert/strict';
import { constants, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { type Peer, RejectUpgrade, type UpgradeRequest } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { bareConnect, dialWire, HEADERS, RST_STREAM, statusBytes } from '../faults/http2-frames.ts';
import { dialHttp2, type RawStream, startHttp2 } from '../faults/http2-peer.ts';
import { checkSwitched, dial, handshake } from '../faults/raw-client.ts';
import { BINARY, clientFrame, PING, PONG, TEXT } from '../faults/raw-frames.ts';
import { Mailbox, makeGate, startServer } from './connections.ts';

const { NGHTTP2_NO_ERROR, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

function testOverBoth(name: string, run: (t: TestContext, tls: boolean) => Promise<void>): void {
  test(name, (t) => run(t, false));
  test(`${name} (TLS)`, (t) => run(t, true));
}

function echo(peer: Peer, message: string | Uint8Array): void {
  peer.send(message);
}

/** The answer that refuses, whole: its headers and its body. */
async function refusal(
  stream: RawStream,
  status: number,
): Promise<{ headers: IncomingHttpHeaders; body: string }> {
  const headers = await stream.expectStatus(status);
  const body = await stream.text();
  assert.equal(await stream.closed(), NGHTTP2_NO_ERROR, 'the answer was cut off');
  for (const name of ['connection', 'upgrade', 'keep-alive', 'transfer-encoding']) {
    assert.equal(headers[name], undefined, name);
  }
  return { headers, body };
}

testOverBoth('HTTP/2 and HTTP/1.1 reach the same routes on one port', async (t, tls) => {
  const opened = new Mailbox<Peer>();
  const server = await startHttp2(t, tls, {
    routes: {
      '/chat': { open: opened.put, message: echo },
      '/rooms/*': { message: (peer) => void peer.send(peer.request.url) },
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const stream = await session.open('/chat?a=b', { 'x-mine': 'yes', cookie: 'a=b' });
  const peer = await opened.next();
  assert.equal(peer.transport, 'h2');
  assert.equal(peer.remoteAddress, '127.0.0.1');
  assert.equal(peer.request.method, 'CONNECT');
  assert.equal(peer.request.url, '/chat?a=b');
  assert.equal(peer.request.headers.host, session.authority);
  assert.equal(peer.request.headers['x-mine'], 'yes');
  assert.equal(peer.request.headers.cookie, 'a=b');
  assert.ok(Object.keys(peer.request.headers).every((name) => !name.startsWith(':')));
  stream.write(clientFrame(TEXT, 'over h2'), clientFrame(BINARY, Uint8Array.of(1, 2)));
  await stream.expectFrame(TEXT, 'over h2');
  await stream.expectFrame(BINARY, Uint8Array.of(1, 2));
  stream.write(clientFrame(PING, 'p'));
  await stream.expectFrame(PONG, 'p');
  const room = await session.open('/rooms/7');
  room.write(clientFrame(TEXT, ''));
  await room.expectFrame(TEXT, '/rooms/7');

  const raw = await dial(server.port, tls);
  t.after(() => raw.destroy());
  raw.write(handshake({ path: '/chat' }));
  checkSwitched(await raw.readHead());
  const other = await opened.next();
  assert.equal(other.transport, 'http/1.1');
  assert.equal(other.request.method, 'GET');
  raw.write(clientFrame(TEXT, 'over 1.1'));
  await raw.expectFrame(TEXT, 'over 1.1');
  assert.equal(server.peers.size, 3);
});

testOverBoth('plain requests come by both; a route is no page', async (t, tls) => {
  const server = await startHttp2(t, tls, {
    routes: { '/': {} },
    request(request, response) {
      response.end(`page over ${request.httpVersion}`);
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const page = session.request({ ':path': '/page' });
  await page.expectStatus(200);
  assert.equal(await page.text(), 'page over 2.0');
  const raw = await dial(server.port, tls);
  t.after(() => raw.destroy());
  raw.write('GET /page HTTP/1.1\r\nHost: a\r\n\r\n');
  assert.equal((await raw.readHead()).status, 200);
  assert.match((await raw.readBytes(13)).toString(), /page over 1\.1/);

  const bare = await startHttp2(t, tls, { routes: { '/chat': {} } });
  const second = await dialHttp2(t, bare.port, tls);
  const onRoute = await refusal(second.request({ ':path': '/chat' }), 405);
  assert.equal(onRoute.headers.allow, 'CONNECT');
  await refusal(second.request({ ':path': '/nowhere' }), 404);
  const wire = await dialWire(t, bare.port, tls);
  wire.sendHeaders(1, bareConnect);
  assert.ok((await wire.next(HEADERS, RST_STREAM)).payload.includes(statusBytes[405]));
  assert.equal((await wire.next(RST_STREAM)).payload.readUInt32BE(), NGHTTP2_NO_ERROR);
  await refusal(second.connect('/nowhere'), 404);
  await second.open('/chat');
});

testOverBoth('the origin must be the one of :authority, or one allowed', async (t, tls) => {
  const server = await startHttp2(t, tls, {
    routes: { '/': {}, '/other': { origins: ['https://app.example'] } },
  });
  const session = await dialHttp2(t, server.port, tls);
  const own = `${session.scheme}://${session.authority}`;
  await session.open('/', { origin: own });
  await session.open('/other', { origin: 'https://app.example' });
  for (const [path, origin] of [
    ['/', 'https://evil.example'],
    ['/', 'null'],
    // In cleartext a proxy in front may have spoken TLS.
    ...(tls ? [['/', `http://${session.authority}`] as const] : []),
    ['/other', 'https://evil.example'],
  ] as const) {
    await refusal(session.connect(path, { origin }), 403);
  }
  assert.equal(server.peers.size, 2);
});

testOverBoth('hosts are checked; Host must say what :authority says', async (t, tls) => {
  const server = await startHttp2(t, tls, { hosts: ['chat.example'], routes: { '/': {} } });
  const session = await dialHttp2(t, server.port, tls);
  await session.open('/', { ':authority': 'chat.example' });
  await session.open('/', { ':authority': 'chat.example', host: 'chat.example' });
  await refusal(session.connect(), 421);
  await refusal(session.connect('/', { ':authority': 'rebound.example' }), 421);
  await refusal(session.connect('/', { ':authority': 'chat.example', host: 'evil.example' }), 400);
});

testOverBoth('the version is checked', async (t, tls) => {
  const server = await startHttp2(t, tls, { routes: { '/': {} } });
  const session = await dialHttp2(t, server.port, tls);
  for (const version of ['8', '013', '13, 8']) {
    const stream = session.connect('/', { 'sec-websocket-version': version });
    const { headers } = await refusal(stream, 426);
    assert.equal(headers['sec-websocket-version'], '13');
  }
});

testOverBoth('subprotocols are agreed on', async (t, tls) => {
  const opened = new Mailbox<Peer>();
  const server = await startHttp2(t, tls, {
    routes: { '/': { protocols: ['chat.v2', 'chat.v1'], open: opened.put } },
  });
  const session = await dialHttp2(t, server.port, tls);
  const stream = await session.open('/', { 'sec-websocket-protocol': 'chat.v1, chat.v2' });
  const { protocol } = await opened.next();
  assert.equal((await stream.headers())['sec-websocket-protocol'], protocol);
  assert.match(protocol, /^chat\.v[12]$/);
});

testOverBoth('compression is agreed on and used', async (t, tls) => {
  const server = await startHttp2(t, tls, {
    compression: true,
    routes: { '/': { message: echo } },
  });
  const session = await dialHttp2(t, server.port, tls);
  const extensions = { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' };
  const stream = await session.open('/', extensions);
  const { 'sec-websocket-extensions': agreed } = await stream.headers();
  assert.match(String(agreed), /^permessage-deflate/);
  const text = 'all work and no play makes Jack a dull boy. '.repeat(200);
  const tail = Buffer.of(0, 0, 0xff, 0xff);
  const compressed = deflateRawSync(text, { finishFlush: 2 }).subarray(0, -4);
  stream.write(clientFrame(TEXT | 0x40, compressed));
  const { first, payload } = await stream.readFrame();
  assert.equal(first, TEXT | 0x40);
  const inflated = inflateRawSync(Buffer.concat([payload, tail]), { finishFlush: 2 });
  assert.equal(inflated.toString(), text);
  assert.equal((await (await session.open()).headers())['sec-websocket-extensions'], undefined);
});

testOverBoth('limits hold: messages, headers, and the bytes of headers', async (t, tls) => {
  const server = await startHttp2(t, tls, {
    limits: { maxMessageBytes: 1_000, maxHeaders: 10, maxHeaderBytes: 4_096 },
    routes: { '/': { message: echo } },
  });
  const session = await dialHttp2(t, server.port, tls);
  const large = await session.open();
  large.write(clientFrame(TEXT, 'x'.repeat(1_001)));
  await large.expectClose(1009);
  await large.expectEnd();
  const fields = (count: number): OutgoingHttpHeaders =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`x-${at}`, '1']));
  // One is the version.
  await session.open('/', fields(9));
  await refusal(session.connect('/', fields(10)), 431);
  // Node itself resets what is far over, and so what is too long.
  const many = session.connect('/', fields(50));
  assert.equal(await many.closed(), NGHTTP2_ENHANCE_YOUR_CALM);
  const long = session.connect('/', { 'x-long': 'x'.repeat(5_000) });
  assert.notEqual(await long.closed(), NGHTTP2_NO_ERROR);
  const ok = await session.open();
  ok.write(clientFrame(TEXT, 'still there'));
  await ok.expectFrame(TEXT, 'still there');
});

testOverBoth('frames ahead of an async upgrade are delivered after open', async (t, tls) => {
  const decided = makeGate();
  const events = new Mailbox<string>();
  const server = await startHttp2<{ user: string }>(t, tls, {
    routes: {
      '/': {
        async upgrade({ headers }: UpgradeRequest) {
          events.put(`upgrade ${String(headers['x-user'])}`);
          await decided.opened;
          return { user: String(headers['x-user']) };
        },
        open: (peer) => events.put(`open ${peer.data.user}`),
        message(peer, message) {
          events.put(`message ${String(message).length}`);
          peer.send(message);
        },
      },
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const stream = session.connect('/', { 'x-user': 'ada' });
  stream.write(clientFrame(TEXT, 'early'));
  assert.equal(await events.next(), 'upgrade ada');
  stream.write(clientFrame(TEXT, 'x'.repeat(100_000)));
  await delay(20);
  assert.deepEqual(events.all.length, 1);
  decided.open();
  await stream.expectStatus(200);
  assert.deepEqual(await events.take(3), ['open ada', 'message 5', 'message 100000']);
  await stream.expectFrame(TEXT, 'early');
  await stream.expectFrame(TEXT, 'x'.repeat(100_000));
});

testOverBoth('RejectUpgrade is answered, without what is of connections', async (t, tls) => {
  const errors: unknown[] = [];
  const server = await startHttp2(t, tls, {
    onError: (error) => void errors.push(error),
    limits: { handshakeTimeoutMs: 50 },
    routes: {
      '/sync': {
        upgrade() {
          const headers = { 'WWW-Authenticate': 'Bearer', Connection: 'close', Upgrade: 'x' };
          throw new RejectUpgrade(401, { headers, body: 'who are you?' });
        },
      },
      '/async': {
        async upgrade() {
          await delay(5);
          throw new RejectUpgrade(503, { headers: { 'Retry-After': '7' } });
        },
      },
      '/empty': {
        upgrade() {
          throw new RejectUpgrade(403, { body: '' });
        },
      },
      '/broken': {
        upgrade() {
          throw new Error('of the application');
        },
      },
      '/never': { upgrade: () => new Promise<undefined>(() => {}) },
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const sync = session.connect('/sync');
  // What it sends ahead is thrown away.
  sync.write(clientFrame(TEXT, 'early'));
  const { headers, body } = await refusal(sync, 401);
  assert.equal(headers['www-authenticate'], 'Bearer');
  assert.equal(body, 'who are you?');
  assert.equal((await refusal(session.connect('/async'), 503)).headers['retry-after'], '7');
  assert.equal((await refusal(session.connect('/empty'), 403)).body, '');
  assert.deepEqual(errors, []);
  const broken = await refusal(session.connect('/broken'), 500);
  assert.doesNotMatch(broken.body, /application/);
  assert.equal(errors.length, 1);
  await refusal(session.connect('/never'), 503);
  assert.equal(server.peers.size, 0);
});

testOverBoth('who leaves while upgrade decides is never opened', async (t, tls) => {
  const asked = new Mailbox<string>();
  const decided = makeGate();
  let opens = 0;
  const server = await startHttp2(t, tls, {
    routes: {
      '/': {
        async upgrade({ url }) {
          asked.put(url);
          await decided.opened;
          return undefined;
        },
        open: () => void opens++,
      },
    },
  });
  const session = await dialHttp2(t, server.port, tls);
  const reset = session.connect('/?reset');
  const ended = session.connect('/?ended');
  await asked.take(2);
  reset.reset();
  ended.end();
  await reset.closed();
  await ended.closed();
  decided.open();
  await delay(20);
  assert.deepEqual([opens, server.peers.size], [0, 0]);
  await session.open();
});

test('without http2, TLS offers HTTP/1.1 alone, and cleartext takes no preface', async (t) => {
  const tls = await localCertificate();
  const encrypted = await startServer(t, { tls, http2: false, routes: { '/': {} } });
  await assert.rejects(dialHttp2(t, encrypted.port, true));
  const plain = await startServer(t, { routes: { '/': {} } });
  await assert.rejects(dialHttp2(t, plain.port, false));
  await assert.rejects(
    startServer(t, { http2: 'yes' as unknown as boolean, routes: {} }),
    /http2 is true or false/,
  );
});
