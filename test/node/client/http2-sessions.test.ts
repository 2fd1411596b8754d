import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Http2SecureServer } from 'node:http2';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import {
  type ClientPeer,
  type ConnectOptions,
  connect,
  type Message,
  WebSocket,
} from '../../../dist/index.js';
import { localCertificate } from '../../faults/certificate.ts';
import { CLOSE, closePayload, serverFrame, TEXT } from '../../faults/raw-frames.ts';
import { within } from '../../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from '../connections.ts';
import { startProxy } from './connect-proxy.ts';
import {
  chooseHttp2,
  type RawHttp2Server,
  type RawStream,
  startHttp2,
  takeUpgrades,
} from './http2-server.ts';
import { checkEcho, gone, startRecorder } from './servers.ts';

const http2 = true;

/** So many connections at once; all are granted. */
async function many(
  t: TestContext,
  server: RawHttp2Server,
  count: number,
  options: ConnectOptions = { http2 },
): Promise<{ peers: ClientPeer[]; raws: RawStream[] }> {
  const dialling = Array.from({ length: count }, () => dialTo(t, server.url, options));
  const raws: RawStream[] = [];
  while (raws.length < count) raws.push((await server.streams.next()).grant());
  return { peers: await Promise.all(dialling), raws };
}

async function one(
  t: TestContext,
  server: RawHttp2Server,
  options?: ConnectOptions,
): Promise<{ peer: ClientPeer; raw: RawStream }> {
  const { peers, raws } = await many(t, server, 1, options);
  const [peer] = peers;
  const [raw] = raws;
  assert.ok(peer !== undefined && raw !== undefined);
  return { peer, raw };
}

async function finish(peer: ClientPeer, raw: RawStream): Promise<void> {
  peer.close(1000);
  await raw.frames.next();
  raw.stream.end(serverFrame(CLOSE, closePayload(1000)));
  await within('the end', peer.closed);
  await within('the end of the stream', raw.closed);
}

