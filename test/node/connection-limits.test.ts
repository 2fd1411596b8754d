import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Limits,
  RejectUpgrade,
  type Route,
  type ServeOptions,
  type Server,
  serve,
} from '../../dist/index.js';
import { dialHttp2 } from '../faults/http2-peer.ts';
import { dial, handshake, readRefusal } from '../faults/raw-client.ts';
import { type RawSocket, within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, makeGate, startServer } from './connections.ts';
import { until } from './ways-of-reading.ts';

/** One client, over whichever transport. */
interface Client {
  /** What the server answers: 101 and 200 are told as `open`. */
  readonly answer: 'open' | number;
  readonly retryAfter: string | undefined;
  leave(): Promise<void>;
}

/** A way to come to a server. */
interface Way {
  readonly name: string;
  readonly options: Partial<ServeOptions<undefined>>;
  /** Asks for a connection; resolves once it is asked for, with what resolves to the answer. */
  ask(t: TestContext, server: Server): Promise<{ answered: Promise<Client>; abandon(): void }>;
}

const overHttp1: Way = {
  name: 'HTTP/1.1',
  options: {},
  async ask(t, server) {
    const raw = await dial(server.port, false);
    t.after(() => raw.destroy());
    raw.write(handshake());
    const answered = raw.readHead().then((head) => ({
      answer: head.status === 101 ? ('open' as const) : head.status,
      retryAfter: head.get('retry-after'),
      leave: () => leave(raw),
    }));
    // Where it is abandoned, nobody waits for it.
    answered.catch(() => {});
    return { answered, abandon: () => raw.destroy() };
  },
};

async function leave(raw: RawSocket): Promise<void> {
  raw.destroy();
}

const overHttp2: Way = {
  name: 'HTTP/2',
  options: { http2: true },
  async ask(t, server) {
    const session = await dialHttp2(t, server.port, false);
    const stream = session.connect();
    const answered = stream.headers().then((headers) => ({
      answer: headers[':status'] === 200 ? ('open' as const) : Number(headers[':status']),
      retryAfter: headers['retry-after'],
      leave: async () => void stream.reset(),
    }));
    answered.catch(() => {});
    return { answered, abandon: () => stream.reset() };
  },
};

const ways = [overHttp1, overHttp2];

async function askAndWait(t: TestContext, way: Way, server: Server): Promise<Client> {
  const { answered } = await way.ask(t, server);
  return await within('an answer', answered);
}

function starting(
  t: TestContext,
  way: Way,
  limits: Partial<Limits>,
  route: Route<undefined> = {},
  more: Partial<ServeOptions<undefined>> = {},
): Promise<Server> {
  return startServer(t, { ...way.options, limits, routes: { '*': route }, ...more });
}

/** There is room for exactly so many. */
async function expectRoomFor(t: TestContext, way: Way, server: Server, room: number) {
  const clients: Client[] = [];
  for (let i = 0; i < room; i++) clients.push(await askAndWait(t, way, server));
  assert.deepEqual(
    clients.map(({ answer }) => answer),
    Array(room).fill('open'),
  );
  const refused = await askAndWait(t, way, server);
  assert.equal(refused.answer, 503);
  assert.match(refused.retryAfter ?? '', /^[1-9]\d*$/, 'RFC 9110 10.2.3: seconds');
  for (const client of clients) await client.leave();
  await until('their end', () => server.peers.size === 0);
}

