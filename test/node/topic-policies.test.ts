import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type ClientPeer,
  defaultLimits,
  type Limits,
  type Peer,
  prepareMessage,
  type SlowPeerPolicy,
  type TopicPolicy,
} from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { ClientPeer as PeerFace } from '../../dist/node/peer.js';
import { PeerSession } from '../../dist/node/peer-session.js';
import { TopicPolicies } from '../../dist/topics/topic-options.js';
import { Topics } from '../../dist/topics/topics.js';
import { CLOSE, closeCodeOf } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Receiver } from './compressed-peer.ts';
import { compressingSettings, untilThreadsAreDone } from './compressing-session.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';
import { FakeSocket } from './fake-socket.ts';

interface Subscribed {
  readonly socket: FakeSocket;
  readonly peer: ClientPeer;
  readonly drains: () => number;
  readonly dropped: () => number;
  publish(topic: string, data: string | Uint8Array): void;
}

/** A session subscribed to topics that have these policies, on a socket whose other side the test plays. */
function subscribed(
  topics: Readonly<Record<string, TopicPolicy>>,
  slowPeers: SlowPeerPolicy,
  limits: Partial<Limits>,
  /** Not given: nothing is compressed. */
  takeover?: boolean,
): Subscribed {
  const socket = new FakeSocket();
  let dropped = 0;
  let drains = 0;
  const ports = {
    platform: nodePlatform,
    atEndOfTick: (task: () => void) => process.nextTick(task),
  };
  const hub = new Topics<PeerSession<ClientPeer>>(ports, new TopicPolicies(topics));
  const settings = compressingSettings({
    takeover: takeover ?? false,
    threshold: takeover === undefined ? 1e9 : 16,
    limits: { ...defaultLimits, ...limits },
    handlers: { drain: () => void drains++ },
  });
  const session = new PeerSession<ClientPeer>(
    socket,
    '',
    {
      ...settings,
      slowPeers,
      flushPublished: () => hub.flush(),
      onDropped: (messages) => {
        dropped += messages;
      },
    },
    (made) => new PeerFace(made),
  );
  session.open(Buffer.alloc(0), Buffer.alloc(0), undefined);
  for (const topic of Object.keys(topics)) hub.subscribe(session, topic);
  return {
    socket,
    peer: session.peer,
    drains: () => drains,
    dropped: () => dropped,
    publish: (topic, data) => void hub.publish(topic, prepareMessage(data)),
  };
}

/** Some text that says what it is, and that deflate makes little of. */
function labelled(label: string, size: number): string {
  return `${label}:${randomBytes(Math.ceil(size / 2)).toString('hex')}`;
}

/** Has all be taken, and returns the labels of what came. */
async function labelsTaken({ socket }: Subscribed, takeover?: boolean): Promise<string[]> {
  for (let i = 0; i < 5; i++) {
    await nextTurn();
    await untilThreadsAreDone();
    await socket.takeAll();
  }
  const receiver = new Receiver(
    { readFrame: () => assert.fail('not asked for') },
    takeover === true ? '' : 'server_no_context_takeover',
  );
  return socket
    .frames()
    .filter(({ first }) => first !== CLOSE)
    .map((frame) => String(receiver.take(frame).message).split(':')[0] ?? '');
}

const small = { highWaterMarkBytes: 1_000, maxBufferedBytes: 10_000 };

