/** What may go wrong between servers, by a broker whose engine the test plays. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import {
  type ClientPeer,
  defaultLimits,
  prepareMessage,
  type SlowPeerPolicy,
} from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { ClientPeer as PeerFace } from '../../dist/node/peer.js';
import type { SessionSettings } from '../../dist/node/peer-handlers.js';
import { PeerSession } from '../../dist/node/peer-session.js';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import { newCounters } from '../../dist/protocol/extensions/compression-counters.js';
import { Backplane } from '../../dist/topics/backplane.js';
import { sealEnvelope } from '../../dist/topics/envelope.js';
import { TopicPolicies } from '../../dist/topics/topic-options.js';
import { FakeSocket } from '../node/fake-socket.ts';
import { BackplaneNode, type Listener } from '../topics/backplane-node.ts';
import { FakeBroker } from '../topics/fake-broker.ts';
import { ManualPorts } from '../topics/manual-ports.ts';
import { watchHeap } from './heap.ts';

// Fault 82, with 1,000 in place of 10,000 readers, and less memory for each in proportion.
for (const slowPeers of ['close', 'drop', 'latest'] satisfies SlowPeerPolicy[]) {
  test(`82: slow readers cost what they may, and fast ones get all, ${slowPeers}`, async () => {
    const slow = 1_000;
    const messages = 400;
    const broker = new FakeBroker();
    broker.answers = true;
    const ports = new ManualPorts();
    const policies = new TopicPolicies({ feed: { slowPeers } });
    const backplane = new Backplane<PeerSession<ClientPeer>>(broker, ports, policies);
    await backplane.start({ error: assert.fail, changed() {} });
    let dropped = 0;
    const limits = { ...defaultLimits, highWaterMarkBytes: 8_192, maxBufferedBytes: 16_384 };
    const settings: SessionSettings<ClientPeer> = {
      ...connectionSettings(nodePlatform, limits, true),
      extensions: '',
      counters: newCounters(),
      sharedReadBuffer: false,
      handlers: {},
      slowPeers: 'close',
      onError: assert.fail,
      flushPublished: () => backplane.flush(),
      onClosed: (session) => backplane.leave(session),
      onCloseHandled() {},
      onDropped: (count) => {
        dropped += count;
      },
    };
    const join = (takes: boolean): FakeSocket => {
      const socket = new FakeSocket();
      socket.atOnce = takes;
      const session = new PeerSession<ClientPeer>(
        socket,
        '',
        settings,
        (made) => new PeerFace(made),
      );
      session.open(Buffer.alloc(0), Buffer.alloc(0), undefined);
      backplane.subscribe(session, 'feed');
      return socket;
    };
    const sockets = Array.from({ length: slow }, () => join(false));
    const fast = [join(true), join(true)];
    ports.endTick();
    assert.equal(await backplane.subscribed('feed'), true);
    const check = await watchHeap();
    for (let sequence = 1; sequence <= messages; sequence++) {
      const message = prepareMessage(new Uint8Array(4_000).fill(sequence));
      const bytes = sealEnvelope(
        { node: 1, sequence, previous: sequence - 1, age: 0 },
        [message],
        nodePlatform,
      );
      broker.host.received('feed', bytes);
      ports.endTick();
      if (sequence % 20 === 0) await turn();
    }
    await turn();
    // Without a bound it would be 1.6 GB.
    await check(60);
    for (const socket of fast) {
      const frames = socket.frames();
      assert.equal(frames.length, messages);
      assert.ok(frames.every(({ payload }, at) => payload[0] === ((at + 1) & 0xff)));
    }
    if (slowPeers === 'close') assert.equal(dropped, 0);
    else assert.ok(dropped > (slow * messages) / 2, `${dropped}`);
    for (const socket of [...sockets, ...fast]) socket.destroy();
    await backplane.close();
  });
}

test('87: an engine that never answers: all is heard here, what waits is bounded, the rest is refused', async () => {
  const broker = new FakeBroker();
  const node = new BackplaneNode(broker, {}, 1024 * 1024);
  await node.start();
  const listener = node.listen('t');
  const check = await watchHeap();
  const message = prepareMessage('x');
  const count = 50_000;
  let refused = 0;
  for (let i = 0; i < count; i++) {
    if (!node.backplane.publish(i % 2 === 0 ? 't' : `topic ${i}`, message)) refused++;
    node.ports.endTick();
    if (i % 1_000 === 0) await turn();
  }
  assert.equal(listener.got.length, count / 2);
  assert.ok(refused > count / 2, `${refused}`);
  assert.equal(node.backplane.unpublished, refused);
  listener.got.length = 0;
  await check(12);
  const closing = node.backplane.close();
  await turn();
  node.ports.pass(10_000);
  await closing;
  assert.equal(broker.isClosed, true);
});

test('87: a partition: here all goes on, both sides say so, and both are told a gap once it is over', async () => {
  const nodes = [new BackplaneNode(), new BackplaneNode()] as const;
  const listeners: Listener[] = [];
  for (const node of nodes) {
    node.broker.answers = true;
    await node.start();
    listeners.push(node.listen('t'));
    node.ports.endTick();
    node.broker.goDown();
  }
  for (const [at, node] of nodes.entries()) {
    assert.equal(node.backplane.isUp, false);
    assert.equal(node.backplane.publish('t', prepareMessage(`from ${at}`)), false);
    node.ports.endTick();
    assert.deepEqual(listeners[at]?.got, [`from ${at}`]);
    node.broker.goUp();
    node.ports.endTick();
    assert.equal(await node.backplane.subscribed('t'), true);
    assert.deepEqual(listeners[at]?.got, [`from ${at}`, 'gap']);
  }
});

/** An envelope on its way from one node to another. */
interface Passage {
  readonly to: number;
  readonly topic: string;
  readonly bytes: Uint8Array;
}