for (const limit of ['maxConnections', 'maxConnectionsPerAddress'] as const) {
  for (const way of ways) {
    suite(`${limit} over ${way.name}`, () => {
      test('as many as that, and one past it is answered 503 with Retry-After', async (t) => {
        const server = await starting(t, way, { [limit]: 3 });
        // Twice: what has ended does not count any more.
        await expectRoomFor(t, way, server, 3);
        await expectRoomFor(t, way, server, 3);
        assert.deepEqual(server.metrics().connections.refused, { TOO_MANY_CONNECTIONS: 2 });
      });

      test('those that are being decided about count too', async (t) => {
        const gate = makeGate();
        let asked = 0;
        async function upgrade(): Promise<undefined> {
          asked += 1;
          await gate.opened;
        }
        const server = await starting(t, way, { [limit]: 2 }, { upgrade });
        const first = await way.ask(t, server);
        const second = await way.ask(t, server);
        await until('both to be asked for', () => asked === 2);
        const third = await askAndWait(t, way, server);
        assert.equal(third.answer, 503);
        gate.open();
        const clients = [await first.answered, await second.answered];
        assert.deepEqual(
          clients.map(({ answer }) => answer),
          ['open', 'open'],
        );
        for (const client of clients) await client.leave();
        await until('their end', () => server.peers.size === 0);
        await expectRoomFor(t, way, server, 2);
      });

      for (const [name, upgrade, status] of [
        [
          'throws',
          () => {
            throw new Error('no');
          },
          500,
        ],
        ['rejects', () => Promise.reject(new Error('no')), 500],
        [
          'throws a RejectUpgrade',
          () => {
            throw new RejectUpgrade(401);
          },
          401,
        ],
        ['rejects with a RejectUpgrade', () => Promise.reject(new RejectUpgrade(401)), 401],
        ['throws a RejectUpgrade that is broken', () => Promise.reject(broken()), 500],
      ] as const) {
        test(`where \`upgrade\` ${name}, its place is free again`, async (t) => {
          let refuses = true;
          const route: Route<undefined> = {
            upgrade: () => (refuses ? (upgrade() as Promise<undefined>) : undefined),
          };
          const server = await starting(t, way, { [limit]: 2 }, route, { onError() {} });
          for (let i = 0; i < 5; i++) {
            assert.equal((await askAndWait(t, way, server)).answer, status);
          }
          refuses = false;
          await expectRoomFor(t, way, server, 2);
        });
      }

      test('where it takes too long, its place is free at once, and not twice', async (t) => {
        const gate = makeGate();
        let waits = true;
        const route: Route<undefined> = {
          async upgrade() {
            if (waits) await gate.opened;
          },
        };
        const limits = { [limit]: 2, handshakeTimeoutMs: 200 };
        const server = await starting(t, way, limits, route);
        for (let i = 0; i < 2; i++) {
          const [one, two] = [await way.ask(t, server), await way.ask(t, server)];
          assert.equal((await one.answered).answer, 503);
          assert.equal((await two.answered).answer, 503);
        }
        // They have been answered: that they settle now gives nothing back.
        gate.open();
        await nextTurn();
        waits = false;
        await expectRoomFor(t, way, server, 2);
        const { refused } = server.metrics().connections;
        assert.deepEqual(refused, { UPGRADE_TIMEOUT: 4, TOO_MANY_CONNECTIONS: 1 });
      });

      for (const settles of ['resolves', 'rejects', 'refuses'] as const) {
        test(`a client that has gone when \`upgrade\` ${settles} gives its place back once`, async (t) => {
          const gate = makeGate();
          let asked = 0;
          const route: Route<undefined> = {
            async upgrade() {
              asked += 1;
              await gate.opened;
              if (asked > 2) return;
              if (settles === 'rejects') throw new Error('no');
              if (settles === 'refuses') throw new RejectUpgrade(403);
            },
          };
          const server = await starting(t, way, { [limit]: 2 }, route, { onError() {} });
          const clients = [await way.ask(t, server), await way.ask(t, server)];
          await until('both to be asked for', () => asked === 2);
          for (const client of clients) client.abandon();
          // What the application does for them still goes on: it counts until then.
          assert.equal((await askAndWait(t, way, server)).answer, 503);
          gate.open();
          await nextTurn();
          asked = 2;
          await expectRoomFor(t, way, server, 2);
          assert.equal(server.metrics().connections.opened, 2);
        });
      }

      test('a client that has gone, where `upgrade` never settles, gives it back after the handshake’s time', async (t) => {
        let asked = 0;
        const route: Route<undefined> = {
          upgrade() {
            asked += 1;
            return asked === 1 ? new Promise<never>(() => {}) : undefined;
          },
        };
        const limits = { [limit]: 1, handshakeTimeoutMs: 300 };
        const server = await starting(t, way, limits, route);
        const client = await way.ask(t, server);
        await until('it to be asked for', () => asked === 1);
        client.abandon();
        const statuses: (number | string)[] = [];
        for (;;) {
          const next = await askAndWait(t, way, server);
          if (next.answer === 'open') break;
          statuses.push(next.answer);
        }
        assert.ok(statuses.every((status) => status === 503));
        // Nobody was there to be refused for it.
        const { UPGRADE_TIMEOUT: timedOut } = server.metrics().connections.refused;
        assert.equal(timedOut, undefined);
        assert.equal((await askAndWait(t, way, server)).answer, 503);
      });

      test('a server that closes meanwhile answers 503, and has nothing left', async (t) => {
        const gate = makeGate();
        let asked = 0;
        const route: Route<undefined> = {
          async upgrade() {
            asked += 1;
            await gate.opened;
          },
        };
        const server = await serve<undefined>({
          ...way.options,
          limits: { [limit]: 1 },
          routes: { '*': route },
        });
        const client = await way.ask(t, server);
        await until('it to be asked for', () => asked === 1);
        const closing = server.close();
        gate.open();
        assert.equal((await within('an answer', client.answered)).answer, 503);
        client.abandon();
        await within('the close', closing);
        assert.deepEqual(server.metrics().connections.refused, { SERVER_CLOSING: 1 });
      });

      test('what the handshake refuses never counts', async (t) => {
        const server = await starting(
          t,
          way,
          { [limit]: 1 },
          { origins: ['https://only.example'] },
        );
        if (way === overHttp1) {
          for (let i = 0; i < 3; i++) {
            const raw = await dial(server.port, false);
            raw.write(handshake({ fields: { origin: 'https://other.example' } }));
            assert.equal((await readRefusal(raw)).head.status, 403);
          }
        } else {
          const session = await dialHttp2(t, server.port, false);
          for (let i = 0; i < 3; i++) {
            await session.connect('/', { origin: 'https://other.example' }).expectStatus(403);
          }
        }
        await expectRoomFor(t, way, server, 1);
      });
    });
  }
}