describe('a topic’s policy in place of the route’s', () => {
  test('drop: what is published is dropped and counted, what is sent closes', async () => {
    const one = subscribed({ t: { slowPeers: 'drop' } }, 'close', small);
    one.socket.atOnce = false;
    for (let at = 0; at < 100; at++) {
      one.publish('t', labelled(`t${at}`, 500));
      await nextTurn();
    }
    assert.equal(one.peer.state, 'open');
    assert.ok(one.peer.dropped > 50);
    assert.equal(one.dropped(), one.peer.dropped);
    assert.equal(one.drains(), 0);
    const kept = 100 - one.peer.dropped;
    one.peer.send('x'.repeat(500));
    assert.equal(one.peer.state, 'closing', 'the route’s policy holds for what is sent');
    const labels = await labelsTaken(one);
    assert.deepEqual(
      labels,
      Array.from({ length: kept }, (_, at) => `t${at}`),
    );
  });

  test('close: it is closed with 1013 though the route would drop', async () => {
    const one = subscribed({ t: { slowPeers: 'close' } }, 'drop', small);
    one.socket.atOnce = false;
    for (let at = 0; at < 40; at++) one.peer.send('x'.repeat(500));
    assert.equal(one.peer.state, 'open');
    const { dropped } = one.peer;
    one.publish('t', labelled('t', 500));
    await nextTurn();
    assert.equal(one.peer.state, 'closing');
    assert.equal(one.peer.dropped, dropped);
    await one.socket.takeAll();
    const last = one.socket.frames().at(-1);
    assert.equal(last?.first, CLOSE);
    assert.equal(closeCodeOf(last.payload), 1013);
  });

  test('none: the route’s', async () => {
    const one = subscribed({ t: {} }, 'drop', small);
    one.socket.atOnce = false;
    for (let at = 0; at < 50; at++) {
      one.publish('t', labelled(`t${at}`, 500));
      await nextTurn();
    }
    assert.equal(one.peer.state, 'open');
    assert.ok(one.peer.dropped > 0);
  });

  test('a whole batch that is dropped counts with each message', async () => {
    const one = subscribed({ t: { slowPeers: 'drop' } }, 'close', small);
    one.socket.atOnce = false;
    for (let at = 0; at < 30; at++) one.publish('t', labelled('first', 500));
    await nextTurn();
    const { dropped } = one.peer;
    for (let at = 0; at < 7; at++) one.publish('t', labelled('second', 500));
    await nextTurn();
    assert.equal(one.peer.dropped, dropped + 7);
    assert.equal(one.dropped(), one.peer.dropped);
  });
});

