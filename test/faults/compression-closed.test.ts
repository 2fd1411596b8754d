import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Peer, prepareMessage } from '../../dist/index.js';
import { jobs } from '../../dist/node/compression/job-queue.js';
import { ClientPeer } from '../../dist/node/peer.js';
import type { SessionSettings } from '../../dist/node/peer-handlers.js';
import { PeerSession } from '../../dist/node/peer-session.js';
import { compressingSettings, untilThreadsAreDone } from '../node/compressing-session.ts';
import { startServer } from '../node/connections.ts';
import { until } from '../node/ways-of-reading.ts';
import { deflated, RSV1 } from './deflated.ts';
import { watchHeap } from './heap.ts';
import { dial, handshake } from './raw-client.ts';
import { clientFrame, hex, TEXT } from './raw-frames.ts';

/** What peers were told, of which nothing may come after `close`. */
class Told {
  messages = 0;
  closes = 0;
  late = 0;
  readonly open: Set<ClientPeer | Peer> = new Set();

  readonly note = (peer: ClientPeer | Peer): void => {
    if (!this.open.has(peer)) this.late++;
  };

  readonly message = (peer: ClientPeer | Peer): void => {
    this.note(peer);
    this.messages++;
  };

  readonly close = (peer: ClientPeer | Peer): void => {
    this.note(peer);
    this.closes++;
    this.open.delete(peer);
  };

  /** As the handlers of a peer or a route. */
  get handlers() {
    const { note, message, close } = this;
    return { message, close, ping: note, pong: note, drain: note };
  }
}

const NOTHING = Buffer.alloc(0);

/** A peer on a stream of which the test is the other side, and that takes whatever is sent. */
function openPeer(told: Told, settings: SessionSettings<ClientPeer>, arrived: Buffer) {
  const stream = new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
  });
  const session = new PeerSession<ClientPeer>(stream, '', settings, (made) => new ClientPeer(made));
  told.open.add(session.peer);
  session.open(NOTHING, arrived, undefined);
  return { stream, peer: session.peer };
}

type Opened = ReturnType<typeof openPeer>;

/**
 * A message so long that another thread inflates it, of empty blocks so that this takes no time. Masked with
 * zeros, so that many can be given the same memory.
 */
const payload = Buffer.concat([...Array(27_000).fill(hex('00 00 00 ff ff')), hex('00')]);
const large = Buffer.concat([hex('c1 ff 0000000000020f59 00000000'), payload, hex('81 80 m')]);
assert.equal(payload.length, 0x20f59);

/** How a connection ends while its message is in the thread pool or waits for it. */
const endings: readonly ((opened: Opened) => void)[] = [
  ({ stream }) => stream.destroy(),
  ({ stream }) => stream.destroy(new Error('reset')),
  ({ stream }) => stream.push(null),
  ({ peer }) => peer.terminate(),
  ({ peer, stream }) => {
    peer.close(1000);
    stream.push(null);
  },
  ({ peer, stream }) => {
    peer.close(1000);
    stream.destroy();
  },
  // Its turn has come, or not, when it ends.
  ({ stream }) => setImmediate(() => setImmediate(() => stream.destroy())),
  ({ peer }) => setImmediate(() => setImmediate(() => peer.terminate())),
];

test('fault 74: ten thousand end while a large message inflates', async () => {
  const told = new Told();
  const kinds = [
    compressingSettings({ takeover: false, handlers: told.handlers }),
    compressingSettings({ takeover: true, handlers: told.handlers }),
  ] as const;
  const runBatch = async (): Promise<void> => {
    const opened = kinds.flatMap((settings) =>
      Array.from({ length: 500 }, () => openPeer(told, settings, large)),
    );
    assert.equal(jobs.running + jobs.waiting, opened.length);
    for (const [at, each] of opened.entries()) endings[at % endings.length]?.(each);
    await until('all to be closed', () => told.open.size === 0);
    await untilThreadsAreDone();
  };
  await runBatch();
  const handles = process.getActiveResourcesInfo().length;
  const checkHeap = await watchHeap();
  for (let batch = 1; batch < 10; batch++) await runBatch();
  assert.equal(told.closes, 10_000);
  assert.equal(told.late, 0);
  // Both messages are delivered where the other side has ended in order. Where a connection ends later, they
  // are if they come in time.
  const [each, fin, later] = [(2 * 10_000) / endings.length, 1, 2];
  assert.ok(told.messages >= fin * each, `${told.messages}`);
  assert.ok(told.messages <= (fin + later) * each, `${told.messages}`);
  // Timers come and go. What one in a thousand peers leaves behind would show.
  await until('nothing else', () => process.getActiveResourcesInfo().length < handles + 9);
  await checkHeap(1);
});

