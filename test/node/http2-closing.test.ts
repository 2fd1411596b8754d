import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type Limits, type Peer, type Server, serve } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { dialWire, extendedConnect, HEADERS, PREFACE } from '../faults/http2-frames.ts';
import { dialHttp2, RawSession, startHttp2 } from '../faults/http2-peer.ts';
import { checkSwitched, dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, closePayload, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox, makeGate } from './connections.ts';

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR } = constants;

function testOverBoth(name: string, run: (t: TestContext, tls: boolean) => Promise<void>): void {
  test(name, (t) => run(t, false));
  test(`${name} (TLS)`, (t) => run(t, true));
}

interface Ends {
  readonly server: Server;
  readonly opened: Mailbox<Peer>;
  readonly codes: Mailbox<number>;
}

/** A server that the test closes itself. */
async function starting(tls: boolean, limits: Partial<Limits> = {}): Promise<Ends> {
  const opened = new Mailbox<Peer>();
  const codes = new Mailbox<number>();
  const server = await serve({
    ...(tls ? { tls: await localCertificate() } : { http2: true }),
    limits,
    onError: (error) => assert.fail(String(error)),
    routes: {
      '/': {
        open: opened.put,
        message: (peer, message) => void peer.send(message),
        close: (_, code) => codes.put(code),
      },
    },
  });
  return { server, opened, codes };
}

async function tookMs(promise: Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await within('the end', promise);
  return performance.now() - begun;
}

describe('one stream', () => {
  testOverBoth('close ends with END_STREAM both ways; the session goes on', async (t, tls) => {
    const { server, opened, codes } = await starting(tls);
    const session = await dialHttp2(t, server.port, tls);
    const stream = await session.open();
    const peer = await opened.next();
    peer.close(4001, 'enough');
    await stream.expectClose(4001);
    stream.write(clientFrame(CLOSE, closePayload(4001)));
    await stream.expectEnd();
    stream.end();
    assert.equal(await stream.closed(), NGHTTP2_NO_ERROR);
    assert.equal(await codes.next(), 4001);
    assert.equal((await peer.closed).error, undefined);
    const next = await session.open();
    next.write(clientFrame(TEXT, 'next'));
    await next.expectFrame(TEXT, 'next');
    session.session.destroy();
    await within('close', server.close());
  });

  testOverBoth('terminate sends RST_STREAM with CANCEL; others go on', async (t, tls) => {
    const { server, opened, codes } = await starting(tls);
    const session = await dialHttp2(t, server.port, tls);
    const stream = await session.open();
    const peer = await opened.next();
    const other = await session.open();
    peer.terminate();
    assert.equal(await stream.closed(), NGHTTP2_CANCEL);
    assert.equal(await codes.next(), 1006);
    assert.equal((await peer.closed).error?.code, 'TERMINATED');
    other.write(clientFrame(TEXT, 'other'));
    await other.expectFrame(TEXT, 'other');
    session.session.destroy();
    assert.equal(await codes.next(), 1006);
    await within('close', server.close());
  });

  testOverBoth('a client that does not answer Close is cut off, alone', async (t, tls) => {
    const { server, opened, codes } = await starting(tls, { closeTimeoutMs: 50 });
    const session = await dialHttp2(t, server.port, tls);
    const other = await session.open();
    const stream = await session.open();
    const [, peer] = await opened.take(2);
    peer?.close(1000);
    await stream.expectClose(1000);
    assert.equal(await stream.closed(), NGHTTP2_CANCEL);
    assert.equal(await codes.next(), 1006);
    other.write(clientFrame(TEXT, 'other'));
    await other.expectFrame(TEXT, 'other');
    session.session.destroy();
    await within('close', server.close());
  });

  testOverBoth('pings are of WebSocket: a client that answers none is found', async (t, tls) => {
    const { server, codes } = await starting(tls, { pingAfterMs: 40, pingTimeoutMs: 40 });
    const session = await dialHttp2(t, server.port, tls);
    // HTTP/2 itself is alive all the while.
    const pinging = setInterval(() => session.session.ping(() => {}), 10);
    t.after(() => clearInterval(pinging));
    const stream = await session.open();
    const { first } = await stream.readFrame();
    assert.equal(first, 0x89);
    assert.equal(await codes.next(), 1006);
    assert.equal(session.session.destroyed, false);
    clearInterval(pinging);
    session.session.destroy();
    await within('close', server.close());
  });
});

testOverBoth('a session that ends under its peers ends each with 1006', async (t, tls) => {
  const { server, opened, codes } = await starting(tls);
  for (const how of ['destroyed', 'failed', 'ended by TCP', 'reset by TCP'] as const) {
    if (how.endsWith('TCP')) {
      const wire = await dialWire(t, server.port, tls);
      const scheme = tls ? 'https' : 'http';
      for (let i = 0; i < 20; i++) {
        wire.sendHeaders(2 * i + 1, { ...extendedConnect, ':scheme': scheme });
      }
      while (server.peers.size < 20) await wire.next(HEADERS);
      // TLS has no reset.
      if (how === 'reset by TCP' && !tls) wire.raw.reset();
      else wire.raw.destroy();
    } else {
      const { session } = await dialHttp2(t, server.port, tls);
      const connected = new RawSession(session, 'localhost', tls);
      await Promise.all(Array.from({ length: 20 }, () => connected.open()));
      if (how === 'destroyed') session.destroy();
      else session.destroy(new Error('of the client'), constants.NGHTTP2_INTERNAL_ERROR);
    }
    const peers = await opened.take(20);
    // What is sent to who is gone is lost, and harms nobody.
    for (const peer of peers) peer.send('x'.repeat(100_000));
    assert.deepEqual(await codes.take(20), Array<number>(20).fill(1006));
    assert.equal(server.peers.size, 0);
  }
  await within('close', server.close());
});