describe('one session', () => {
  test('serves a hundred sockets, of which each has its own messages and end', async (t) => {
    const server = await startHttp2(t);
    const { peers, raws } = await many(t, server, 100);
    assert.equal(server.sessions.all.length, 1);
    assert.equal(server.sockets.all.length, 1);
    for (const [at, peer] of peers.entries()) peer.send(`number ${at}`);
    const said = await Promise.all(
      raws.map(async (raw) => String((await raw.frames.next()).payload)),
    );
    assert.deepEqual(new Set(said), new Set(peers.map((_, at) => `number ${at}`)));
    // One ends without a word.
    raws[3]?.stream.close(0);
    const ended = await within('one end', Promise.race(peers.map(async (peer) => peer.closed)));
    assert.equal(ended.code, 1006);
    assert.equal(raws.filter(({ stream }) => stream.closed).length, 1);
  });

  test('is used by whoever does not say otherwise, once it is there', async (t) => {
    const server = await startHttp2(t);
    const first = await one(t, server);
    const second = await one(t, server, {});
    assert.equal(second.peer.transport, 'h2');
    await finish(first.peer, first.raw);
    await finish(second.peer, second.raw);
    // Nothing is open on it now.
    const third = await one(t, server, {});
    assert.equal(server.sessions.all.length, 1);
    await finish(third.peer, third.raw);
  });

  test('is used by WebSocket too', async (t) => {
    const server = await startHttp2(t);
    for (const _ of [1, 2]) {
      const socket = new WebSocket(server.url, [], { http2 });
      const opened = new Promise((resolve) => socket.addEventListener('open', resolve));
      const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
      const raw = (await server.streams.next()).grant();
      await within('open', opened);
      raw.stream.end(serverFrame(CLOSE, closePayload(1000)));
      await within('close', closed);
    }
    assert.equal(server.sessions.all.length, 1);
  });

  test('is not used with other options of the connection', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls });
    const trusting = { tls: { ca: tls.cert } };
    await one(t, server, { http2, ...trusting });
    // Written anew, with the same in it.
    await one(t, server, { http2, tls: { ca: tls.cert } });
    assert.equal(server.sessions.all.length, 1);
    await one(t, server, { http2, tls: { ca: [tls.cert] } });
    await one(t, server, { http2, tls: { ca: [tls.cert] } });
    assert.equal(server.sessions.all.length, 2);
    await one(t, server, { http2, ...trusting, localAddress: '127.0.0.1' });
    await one(t, server, { http2, tls: { rejectUnauthorized: false } });
    assert.equal(server.sessions.all.length, 4);
    // Who trusts nobody has no part in the trust of others.
    await expectFailureCode(connect(server.url, { http2 }), 'CONNECT_FAILED');
  });

  test('takes no more streams than the server allows: then there is another', async (t) => {
    const settings = { enableConnectProtocol: true, maxConcurrentStreams: 2 };
    const server = await startHttp2(t, { settings });
    const { peers, raws } = await many(t, server, 5);
    assert.equal(server.sessions.all.length, 3);
    for (const [at, peer] of peers.entries()) {
      const raw = raws[at];
      assert.ok(raw !== undefined);
      peer.close(1000);
    }
    for (const raw of raws) {
      await raw.frames.next();
      raw.stream.end(serverFrame(CLOSE, closePayload(1000)));
      await raw.closed;
    }
    await Promise.all(peers.map((peer) => peer.closed));
    await one(t, server);
    assert.equal(server.sessions.all.length, 3);
  });

  test('is left alone after a timeout, since perhaps nobody is there any more', async (t) => {
    const server = await startHttp2(t);
    const first = await one(t, server);
    const failing = connect(server.url, { http2, limits: { handshakeTimeoutMs: 40 } });
    await server.streams.next();
    await expectFailureCode(failing, 'HANDSHAKE_TIMEOUT');
    await one(t, server);
    assert.equal(server.sessions.all.length, 2);
    // Who has a stream on it goes on.
    const session = await server.sessions.next();
    const closed = once(session, 'close');
    await finish(first.peer, first.raw);
    await within('the end of the session', closed);
  });

  test('goes on for the others while one socket is not read', async (t) => {
    const server = await startHttp2(t);
    const inbox = new Mailbox<Message>();
    const limits = { highWaterMarkBytes: 1_000, maxBufferedBytes: 2 ** 21 };
    const unread = await one(t, server, { http2, limits, compression: false });
    const read = await one(t, server, { http2, message: (_, data) => inbox.put(data) });
    // More than the windows of a stream and of the session.
    const part = serverFrame(TEXT, 'x'.repeat(50_000));
    for (let sent = 0; sent < 40; sent++) unread.raw.stream.write(part);
    for (const word of ['one', 'two', 'three']) {
      read.raw.stream.write(serverFrame(TEXT, word));
      assert.equal(await inbox.next(), word);
    }
    assert.ok(unread.raw.stream.writableLength > 1_000_000);
    let count = 0;
    for await (const message of unread.peer) {
      assert.equal(message.length, 50_000);
      if (++count === 40) break;
    }
  });

  test('takes another socket while the others have more to send than Node allows a session', async (t) => {
    const server = await startHttp2(t);
    const { peers, raws } = await many(t, server, 250, { http2, compression: false });
    for (const { stream } of raws) stream.pause();
    for (const peer of peers) peer.send('x'.repeat(60_000));
    await one(t, server);
    assert.equal(server.sessions.all.length, 1);
    const waiting = peers.reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);
    assert.ok(waiting > 10_000_000, `${waiting}`);
  });

  test('is closed a while after its last socket', async (t) => {
    const server = await startHttp2(t);
    const first = await one(t, server);
    const session = await server.sessions.next();
    const closed = once(session, 'close');
    await finish(first.peer, first.raw);
    // It was about to be closed, and is in use again.
    const second = await one(t, server);
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    const third = await one(t, server);
    assert.equal(server.sessions.all.length, 1);
    await finish(second.peer, second.raw);
    await finish(third.peer, third.raw);
    await within('the end of the session', closed);
    await one(t, server);
    assert.equal(server.sessions.all.length, 2);
  });
});

