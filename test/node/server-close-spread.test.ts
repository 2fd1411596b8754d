import assert from 'node:assert/strict';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import {
  attach,
  type ClientPeer,
  type CloseOptions,
  connect,
  type Peer,
  type ServerHealth,
  serve,
} from '../../dist/index.js';
import { dial, handshake } from '../faults/raw-client.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, makeGate } from './connections.ts';

async function dialSome(t: TestContext, url: string, count: number): Promise<ClientPeer[]> {
  return await Promise.all(Array.from({ length: count }, () => dialTo(t, url)));
}

/** When each of them is closed, in ms from now, the first one first; all with this code. */
async function closings(peers: readonly ClientPeer[], code: number): Promise<number[]> {
  const begun = performance.now();
  const times = peers.map(async (peer) => {
    assert.equal((await peer.closed).code, code);
    return performance.now() - begun;
  });
  return (await within('all to be closed', Promise.all(times))).sort((a, b) => a - b);
}

describe('notice', () => {
  test('readiness fails at once; the server goes on until it is over', async (t) => {
    const healths: ServerHealth[] = [];
    const server = await serve({
      routes: { '/': { message: (peer, message) => void peer.send(message) } },
      onHealth: (health) => healths.push(health),
    });
    const first = await dialTo(t, server.url);
    const closing = server.close({ code: 1012, noticeMs: 1_500 });
    assert.equal(server.health.ready, false);
    assert.equal(server.health.status, 'closing');
    assert.deepEqual(
      healths.map(({ status, ready }) => ({ status, ready })),
      [{ status: 'closing', ready: false }],
    );
    // New ones are taken, and served, as before.
    const second = await connect(server.url);
    t.after(() => second.terminate());
    second.send('hello');
    for await (const message of second) {
      assert.equal(message, 'hello');
      break;
    }
    assert.equal(first.state, 'open');
    assert.equal(server.peers.size, 2);
    await within('close', closing);
    assert.equal((await first.closed).code, 1012);
    assert.equal((await second.closed).code, 1012);
    assert.equal(server.health.peers, 0);
    assert.equal(healths.length, 1);
  });

  test('ordinary requests are answered during it', async () => {
    const server = await serve({ routes: {}, request: (_, response) => response.end('page') });
    const closing = server.close({ noticeMs: 1_500 });
    const status = await new Promise<number | undefined>((resolve, reject) => {
      get({ port: server.port, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).on('error', reject);
    });
    assert.equal(status, 200);
    await within('close', closing);
  });

  test('is not cut short', async () => {
    const server = await serve({ routes: {} });
    const begun = performance.now();
    await within('close', server.close({ noticeMs: 100 }));
    assert.ok(performance.now() - begun > 95);
  });
});

describe('spread', () => {
  test('peers are closed one after another over the window', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const count = 8;
    const peers = await dialSome(t, server.url, count);
    const times = closings(peers, 1012);
    const begun = performance.now();
    const closing = server.close({ code: 1012, reason: 'back soon', spreadMs: 400 });
    for (const [at, time] of (await times).entries()) {
      // Each has its own part of the window; on a slow machine it may be late, but not early.
      assert.ok(time >= ((at + 1) * 400) / count - 15, `${at} after ${time} ms`);
    }
    await within('close', closing);
    assert.ok(performance.now() - begun >= 385);
    assert.equal((await peers[0]?.closed)?.reason, 'back soon');
  });

  test('many at a time where there are more than milliseconds', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const peers = await dialSome(t, server.url, 60);
    const times = closings(peers, 1001);
    await within('close', server.close({ spreadMs: 30 }));
    assert.equal((await times).length, 60);
  });

  test('those that are not closed yet are served', async (t) => {
    const server = await serve({
      routes: { '/': { message: (peer, message) => void peer.send(message) } },
    });
    const peers = await dialSome(t, server.url, 2);
    const echoes = new Mailbox<string>();
    for (const peer of peers) {
      void (async () => {
        for await (const message of peer) echoes.put(String(message));
      })();
    }
    const closing = server.close({ spreadMs: 60_000 });
    for (const [at, peer] of peers.entries()) {
      peer.send(`${at}`);
      assert.equal(await echoes.next(), `${at}`);
    }
    for (const peer of peers) peer.close(1000);
    await within('close', closing);
  });

  test('nobody comes any more meanwhile', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const [peer] = await dialSome(t, server.url, 1);
    const { url } = server;
    const closing = server.close({ spreadMs: 200 });
    await assert.rejects(within('the refusal', connect(url)));
    assert.equal(peer?.state, 'open');
    await within('close', closing);
  });

  test('an upgrade that is being decided is refused', async (t) => {
    const asked = makeGate();
    const decided = makeGate();
    const server = await serve<string>({
      routes: {
        '/': { upgrade: () => 'x' },
        '/slow': {
          async upgrade() {
            asked.open();
            await decided.opened;
            return 'late';
          },
        },
      },
    });
    await dialSome(t, server.url, 1);
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake({ path: '/slow' }));
    await asked.opened;
    const closing = server.close({ spreadMs: 100 });
    decided.open();
    assert.equal((await raw.readHead()).status, 503);
    raw.destroy();
    await within('close', closing);
  });

  test('peers that leave by themselves are not waited for', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const peers = await dialSome(t, server.url, 3);
    const closing = server.close({ spreadMs: 60_000 });
    for (const peer of peers) peer.close(1000);
    await within('close', closing);
    assert.equal(server.peers.size, 0);
  });

  test('a server without peers does not wait', async () => {
    const server = await serve({ routes: {} });
    await within('close', server.close({ spreadMs: 60_000 }));
  });

  test('afterwards comes the hard stop', async (t) => {
    const codes: number[] = [];
    const server = await serve({
      routes: { '/': { close: (_, code) => codes.push(code) } },
      limits: { closeTimeoutMs: 60_000 },
    });
    // They answer nothing.
    for (let i = 0; i < 3; i++) {
      const raw = await dial(server.port, false);
      t.after(() => raw.destroy());
      raw.write(handshake());
      assert.equal((await raw.readHead()).status, 101);
    }
    const begun = performance.now();
    await within('close', server.close({ spreadMs: 60, timeoutMs: 60 }));
    assert.ok(performance.now() - begun >= 110);
    assert.equal(codes.length, 3);
  });

  test('attached, it closes its peers so too, and leaves the HTTP server', async (t) => {
    const http = createServer((_, response) => response.end());
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    t.after(() => http.close());
    const server = attach(http, { routes: { '/': {} } });
    const { port } = http.address() as AddressInfo;
    const peers = await dialSome(t, `ws://127.0.0.1:${port}`, 3);
    const times = closings(peers, 1012);
    await within('close', server.close({ code: 1012, spreadMs: 60, noticeMs: 20 }));
    assert.ok(((await times)[0] ?? 0) >= 20 + 20 - 10);
    assert.equal(http.listening, true);
  });
});

