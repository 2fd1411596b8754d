import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect as connectTcp, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type ApertoError,
  type ClientPeer,
  connect,
  type ReconnectingClient,
  reconnect,
  serve,
} from '../../dist/index.js';
import { dialTo, Mailbox, startServer } from '../node/connections.ts';
import { localCertificate } from './certificate.ts';
import { dial, handshake, readRefusal } from './raw-client.ts';
import { within } from './raw-socket.ts';
import { ServerChild } from './server-child.ts';
import { isEncrypted, isHttp2, testOverAll } from './transport.ts';

/** What is between client and server, until it swallows all that comes, both ways, and tells nobody. */
async function relayTo(
  port: number,
): Promise<{ port: number; blackHole(): void; close(): Promise<void> }> {
  const sockets: Socket[] = [];
  const relay = createServer({ allowHalfOpen: true }, (from) => {
    const to = connectTcp({ host: '127.0.0.1', port, allowHalfOpen: true });
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.push(one);
      one.on('data', (chunk) => other.write(chunk));
      one.on('error', () => {});
    }
  });
  await once(relay.listen(0, '127.0.0.1'), 'listening');
  const address = relay.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    port: address.port,
    blackHole() {
      for (const socket of sockets) socket.removeAllListeners('data').on('data', () => {});
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      const closed = once(relay, 'close');
      relay.close();
      await closed;
    },
  };
}

// Dropped on the way: no FIN, no RST, nothing that would tell either side. A relay does it, since a test may not have the
// right to a network of its own; `npm run soak` drops packets in a network namespace.
testOverAll(
  'fault 83: what is black-holed is found by both sides, within the ping and its timeout',
  async (over) => {
    const limits = { pingAfterMs: 300, pingTimeoutMs: 500, closeTimeoutMs: 300 };
    const ends: (string | undefined)[] = [];
    const server = await serve({
      limits,
      ...(isEncrypted(over) ? { tls: await localCertificate() } : {}),
      ...(isHttp2(over) ? { http2: true } : {}),
      routes: {
        '/': {
          message: (peer, message) => void peer.send(message),
          open: (peer) => void peer.closed.then(({ error }) => ends.push(error?.code)),
        },
      },
    });
    const relay = await relayTo(server.port);
    try {
      const url = `${isEncrypted(over) ? 'wss' : 'ws'}://127.0.0.1:${relay.port}/`;
      const peer = await connect(url, {
        limits,
        http2: isHttp2(over),
        ...(isEncrypted(over) ? { tls: { rejectUnauthorized: false } } : {}),
      });
      // Silent, but alive: several pings pass.
      await delay(1_500);
      assert.equal(peer.state, 'open');
      assert.deepEqual(ends, []);
      relay.blackHole();
      const { code, error } = await within('the client', peer.closed);
      assert.deepEqual([code, error?.code], [1006, 'PING_TIMEOUT']);
      const told = async (): Promise<void> => {
        while (ends.length === 0) await delay(10);
      };
      await within('the server', told());
      assert.deepEqual(ends, ['PING_TIMEOUT']);
      assert.equal(server.peers.size, 0);
    } finally {
      await relay.close();
      await server.close({ timeoutMs: 0 });
    }
  },
);

test('fault 84: out of file descriptors: who is there is served, it is told once, and it recovers', async (t) => {
  const server = await ServerChild.start(t, {}, 200);
  const dialled = await Promise.allSettled(
    Array.from({ length: 300 }, () =>
      connect(server.url, { limits: { handshakeTimeoutMs: 5_000 } }),
    ),
  );
  const peers: ClientPeer[] = [];
  for (const one of dialled) if (one.status === 'fulfilled') peers.push(one.value);
  t.after(() => {
    for (const peer of peers) peer.terminate();
  });
  assert.ok(peers.length > 100 && peers.length < 200, `${peers.length} of 300 came in`);
  assert.match(await server.line('error'), /^error \d+ of 200 file descriptors are in use/);
  // Those that came in do not notice.
  await Promise.all(peers.map((peer) => expectEcho(peer)));
  // Nobody else does come in, and nobody is kept waiting.
  await assert.rejects(within('a refusal', connect(server.url)));
  for (const peer of peers.splice(0, 60)) {
    peer.close();
    await peer.closed;
  }
  await expectEcho(await dialTo(t, server.url));
  assert.deepEqual(
    server.lines.all.filter((line) => line.startsWith('error')).length,
    1,
    server.lines.all.join('\n'),
  );
});

async function expectEcho(peer: ClientPeer): Promise<void> {
  peer.send('still there?');
  const { value } = await within('an echo', peer[Symbol.asyncIterator]().next());
  assert.equal(value, 'still there?');
}