describe('latest', () => {
  test('the newest of each topic follows once the peer has caught up, then drain', async () => {
    const one = subscribed(
      { a: { slowPeers: 'latest' }, b: { slowPeers: 'latest' } },
      'close',
      small,
    );
    one.socket.atOnce = false;
    one.publish('a', labelled('a0', 2_000));
    await nextTurn();
    for (let at = 1; at < 50; at++) {
      one.publish('a', labelled(`a${at}`, 2_000));
      one.publish('b', labelled(`b${at}`, 2_000));
      await nextTurn();
    }
    assert.ok(one.peer.bufferedAmount < 3_000);
    assert.equal(one.peer.dropped, 48 + 48);
    assert.equal(one.dropped(), one.peer.dropped);
    assert.equal(one.drains(), 0);
    await one.socket.accept();
    await nextTurn();
    assert.equal(one.drains(), 0, 'what was kept has made it full again');
    assert.deepEqual(await labelsTaken(one), ['a0', 'a49', 'b49']);
    assert.equal(one.drains(), 1);
  });

  test('a newer one in the meantime, when there is room, takes the place of the one that is kept', async () => {
    const one = subscribed({ a: { slowPeers: 'latest' } }, 'close', { highWaterMarkBytes: 10_000 });
    one.socket.atOnce = false;
    for (const size of [6_000, 6_000]) one.peer.send('x'.repeat(size));
    one.publish('a', labelled('a1', 100));
    await nextTurn();
    // Less than the mark waits, but more than its half: there was no drain yet.
    await one.socket.accept();
    one.publish('a', labelled('a2', 100));
    await nextTurn();
    const labels = (await labelsTaken(one)).filter((label) => label.startsWith('a'));
    assert.equal(labels.at(-1), 'a2');
    assert.equal(labels.length + one.peer.dropped, 2);
  });

  for (const takeover of [undefined, false, true]) {
    const name = takeover === undefined ? 'plain' : `compressed, takeover ${takeover}`;

    test(`a batch larger than maxBufferedBytes touches nothing that others sent, ${name}`, async () => {
      const limits = { highWaterMarkBytes: 4_000, maxBufferedBytes: 60_000 };
      const one = subscribed({ t: { slowPeers: 'latest' } }, 'close', limits, takeover);
      one.socket.atOnce = false;
      one.peer.send(labelled('first', 400));
      await nextTurn();
      await untilThreadsAreDone();
      one.peer.send(labelled('kept', 400));
      // One batch; the large one is compressed on another thread.
      one.publish('t', labelled('t1', 30_000));
      one.publish('t', labelled('t2', 200_000));
      one.publish('t', labelled('t3', 100));
      await nextTurn();
      const labels = await labelsTaken(one, takeover);
      assert.deepEqual(labels.slice(0, 2), ['first', 'kept']);
      assert.equal(labels.at(-1), 't3');
      assert.equal(labels.length + one.peer.dropped, 5);
    });

    test(`what else waits goes out whole, the newest comes last, all is sent or counted, ${name}`, async () => {
      const steps = fc.array(
        fc.oneof(
          fc.record({
            to: fc.constantFrom('a', 'b', 'direct', 'other'),
            size: fc.oneof(
              fc.integer({ min: 4, max: 3_000 }),
              fc.integer({ min: 3_000, max: 70_000 }),
            ),
          }),
          fc.constantFrom('accept', 'turn', 'threads'),
        ),
        { maxLength: 40 },
      );
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const latest = { slowPeers: 'latest' } as const;
          const limits = { highWaterMarkBytes: 4_000, maxBufferedBytes: 10_000_000 };
          const one = subscribed({ a: latest, b: latest, other: {} }, 'close', limits, takeover);
          one.socket.atOnce = false;
          const sent: string[] = [];
          for (const now of program) {
            if (now === 'accept') await one.socket.accept();
            else if (now === 'turn') await nextTurn();
            else if (now === 'threads') await untilThreadsAreDone();
            else {
              const { to, size } = now as { to: string; size: number };
              const label = `${to} ${sent.length}`;
              sent.push(label);
              if (to === 'direct') one.peer.send(labelled(label, size));
              else one.publish(to, labelled(label, size));
            }
          }
          const came = await labelsTaken(one, takeover);
          for (const to of ['direct', 'other']) {
            const those = (labels: string[]) => labels.filter((label) => label.startsWith(to));
            assert.deepEqual(those(came), those(sent), `${to} is not touched`);
          }
          for (const to of ['a', 'b']) {
            const those = came.filter((label) => label.startsWith(`${to} `));
            const at = those.map((label) => sent.indexOf(label));
            assert.deepEqual(
              at,
              [...at].sort((x, y) => x - y),
            );
            assert.equal(
              those.at(-1),
              sent.findLast((label) => label.startsWith(`${to} `)),
            );
          }
          assert.equal(came.length + one.peer.dropped, sent.length);
          assert.equal(one.dropped(), one.peer.dropped);
          assert.equal(one.peer.bufferedAmount, 0);
          one.peer.terminate();
        }),
        { numRuns: takeover === undefined ? 150 : 40 },
      );
    });
  }
});

/** A server with one peer that reads when the test does. */
async function startSlow(t: TestContext, compression: boolean, slowPeers: SlowPeerPolicy) {
  const opened = new Mailbox<Peer>();
  const closes = new Mailbox<number>();
  const server = await startServer(t, {
    compression,
    limits: { maxBufferedBytes: 1_000_000, closeTimeoutMs: 100 },
    topics: { 'feed/*': { slowPeers } },
    routes: {
      '/': {
        open(peer) {
          for (const topic of ['feed/a', 'feed/b', 'chat']) peer.subscribe(topic);
          opened.put(peer);
        },
        close: (_, code) => closes.put(code),
      },
    },
  });
  const client = await dialTo(t, server.url, { compression });
  return { server, client, peer: await opened.next(), closes };
}