describe('close', () => {
  test('a second call awaits the first, whatever it asks for', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    const [peer] = await dialSome(t, server.url, 1);
    const first = server.close({ code: 1012, noticeMs: 50, spreadMs: 50 });
    assert.equal(server.close({ code: 4000, timeoutMs: 0 }), first);
    assert.throws(() => server.close({ code: 1005 }), { code: 'INVALID_CLOSE_CODE' });
    await within('close', first);
    assert.equal((await peer?.closed)?.code, 1012);
  });

  test('may be called by what its own closing calls', async (t) => {
    const closings = new Mailbox<Promise<void>>();
    const ready: boolean[] = [];
    const opened = new Mailbox<Peer>();
    const server = await serve({ routes: { '/': { open: opened.put } } });
    await dialSome(t, server.url, 1);
    await opened.next();
    server.subscribe('t', {
      message() {
        ready.push(server.health.ready);
        closings.put(server.close());
      },
    });
    // It is delivered before the peers are told.
    server.publish('t', 'x');
    await within('the outer call', server.close());
    await within('the inner call', closings.all[0] ?? assert.fail('it was not called'));
    assert.deepEqual(ready, [false]);
  });

  test('times that are none are told at once, and close nothing', async (t) => {
    const server = await serve({ routes: { '/': {} } });
    t.after(() => server.close());
    const bad = [-1, Number.NaN, '5', null, {}, true, 1n];
    for (const name of ['noticeMs', 'spreadMs', 'timeoutMs'] as const) {
      for (const value of bad) {
        const options = { [name]: value } as CloseOptions;
        assert.throws(
          () => server.close(options),
          { code: 'INVALID_OPTION' },
          `${name} ${String(value)}`,
        );
      }
    }
    // Longer than a timer can be set: it would strike at once.
    for (const name of ['noticeMs', 'spreadMs'] as const) {
      for (const value of [Infinity, 2 ** 31]) {
        assert.throws(
          () => server.close({ [name]: value }),
          { code: 'INVALID_OPTION' },
          `${name} ${value}`,
        );
      }
    }
    assert.equal(server.health.ready, true);
    assert.equal((await dialTo(t, server.url)).state, 'open');
  });
});