describe('GOAWAY', () => {
  test('ends no socket; the next one has another session', async (t) => {
    const server = await startHttp2(t);
    const first = await one(t, server);
    const session = await server.sessions.next();
    const closed = once(session, 'close');
    session.close();
    first.raw.stream.write(serverFrame(TEXT, 'still here'));
    for await (const message of first.peer) {
      assert.equal(message, 'still here');
      break;
    }
    const second = await one(t, server);
    assert.equal(server.sessions.all.length, 2);
    await finish(first.peer, first.raw);
    await within('the end of the session', closed);
    await finish(second.peer, second.raw);
  });

  test('with an error ends all sockets with 1006', async (t) => {
    const server = await startHttp2(t);
    const { peers } = await many(t, server, 3);
    (await server.sessions.next()).destroy(undefined, 2);
    const ends = await within('all ends', Promise.all(peers.map((peer) => peer.closed)));
    assert.deepEqual(
      ends.map(({ code }) => code),
      [1006, 1006, 1006],
    );
    await one(t, server);
    assert.equal(server.sessions.all.length, 2);
  });
});

test('a connection that is lost ends all sockets with 1006, and nothing is thrown', async (t) => {
  const server = await startHttp2(t);
  const { peers } = await many(t, server, 3);
  (await server.sockets.next()).resetAndDestroy();
  const ends = await within('all ends', Promise.all(peers.map((peer) => peer.closed)));
  assert.deepEqual(
    ends.map(({ code }) => code),
    [1006, 1006, 1006],
  );
  await one(t, server);
  assert.equal(server.sessions.all.length, 2);
});