/** Publishes to the feed until the peer has been dropped from it, or is gone. */
async function publishMuch(
  publish: (at: number) => void,
  isEnough: () => boolean,
): Promise<number> {
  let at = 0;
  while (!isEnough()) {
    publish(at++);
    await nextTurn();
    assert.ok(at < 5_000, 'the peer is not slow');
  }
  return at;
}

describe('over a socket that is slow', () => {
  for (const compression of [false, true]) {
    test(`latest: the newest comes, the chat is whole, compression ${compression}`, async (t) => {
      const { server, client, peer } = await startSlow(t, compression, 'latest');
      server.publish('feed/b', labelled('b', 100));
      const published = await publishMuch(
        (at) => {
          server.publish('feed/a', labelled(`a${at}`, 100_000));
          if (at % 100 === 0) server.publish('chat', `chat${at}:`);
        },
        () => peer.dropped >= 30,
      );
      server.publish('chat', 'last chat:');
      assert.equal(server.dropped, peer.dropped);
      assert.equal(server.health.dropped, peer.dropped);
      const labels: string[] = [];
      const read = async (): Promise<void> => {
        for await (const message of client) {
          labels.push(String(message).split(':')[0] ?? '');
          // Which of them is the last depends on whether the peer had caught up just before.
          if ([`a${published - 1}`, 'last chat'].every((label) => labels.includes(label))) return;
        }
      };
      await within('the newest', read());
      assert.ok(labels.includes('b'));
      const chats = labels.filter((label) => label.includes('chat'));
      const expected = Array.from(
        { length: Math.ceil(published / 100) },
        (_, at) => `chat${at * 100}`,
      );
      assert.deepEqual(chats, [...expected, 'last chat']);
      const numbers = labels
        .filter((label) => /^a\d/.test(label))
        .map((label) => Number(label.slice(1)));
      assert.deepEqual(
        numbers,
        [...numbers].sort((x, y) => x - y),
      );
      assert.equal(numbers.length + peer.dropped, published);
      assert.equal(server.dropped, peer.dropped);
    });

    test(`drop: the peer stays, what is dropped is counted, compression ${compression}`, async (t) => {
      const { server, client, peer } = await startSlow(t, compression, 'drop');
      const published = await publishMuch(
        (at) => server.publish('feed/a', labelled(`a${at}`, 100_000)),
        () => peer.dropped >= 10,
      );
      assert.equal(peer.state, 'open');
      assert.equal(server.dropped, peer.dropped);
      let came = 0;
      const read = async (): Promise<void> => {
        if (came + peer.dropped === published) return;
        for await (const _ of client) if (++came + peer.dropped === published) return;
      };
      await within('the rest', read());
    });
  }

  test('close: it is closed with 1013, and counts as nothing dropped', async (t) => {
    const { server, peer, closes } = await startSlow(t, false, 'close');
    await publishMuch(
      (at) => server.publish('feed/a', labelled(`a${at}`, 100_000)),
      () => peer.state !== 'open',
    );
    assert.equal(await closes.next(), 1013);
    assert.equal(server.dropped, 0);
    assert.equal(server.subscriberCount('feed/a'), 0);
  });

  test('latest: what is kept of a topic is not sent once the peer has left it', async (t) => {
    const { server, client, peer } = await startSlow(t, false, 'latest');
    await publishMuch(
      (at) => server.publish('feed/a', labelled(`a${at}`, 100_000)),
      () => peer.dropped >= 10,
    );
    const newest = labelled('newest', 100);
    server.publish('feed/a', newest);
    server.publish('feed/b', labelled('b', 100));
    const { dropped } = peer;
    peer.unsubscribe('feed/a');
    assert.equal(peer.dropped, dropped + 1);
    const labels: string[] = [];
    const read = async (): Promise<void> => {
      for await (const message of client) {
        labels.push(String(message).split(':')[0] ?? '');
        if (labels.at(-1) === 'b') return;
      }
    };
    await within('what is kept of the other topic', read());
    assert.ok(!labels.includes('newest'));
  });
});
