import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Message, type Peer, serve } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, closePayload } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, makeGate } from './connections.ts';

/** What `close` takes of time, in ms. */
async function timed(closing: Promise<void>): Promise<number> {
  const begun = performance.now();
  await within('close', closing);
  return performance.now() - begun;
}

function tcp(t: TestContext, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => resolve(socket));
    socket.on('error', reject);
    t.after(() => socket.destroy());
  });
}

describe('close', () => {
  test('of a server without peers is quick, and can be called again', async () => {
    const server = await serve({ routes: {} });
    const first = server.close();
    assert.equal(server.close({ code: 4000 }), first);
    assert.ok((await timed(first)) < 2_000);
    await server.close();
    assert.equal(server.port, 0);
  });

  test('tells every peer the code and the reason, and waits for them', async (t) => {
    const log: [number, string][] = [];
    const server = await serve({
      routes: { '/': { close: (_, code, reason) => void log.push([code, reason]) } },
    });
    const peers = await Promise.all([1, 2, 3].map(() => dialTo(t, server.url)));
    await within('close', server.close({ code: 1012, reason: 'back soon' }));
    assert.deepEqual(log, Array(3).fill([1012, '']));
    assert.equal(server.peers.size, 0);
    for (const peer of peers) {
      const { code, reason } = await peer.closed;
      assert.deepEqual([code, reason], [1012, 'back soon']);
    }
  });

  for (const encrypted of [false, true]) {
    test(`waits for no connection on which nothing was asked, ${encrypted ? 'TLS' : 'TCP'}`, async (t) => {
      const certificate = await localCertificate();
      const server = await serve({ ...(encrypted && { tls: certificate }), routes: { '/': {} } });
      const socket = encrypted
        ? connectTls({ port: server.port, host: '127.0.0.1', ca: certificate.cert })
        : await tcp(t, server.port);
      t.after(() => socket.destroy());
      if (encrypted) await once(socket, 'secureConnect');
      // What asked for something is no such connection.
      const peer = await dialTo(t, server.url, { tls: { ca: certificate.cert } });
      const gone = once(socket.resume(), 'close');
      assert.ok((await timed(server.close({ timeoutMs: 60_000 }))) < 5_000);
      await within('the end of the connection', gone);
      assert.equal((await peer.closed).code, 1001);
    });
  }

  test('misuse is told at once, and closes nothing', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    t.after(() => server.close());
    assert.throws(() => server.close({ code: 1005 }), { code: 'INVALID_CLOSE_CODE' });
    assert.throws(() => server.close({ reason: 'x'.repeat(124) }), {
      code: 'INVALID_CLOSE_REASON',
    });
    assert.equal((await dialTo(t, server.url)).state, 'open');
  });

  test('does not wait for handlers that are busy with a message', async (t) => {
    const busy = makeGate();
    const server = await serve({
      routes: {
        '/': {
          message() {
            busy.open();
            return new Promise<void>(() => {});
          },
        },
      },
    });
    const peer = await dialTo(t, server.url);
    peer.send('work');
    await busy.opened;
    assert.ok((await timed(server.close())) < 2_000);
  });

  test('may be called, and awaited, by a handler', async (t) => {
    const done = makeGate();
    const server = await serve({
      routes: {
        '/': {
          async message() {
            await server.close();
            done.open();
          },
        },
      },
    });
    const peer = await dialTo(t, server.url);
    peer.send('shut down');
    await within('close in a handler', done.opened);
    assert.equal((await peer.closed).code, 1001);
  });

  test('sends what was sent before, and takes no message more', async (t) => {
    const got: Message[] = [];
    const server = await serve({
      routes: { '/': { message: (_, message) => void got.push(message) } },
    });
    const inbox: Message[] = [];
    const peer = await dialTo(t, server.url, { message: (_, message) => void inbox.push(message) });
    for (const served of server.peers) served.send('last words'.repeat(50_000));
    const closed = server.close();
    peer.send('too late');
    await within('close', closed);
    await peer.closed;
    assert.deepEqual(inbox, ['last words'.repeat(50_000)]);
    assert.deepEqual(got, []);
  });
});