describe('server.close', () => {
  testOverBoth('says GOAWAY, closes peers with 1001, and drains them', async (t, tls) => {
    const { server, opened, codes } = await starting(tls);
    const session = await dialHttp2(t, server.port, tls);
    const streams = await Promise.all([1, 2, 3].map(() => session.open()));
    for (const peer of await opened.take(3)) peer.send('x'.repeat(200_000));
    const idle = await dialHttp2(t, server.port, tls);
    const closing = server.close({ timeoutMs: 60_000 });
    for (const stream of streams) {
      // What was sent before goes first.
      await stream.expectFrame(TEXT, 'x'.repeat(200_000));
      await stream.expectClose(1001);
    }
    assert.equal(session.goaway, NGHTTP2_NO_ERROR);
    for (const stream of streams) {
      stream.write(clientFrame(CLOSE, closePayload(1001)));
      await stream.expectEnd();
      stream.end();
      assert.equal(await stream.closed(), NGHTTP2_NO_ERROR);
    }
    assert.deepEqual(await codes.take(3), [1001, 1001, 1001]);
    await within('close', closing);
    await session.closed();
    await idle.closed();
  });

  testOverBoth('cuts off a client that never answers', async (t, tls) => {
    const { server, codes } = await starting(tls);
    const session = await dialHttp2(t, server.port, tls);
    await session.open();
    const wire = await dialWire(t, server.port, tls);
    await wire.readFrame();
    const took = await tookMs(server.close({ timeoutMs: 60 }));
    assert.ok(took >= 50, `${took}`);
    assert.equal(await codes.next(), 1006);
    await session.closed();
    await wire.raw.drain();
  });

  testOverBoth('answers what was asked before', async (t, tls) => {
    const asked = new Mailbox<string>();
    const go = makeGate();
    const server = await serve({
      ...(tls ? { tls: await localCertificate() } : { http2: true }),
      routes: {
        '/': {
          async upgrade() {
            asked.put('upgrade');
            await go.opened;
            return undefined;
          },
        },
      },
      async request(_, response) {
        asked.put('page');
        await go.opened;
        response.end('late page');
      },
    });
    const session = await dialHttp2(t, server.port, tls);
    const page = session.request({ ':path': '/page' });
    const stream = session.connect();
    await asked.take(2);
    const closing = server.close({ timeoutMs: 60_000 });
    go.open();
    await page.expectStatus(200);
    assert.equal(await page.text(), 'late page');
    await stream.expectStatus(503);
    await within('close', closing);
  });

  testOverBoth('an upgrade that is never decided is cut off', async (t, tls) => {
    const asked = makeGate();
    const server = await startHttp2(t, tls, {
      routes: {
        '/': {
          upgrade() {
            asked.open();
            return new Promise<undefined>(() => {});
          },
        },
      },
    });
    const session = await dialHttp2(t, server.port, tls);
    session.connect();
    await asked.opened;
    assert.ok((await tookMs(server.close({ timeoutMs: 40 }))) < 3_000);
    await session.closed();
  });
});

describe('cleartext, before it is known what is spoken', () => {
  test('who says nothing, or half the preface, or half a head, is ended in time', async (t) => {
    const { server } = await starting(false, { handshakeTimeoutMs: 60 });
    for (const sent of ['', 'P', PREFACE.slice(0, 10), 'POST / HTTP/1.1\r\nHost: a\r\n']) {
      const raw = await dial(server.port, false);
      t.after(() => raw.destroy());
      if (sent !== '') raw.write(sent);
      // The last is answered with 408.
      await raw.drain();
    }
    const slow = await dial(server.port, false);
    t.after(() => slow.destroy());
    slow.write('GET / HTTP/1.1\r\nHost: a\r\n');
    assert.match(await slow.drainText(), /^HTTP\/1\.1 408 /);
    await within('close', server.close());
  });

  test('what comes byte by byte is understood', async (t) => {
    const { server, opened } = await starting(false);
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    for (const byte of handshake().slice(0, 20)) {
      raw.write(byte);
      await delay(1);
    }
    raw.write(handshake().slice(20), clientFrame(TEXT, 'early'));
    checkSwitched(await raw.readHead());
    await raw.expectFrame(TEXT, 'early');
    // POST begins as the preface does.
    const post = await dial(server.port, false);
    t.after(() => post.destroy());
    post.write('P');
    await delay(5);
    post.write('OST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
    assert.equal((await post.readHead()).status, 404);
    const wire = await dial(server.port, false);
    t.after(() => wire.destroy());
    for (const byte of PREFACE) {
      wire.write(byte);
      await delay(1);
    }
    wire.write(Buffer.from('000000040000000000', 'hex'));
    // The server's settings: a frame of type 4 on stream 0.
    const head = await wire.readBytes(9);
    assert.deepEqual([head[3], head.readUInt32BE(5)], [4, 0]);
    assert.equal((await opened.next()).transport, 'http/1.1');
    for (const socket of [raw, post, wire]) socket.destroy();
    await within('close', server.close());
  });

  test('a connection that says nothing, or ends at once, does not hold up close', async (t) => {
    const { server } = await starting(false);
    const silent = await dial(server.port, false);
    t.after(() => silent.destroy());
    for (const leave of ['end', 'reset'] as const) {
      for (const sent of ['', 'PRI * ', PREFACE]) {
        const raw = await dial(server.port, false);
        if (sent !== '') raw.write(sent);
        raw[leave]();
        if (leave === 'end') await raw.drain();
        raw.destroy();
      }
    }
    assert.ok((await tookMs(server.close({ timeoutMs: 60_000 }))) < 5_000);
    await silent.drain();
  });
});