for (const takeover of [false, true]) {
  test(`fault 74: what waits for a thread is given up with its connection, takeover ${takeover}`, async () => {
    const told = new Told();
    const settings = compressingSettings({ takeover, handlers: told.handlers });
    const opened = Array.from({ length: 200 }, () => openPeer(told, settings, large));
    assert.ok(jobs.waiting >= 190, `${jobs.waiting}`);
    for (const [at, { peer, stream }] of opened.entries()) {
      if (at % 2 === 0) peer.terminate();
      else stream.destroy();
    }
    for (let turns = 0; told.open.size > 0; turns++) {
      assert.ok(turns < 10);
      await nextTurn();
    }
    assert.equal(jobs.waiting, 0);
    await untilThreadsAreDone();
    assert.equal(told.messages, 0);
    assert.equal(told.late, 0);
  });
}

for (const takeover of [false, true]) {
  test(`fault 74: peers end while messages to them are compressed, takeover ${takeover}`, async () => {
    const told = new Told();
    const settings = compressingSettings({ takeover, handlers: told.handlers });
    const bytes = Buffer.alloc(70_000);
    const runBatch = async (): Promise<void> => {
      const prepared = prepareMessage(bytes);
      const opened = Array.from({ length: 200 }, () => openPeer(told, settings, NOTHING));
      for (const { peer } of opened) {
        peer.send(bytes);
        peer.send(prepared);
        peer.send('behind');
      }
      assert.equal(jobs.running + jobs.waiting, 201);
      for (const [at, each] of opened.entries()) endings[at % endings.length]?.(each);
      await until('all to be closed', () => told.open.size === 0);
      await untilThreadsAreDone();
      for (const { peer } of opened) assert.equal(peer.bufferedAmount, 0);
    };
    await runBatch();
    const checkHeap = await watchHeap();
    for (let batch = 1; batch < 5; batch++) await runBatch();
    assert.equal(told.closes, 1_000);
    assert.equal(told.late, 0);
    assert.equal(told.messages, 0);
    await checkHeap(1);
  });
}

/** The same for who is connected over TCP. */
const tcpEndings: readonly ((client: Socket, peer: Peer) => void)[] = [
  (client) => void client.resetAndDestroy(),
  (client) => void client.end(),
  (_, peer) => peer.terminate(),
  (client, peer) => {
    peer.close(1000);
    client.end();
  },
];

for (const sharedReadBuffer of [true, false]) {
  for (const takeover of [false, true]) {
    const way = sharedReadBuffer ? 'shared buffer' : "'data'";
    test(`fault 74: over TCP, ${way}, takeover ${takeover}`, async (t) => {
      const told = new Told();
      const server = await startServer(t, {
        compression: { takeover },
        sharedReadBuffer,
        routes: { '/': { ...told.handlers, open: (peer) => void told.open.add(peer) } },
      });
      const stored = deflated(Buffer.alloc(132_000, 'stored'), { level: 0 });
      const bytes = Buffer.concat([clientFrame(TEXT | RSV1, stored), clientFrame(TEXT, 'behind')]);
      const runBatch = async (): Promise<void> => {
        const clients = await Promise.all(
          Array.from({ length: 50 }, async () => {
            const raw = await dial(server.port, false);
            raw.write(handshake({ fields: { 'sec-websocket-extensions': 'permessage-deflate' } }));
            await raw.readHead();
            return raw.socket;
          }),
        );
        const peers = [...server.peers];
        assert.equal(peers.length, clients.length);
        for (const client of clients) client.write(bytes);
        await until('messages to wait for a thread', () => jobs.waiting > 0);
        for (const [at, client] of clients.entries()) {
          tcpEndings[at % tcpEndings.length]?.(client, peers[at] as Peer);
        }
        await until('all to be closed', () => told.open.size === 0);
        await untilThreadsAreDone();
        for (const client of clients) client.destroy();
      };
      await runBatch();
      const handles = process.getActiveResourcesInfo().length;
      const checkHeap = await watchHeap();
      for (let batch = 1; batch < 5; batch++) await runBatch();
      assert.equal(told.closes, 250);
      assert.equal(told.late, 0);
      await until('nothing else', () => process.getActiveResourcesInfo().length <= handles);
      await checkHeap(2);
    });
  }
}