test('fault 85: a reconnect storm: who finds no place gets 503 with Retry-After, and comes back at a time of its own', async (t) => {
  const most = 20;
  const clients = 100;
  let peak = 0;
  const server = await startServer(t, {
    limits: { maxConnections: most },
    routes: {
      '/': {
        open() {
          peak = Math.max(peak, server.peers.size);
        },
      },
    },
  });
  // One by hand, to see what exactly is answered.
  const places: ClientPeer[] = [];
  for (let i = 0; i < most; i++) places.push(await dialTo(t, server.url));
  const raw = await dial(server.port, false);
  raw.write(handshake());
  const { head } = await readRefusal(raw);
  assert.equal(head.status, 503);
  assert.equal(head.get('retry-after'), '5');
  for (const peer of places) peer.terminate();
  const left = async (): Promise<void> => {
    while (server.peers.size > 0) await delay(5);
  };
  await within('the places', left());

  const delays = new Mailbox<number>();
  const all: ReconnectingClient[] = [];
  t.after(() => Promise.all(all.map((client) => client.close())));
  let opened = 0;
  for (let i = 0; i < clients; i++) {
    all.push(
      reconnect(server.url, {
        open: () => void opened++,
        waiting: (_, { delayMs }) => delays.put(delayMs),
      }),
    );
  }
  const refused = await delays.take(clients - most);
  const inside = async (): Promise<void> => {
    while (opened < most) await delay(5);
  };
  await within('those who found a place', inside());
  assert.equal(opened, most);
  assert.ok(peak <= most, `${peak} at a time`);
  // Retry-After and then a random part of the two seconds that the first delay may take.
  for (const delayMs of refused) assert.ok(delayMs >= 5_000 && delayMs <= 7_000, `${delayMs}`);
  const tenths = new Set(refused.map((delayMs) => Math.floor(delayMs / 100)));
  assert.ok(tenths.size >= 5, `all come back at ${[...tenths]}`);

  // All that are there are thrown out together: they do not come back together either.
  for (const peer of server.peers) peer.terminate();
  const lost = await delays.take(most);
  for (const delayMs of lost) assert.ok(delayMs >= 0 && delayMs <= 4_000, `${delayMs}`);
  assert.ok(new Set(lost).size > most / 2);
});

const client = `
import { connect } from ${JSON.stringify(new URL('../../dist/index.js', import.meta.url).href)};
const limits = { pingAfterMs: 300, pingTimeoutMs: 60_000 };
const peer = await connect(process.argv[1], { limits });
peer.closed.then(({ code }) => console.log('closed ' + code));
console.log('open');
process.stdin.on('end', () => peer.close(1000)).resume();
`;

async function otherProcess(t: TestContext, url: string) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', client, url], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
    await exited;
  });
  const lines = new Mailbox<string>();
  createInterface(child.stdout).on('line', lines.put);
  assert.equal(await lines.next(), 'open');
  return { end: () => child.stdin.end(), lines };
}

// With time made to pass, a stall of 10 s and more is in test/node/heartbeat.test.ts; here it is real, and ten times as long
// as what a peer may be silent.
test('fault 94: after a stall of the event loop no peer is declared dead', async (t) => {
  const limits = { pingAfterMs: 300, pingTimeoutMs: 300 };
  const ends: (ApertoError | undefined)[] = [];
  const server = await startServer(t, {
    limits,
    routes: {
      '/': { open: (peer) => void peer.closed.then(({ error }) => ends.push(error)) },
    },
  });
  const other = await otherProcess(t, server.url);
  const here = await dialTo(t, server.url, { limits });
  for (let round = 0; round < 3; round++) {
    // Begun at other times after a ping.
    await delay(400 + 130 * round);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
    await delay(50);
    assert.deepEqual([ends, here.state], [[], 'open'], `round ${round}`);
  }
  // And somebody who really is silent still is found: the stall has not switched it off.
  const silent = await dial(server.port, false);
  silent.write(handshake());
  await silent.readHead();
  const found = async (): Promise<void> => {
    while (ends.length === 0) await delay(10);
  };
  await within('the silent one', found());
  assert.deepEqual(
    ends.map((error) => error?.code),
    ['PING_TIMEOUT'],
  );
  silent.destroy();
  other.end();
  assert.equal(await other.lines.next(), 'closed 1000');
});

test('fault 92: SIGTERM: readiness fails, 1012 is spread over a window, then comes a hard stop', async (t) => {
  const server = await ServerChild.start(t, {
    onSigterm: { code: 1012, noticeMs: 1_500, spreadMs: 1_500, timeoutMs: 400 },
  });
  const ready = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${server.port}/`);
    await response.arrayBuffer();
    return response.status;
  };
  assert.equal(await ready(), 200);
  const peers: ClientPeer[] = [];
  for (let i = 0; i < 8; i++) peers.push(await dialTo(t, server.url));
  // One that never answers the close.
  const stubborn = await dial(server.port, false);
  stubborn.write(handshake());
  await stubborn.readHead();
  const times = Promise.all(
    peers.map(async (peer) => {
      const { code } = await peer.closed;
      assert.equal(code, 1012);
      return performance.now();
    }),
  );
  server.process.kill('SIGTERM');
  const unready = async (): Promise<void> => {
    while ((await ready()) !== 503) await delay(10);
  };
  await within('readiness to fail', unready());
  for (const peer of peers) assert.equal(peer.state, 'open');
  const closed = (await within('all closes', times)).sort((a, b) => a - b);
  const spread = Number(closed.at(-1)) - Number(closed[0]);
  assert.ok(spread > 100, `all within ${spread} ms`);
  await assert.rejects(connect(server.url));
  assert.deepEqual(await server.ended(), [0, null]);
  const closes = server.lines.all.filter((line) => line.startsWith('close ')).sort();
  assert.deepEqual(closes, [...Array(1).fill('close 1006'), ...Array(8).fill('close 1012')]);
  assert.equal(server.lines.all.at(-1), 'closed');
  stubborn.destroy();
});