describe('what does not end by itself is cut off', () => {
  test('a peer that never answers', async (t) => {
    const infos: unknown[] = [];
    const opened = new Mailbox<Peer>();
    const server = await serve({
      routes: {
        '/': {
          open: opened.put,
          close: (_, code) => void infos.push(code),
        },
      },
    });
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake());
    await raw.readHead();
    const peer = await opened.next();
    const took = await timed(server.close({ timeoutMs: 60 }));
    assert.ok(took >= 50, `${took}`);
    assert.deepEqual(infos, [1006]);
    assert.equal((await peer.closed).error?.code, 'TERMINATED');
  });

  test('a peer that answers and keeps the connection', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake());
    await raw.readHead();
    const closing = server.close({ timeoutMs: 60 });
    await raw.expectClose(1001);
    raw.write(clientFrame(CLOSE, closePayload(1001)));
    await raw.expectEnd();
    await within('close', closing);
  });

  test('an upgrade that is never decided, over TLS too', async (t) => {
    const { cert, key } = await localCertificate();
    for (const tls of [false, true]) {
      const asked = makeGate();
      const server = await serve({
        ...(tls ? { tls: { cert, key } } : {}),
        routes: {
          '/': {
            upgrade() {
              asked.open();
              return new Promise<undefined>(() => {});
            },
          },
        },
      });
      const raw = await dial(server.port, tls);
      t.after(() => raw.destroy());
      raw.write(handshake());
      await asked.opened;
      assert.ok((await timed(server.close({ timeoutMs: 30 }))) < 3_000);
    }
  });

  test('a connection that never says anything', async (t) => {
    const { cert, key } = await localCertificate();
    for (const tls of [false, true]) {
      const server = await serve({ ...(tls ? { tls: { cert, key } } : {}), routes: {} });
      const connected = new Promise<void>((resolve) => {
        // Connected is the client as soon as the kernel says so; the server learns of it later.
        setTimeout(resolve, 20);
      });
      await tcp(t, server.port);
      await connected;
      const took = await timed(server.close({ timeoutMs: 30 }));
      assert.ok(took < 2_000, `${tls ? 'TLS' : 'TCP'} took ${took} ms`);
    }
  });

  test('a request that is never answered, one for another protocol too', async (t) => {
    for (const headers of [{}, { Connection: 'Upgrade', Upgrade: 'h2c' }]) {
      const asked = makeGate();
      const server = await serve({ routes: {}, request: () => asked.open() });
      const request = get({ port: server.port, agent: false, headers });
      request.on('error', () => {});
      t.after(() => request.destroy());
      await asked.opened;
      assert.ok((await timed(server.close({ timeoutMs: 30 }))) < 2_000);
    }
  });

  test('a client that was refused and stays', async (t) => {
    const server = await serve({ routes: {} });
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake({ path: '/nowhere' }));
    const head = await raw.readHead();
    assert.equal(head.status, 404);
    assert.ok((await timed(server.close({ timeoutMs: 30 }))) < 1_500);
  });
});

describe('HTTP while closing', () => {
  test('a keep-alive connection does not hold it up', async (t) => {
    const server = await serve({ routes: {}, request: (_, response) => response.end('page') });
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port: server.port, agent }, resolve).on('error', reject);
    });
    assert.equal(await text(response), 'page');
    assert.ok((await timed(server.close())) < 3_000);
  });

  test('a request under way is answered; new connections are refused, upgrades get 503', async (t) => {
    const asked = makeGate();
    const answer = makeGate();
    const server = await serve({
      routes: { '/': {} },
      async request(_, response) {
        asked.open();
        await answer.opened;
        response.end('late page');
      },
    });
    // Both come on one connection, as a proxy in front sends them.
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    const waiting = await dial(server.port, false);
    t.after(() => waiting.destroy());
    raw.write('GET /page HTTP/1.1\r\nHost: a\r\n\r\n');
    await asked.opened;
    // Begun before, and so no idle connection that is closed.
    waiting.write('GET / HTTP/1.1\r\n');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closing = server.close();
    await assert.rejects(
      tcp(
        t,
        new URL(`http://${raw.socket.remoteAddress}:${raw.socket.remotePort}`)
          .port as unknown as number,
      ),
      {
        code: 'ECONNREFUSED',
      },
    );
    waiting.write(handshake().slice('GET / HTTP/1.1\r\n'.length));
    assert.equal((await waiting.readHead()).status, 503);
    waiting.destroy();
    answer.open();
    assert.match((await raw.readHead()).startLine, /200/);
    raw.destroy();
    await within('close', closing);
  });
});