test('87, 88, 89: lost, doubled, reordered, cut off: in order, once, and no hole without a gap', async () => {
  const nodeCount = 3;
  const node = fc.nat(nodeCount - 1);
  const topic = fc.constantFrom('t', 'u');
  const steps = fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant('publish' as const), node, topic }) },
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constantFrom('pass', 'pass', 'pass', 'double', 'double', 'lose'),
          // Mostly the oldest: of random order nearly all would come late.
          at: fc.oneof(fc.constant(0), fc.nat(5)),
        }),
      },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constantFrom('down', 'up', 'gap', 'gap'), node }),
      },
    ),
    { maxLength: 100, size: 'max' },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (program) => {
      const nodes = Array.from({ length: nodeCount }, () => new BackplaneNode());
      const listeners = new Map<string, Listener>();
      const settle = async (): Promise<void> => {
        for (const one of nodes) one.ports.endTick();
        await turn();
        for (const one of nodes) one.ports.endTick();
      };
      for (const [at, one] of nodes.entries()) {
        one.broker.answers = true;
        await one.start();
        for (const name of ['t', 'u']) listeners.set(`${at} ${name}`, one.listen(name));
      }
      await settle();
      let wire: Passage[] = [];
      const published = new Map<string, number>();
      for (const step of program) {
        if (step.do === 'publish') {
          const { node: from, topic: name } = step as { node: number; topic: string };
          const key = `${from} ${name}`;
          const number = published.get(key) ?? 0;
          published.set(key, number + 1);
          const one = nodes[from];
          assert.ok(one !== undefined);
          one.backplane.publish(name, prepareMessage(`${from}:${number}`));
          one.ports.endTick();
          for (const { topic: to, bytes } of one.broker.publications.splice(0)) {
            for (const at of nodes.keys()) wire.push({ to: at, topic: to, bytes });
          }
        } else if ('at' in step) {
          const passage = wire[step.at];
          if (passage === undefined) continue;
          if (step.do !== 'double') wire = wire.filter((_, at) => at !== step.at);
          const { broker } = nodes[passage.to] ?? assert.fail();
          // What was on its way to who is cut off goes nowhere, whether it comes later or not.
          const arrives = step.do !== 'lose' && broker.subscribed.has(passage.topic);
          if (arrives) broker.host.received(passage.topic, passage.bytes);
        } else {
          const { broker } = nodes[(step as { node: number }).node] ?? assert.fail();
          if (step.do === 'down') broker.goDown();
          else if (step.do === 'up') broker.goUp();
          else if (broker.isUp) broker.host.gap();
        }
        await settle();
      }
      for (const [who, { got }] of listeners) {
        for (const from of nodes.keys()) {
          // What came before the first one from a node cannot be known.
          let last: number | undefined;
          let wasGap = false;
          for (const text of got) {
            if (text === 'gap') wasGap = true;
            if (!text.startsWith(`${from}:`)) continue;
            const number = Number(text.slice(2));
            if (last !== undefined) {
              assert.ok(number > last, `${who}: ${number} after ${last} of ${from}: ${got.join()}`);
              const isNext = number === last + 1;
              assert.ok(
                isNext || wasGap,
                `${who}: ${number} after ${last} of ${from}: ${got.join()}`,
              );
            }
            last = number;
            wasGap = false;
          }
        }
      }
      for (const [at] of nodes.entries()) {
        for (const name of ['t', 'u']) {
          const own = listeners
            .get(`${at} ${name}`)
            ?.got.filter((text) => text.startsWith(`${at}:`));
          assert.equal(
            own?.length,
            published.get(`${at} ${name}`) ?? 0,
            'what is published here is heard here',
          );
        }
      }
    }),
    { numRuns: 150 },
  );
});