/** One that was changed after it was made. */
function broken(): RejectUpgrade {
  return Object.assign(new RejectUpgrade(401), { status: 99 });
}

test('the two transports of one port count together', async (t) => {
  const server = await starting(t, overHttp2, { maxConnections: 2 });
  assert.equal((await askAndWait(t, overHttp1, server)).answer, 'open');
  assert.equal((await askAndWait(t, overHttp2, server)).answer, 'open');
  assert.equal((await askAndWait(t, overHttp1, server)).answer, 503);
  assert.equal((await askAndWait(t, overHttp2, server)).answer, 503);
});

test('streams of one session count each', async (t) => {
  const server = await starting(t, overHttp2, { maxConnectionsPerAddress: 2 });
  const session = await dialHttp2(t, server.port, false);
  const first = await session.open();
  await session.open();
  const refused = await session.connect().expectStatus(503);
  assert.equal(refused['retry-after'], '5');
  first.reset();
  await until('its end', () => server.peers.size === 1);
  await session.open();
});

test('a Unix socket has no addresses, but connections', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
  t.after(() => rm(folder, { recursive: true }));
  const server = await startServer(t, {
    unix: join(folder, 'a.sock'),
    routes: { '/': {} },
    limits: { maxConnectionsPerAddress: 1, maxConnections: 2 },
  });
  const url = `${server.url}:/`;
  const first = await dialTo(t, url);
  await dialTo(t, url);
  const { response } = await expectFailureCode(dialTo(t, url), 'STATUS_NOT_101');
  assert.equal(response?.status, 503);
  assert.equal(response.headers['retry-after'], '5');
  first.terminate();
  await first.closed;
  await until('its end', () => server.peers.size === 1);
  await dialTo(t, url);
});

test('addresses do not share their limit', async (t) => {
  const server = await startServer(t, {
    host: '0.0.0.0',
    routes: { '/': {} },
    limits: { maxConnectionsPerAddress: 1 },
  });
  const { port } = server;
  const local = (localAddress: string) => dialTo(t, `ws://127.0.0.1:${port}`, { localAddress });
  const first = await local('127.0.0.1');
  await local('127.0.0.2');
  for (const address of ['127.0.0.1', '127.0.0.2']) {
    await expectFailureCode(local(address), 'STATUS_NOT_101');
  }
  first.terminate();
  await until('its end', () => server.peers.size === 1);
  await local('127.0.0.1');
  await expectFailureCode(local('127.0.0.2'), 'STATUS_NOT_101');
});

test('each server has its own, and by default there are none', async (t) => {
  const limited = await startServer(t, { routes: { '/': {} }, limits: { maxConnections: 1 } });
  const free = await startServer(t, { routes: { '/': {} } });
  await dialTo(t, limited.url);
  for (let i = 0; i < 50; i++) await dialTo(t, free.url);
  await expectFailureCode(dialTo(t, limited.url), 'STATUS_NOT_101');
  assert.equal(free.peers.size, 50);
});

test('a closing handshake holds the place until it is over', async (t) => {
  const server = await startServer(t, { routes: { '/': {} }, limits: { maxConnections: 1 } });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  const [peer] = server.peers;
  assert.ok(peer);
  peer.close(1000);
  assert.equal(peer.state, 'closing');
  await expectFailureCode(dialTo(t, server.url), 'STATUS_NOT_101');
  raw.destroy();
  await within('the end', peer.closed);
  await dialTo(t, server.url);
});

test('a route cannot have limits that are the server’s', async () => {
  for (const name of [
    ...['maxConnections', 'maxConnectionsPerAddress', 'maxHeaders', 'maxHeaderBytes'],
    ...['maxStreams', 'handshakeTimeoutMs'],
  ]) {
    await assert.rejects(serve({ routes: { '/': { limits: { [name]: 1 } } } }), {
      code: 'INVALID_OPTION',
      message: new RegExp(`${name} is a limit of the server's`),
    });
  }
});

test('a peer that ends in `open` leaves its place', async (t) => {
  const server = await startServer(t, {
    routes: { '/': { open: (peer) => peer.terminate() } },
    limits: { maxConnections: 1, maxConnectionsPerAddress: 1 },
  });
  for (let i = 0; i < 3; i++) {
    const raw = await dial(server.port, false);
    raw.write(handshake());
    await raw.readHead();
    await raw.expectEnd();
    raw.end();
    await until('the end', () => server.peers.size === 0);
  }
  assert.deepEqual(server.metrics().connections.closed, { 1006: 3 });
  assert.deepEqual(server.metrics().connections.refused, {});
});