describe('HTTP/1.1 instead', () => {
  test('on the same connection, where the server chooses that', async (t) => {
    const tls = await localCertificate();
    const { port, sockets } = await startRecorder(t, { tls: { ...tls } });
    const options = { http2, tls: { ca: tls.cert } };
    const peer = await dialTo(t, `wss://127.0.0.1:${port}/echo`, options);
    assert.equal(peer.transport, 'http/1.1');
    assert.equal(sockets.all.length, 1);
    await checkEcho(t, `wss://127.0.0.1:${port}/echo`, options);
    assert.equal(sockets.all.length, 2);
    // One of them has the connection on which they all waited.
    await Promise.all([1, 2, 3].map(() => checkEcho(t, `wss://127.0.0.1:${port}/echo`, options)));
    assert.equal(sockets.all.length, 5);
  });

  test('where the server does not know ALPN', async (t) => {
    const tls = await localCertificate();
    const { port, sockets } = await startRecorder(t, { tls: { ...tls, ALPNProtocols: [] } });
    await checkEcho(t, `wss://127.0.0.1:${port}/echo`, { http2, tls: { ca: tls.cert } });
    assert.equal(sockets.all.length, 1);
  });

  test('on another connection, where HTTP/2 is for other things; that is kept in mind', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls: { ...tls, allowHTTP1: true }, settings: {} });
    const upgraded = takeUpgrades(server.server as Http2SecureServer);
    const options = { http2, tls: { ca: tls.cert } };
    const peer = await dialTo(t, server.url, options);
    assert.equal(peer.transport, 'http/1.1');
    (await upgraded.next()).write(serverFrame(TEXT, 'hello'));
    for await (const message of peer) {
      assert.equal(message, 'hello');
      break;
    }
    assert.equal(server.streams.all.length, 0);
    assert.equal(server.sockets.all.length, 2);
    await gone(await server.sockets.next());
    await dialTo(t, server.url, options);
    assert.equal(server.sockets.all.length, 3);
  });

  test('on another connection, where a server in the clear does not know HTTP/2', async (t) => {
    const { port, sockets } = await startRecorder(t);
    const url = `ws://127.0.0.1:${port}/echo`;
    await checkEcho(t, url, { http2 });
    assert.equal(sockets.all.length, 2);
    await checkEcho(t, url, { http2 });
    assert.equal(sockets.all.length, 3);
  });

  test('where it is not asked for, or forbidden', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls: { ...tls, allowHTTP1: true } });
    takeUpgrades(server.server as Http2SecureServer);
    const trust = { tls: { ca: tls.cert } };
    assert.equal((await dialTo(t, server.url, trust)).transport, 'http/1.1');
    const { peer } = await one(t, server, { http2, ...trust });
    assert.equal(peer.transport, 'h2');
    const without = await dialTo(t, server.url, { http2: false, ...trust });
    assert.equal(without.transport, 'http/1.1');
    assert.equal(server.streams.all.length, 1);
  });

  test('where a session would be there, but is full', async (t) => {
    const tls = await localCertificate();
    const settings = { enableConnectProtocol: true, maxConcurrentStreams: 1 };
    const server = await startHttp2(t, { tls: { ...tls, allowHTTP1: true }, settings });
    takeUpgrades(server.server as Http2SecureServer);
    const trust = { tls: { ca: tls.cert } };
    await one(t, server, { http2, ...trust });
    assert.equal((await dialTo(t, server.url, trust)).transport, 'http/1.1');
  });

  test('where a session is there, and refuses', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls: { ...tls, allowHTTP1: true } });
    takeUpgrades(server.server as Http2SecureServer);
    const trust = { tls: { ca: tls.cert } };
    await one(t, server, { http2, ...trust });
    const dialling = dialTo(t, server.url, trust);
    (await server.streams.next()).stream.close(7);
    assert.equal((await dialling).transport, 'http/1.1');
  });

  test('in another tunnel, where the server in the clear does not know HTTP/2', async (t) => {
    const { port } = await startRecorder(t);
    const proxy = await startProxy(t);
    await checkEcho(t, `ws://127.0.0.1:${port}/echo`, { http2, proxy: proxy.url() });
    assert.equal(proxy.requests.length, 2);
  });

  test('never, where a server of TLS ends the connection that it chose HTTP/2 for', async (t) => {
    const tls = await localCertificate();
    const { url, sockets } = await chooseHttp2(t, (socket) => socket.destroy());
    await expectFailureCode(connect(url, { http2, tls: { ca: tls.cert } }), 'CONNECT_FAILED');
    assert.equal(sockets.all.length, 1);
  });
});

describe('a process ends by itself', () => {
  test('with a session on which nothing is open, also in a tunnel', async (t) => {
    const tls = await localCertificate();
    const servers = [await startHttp2(t), await startHttp2(t, { tls })];
    const proxies = [undefined, await startProxy(t), await startProxy(t, { tls })];
    const library = new URL('../../../dist/index.js', import.meta.url).href;
    const source = `
      import { connect } from ${JSON.stringify(library)};
      const trust = { rejectUnauthorized: false };
      for (const proxy of ${JSON.stringify(proxies.map((proxy) => proxy?.url() ?? ''))}) {
        for (const url of ${JSON.stringify(servers.map(({ url }) => url))}) {
          const options = { http2: true, tls: trust, proxyTls: trust, ...(proxy && { proxy }) };
          const peer = await connect(url, options);
          peer.close(4000);
          console.log(peer.transport, (await peer.closed).code);
        }
      }
      // Before the sessions are closed for being idle.
      setTimeout(() => console.log('still here'), 900).unref();
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill());
    const output = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    for (const { streams } of proxies.flatMap(() => servers)) {
      const raw = (await streams.next()).grant();
      await raw.frames.next();
      raw.stream.end(serverFrame(CLOSE, closePayload(4000)));
    }
    const [out, err, [code]] = await within('the end of the process', output);
    assert.deepEqual([code, out], [0, 'h2 4000\n'.repeat(6)], err);
  });
});
