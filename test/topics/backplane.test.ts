import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ApertoError, type Broker, prepareMessage } from '../../dist/index.js';
import { Backplane } from '../../dist/topics/backplane.js';
import { sealEnvelope } from '../../dist/topics/envelope.js';
import { TopicPolicies } from '../../dist/topics/topic-options.js';
import { testPlatform } from '../protocol/test-platform.ts';
import { BackplaneNode, Listener } from './backplane-node.ts';
import { FakeBroker } from './fake-broker.ts';
import { ManualPorts } from './manual-ports.ts';

const OTHER = 42;

/** What another node publishes. */
function envelope(sequence: number, previous: number, texts: string[], age = 0): Uint8Array {
  const messages = (texts.length > 0 ? texts : [`${sequence}`]).map((text) => prepareMessage(text));
  return sealEnvelope({ node: OTHER, sequence, previous, age }, messages, testPlatform);
}

async function startNode(): Promise<BackplaneNode> {
  const node = new BackplaneNode();
  node.broker.answers = true;
  await node.start();
  return node;
}

/** A node with a subscriber of `t` that the engine has confirmed. */
async function startListening() {
  const node = await startNode();
  const listener = node.listen('t');
  node.ports.endTick();
  assert.equal(await node.backplane.subscribed('t'), true);
  const receive = (sequence: number, previous: number, ...texts: string[]): void => {
    node.broker.host.received('t', envelope(sequence, previous, texts));
    node.ports.endTick();
  };
  return { node, listener, receive };
}

function codesOf(errors: readonly unknown[]): string[] {
  return errors.map((error) => (error instanceof ApertoError ? error.code : String(error)));
}

describe('what it publishes', () => {
  test('reaches its own subscribers without the engine, once', async () => {
    const { node, listener } = await startListening();
    assert.equal(node.backplane.publish('t', prepareMessage('x')), true);
    node.ports.endTick();
    assert.deepEqual(listener.got, ['x']);
    const [publication] = node.broker.publications;
    assert.ok(publication !== undefined);
    node.broker.host.received('t', publication.bytes);
    node.ports.endTick();
    assert.deepEqual(listener.got, ['x']);
  });

  test('reaches them while the engine is away, and that is told', async () => {
    const { node, listener } = await startListening();
    node.broker.goDown();
    assert.equal(node.backplane.publish('t', prepareMessage('x')), false);
    node.ports.endTick();
    assert.deepEqual(listener.got, ['x']);
    assert.equal(node.backplane.unpublished, 1);
    assert.equal(node.broker.publications.length, 0, 'nothing is queued');
  });

  test('many failures of a tick are told as one, with their number', async () => {
    const { node } = await startListening();
    node.broker.answers = false;
    for (const topic of ['a', 'b', 'c']) {
      node.backplane.publish(topic, prepareMessage('1'));
      node.backplane.publish(topic, prepareMessage('2'));
    }
    node.ports.endTick();
    for (const { reject } of node.broker.publications) reject(new Error('gone'));
    await turn();
    node.ports.endTick();
    assert.deepEqual(codesOf(node.errors), ['PUBLISH_FAILED']);
    assert.match(String(node.errors[0]), /6 messages: gone/);
    assert.equal(node.backplane.unpublished, 6);
  });

  test('has the order on the way to other nodes that it has here', async () => {
    const { node, listener } = await startListening();
    const answers = new Listener();
    answers.deliver = ({ messages }) => {
      if (messages[0]?.opcode === 2) node.backplane.publish('t', prepareMessage('answer'));
    };
    node.backplane.subscribe(answers, 't');
    // As large as to be delivered within the call.
    node.backplane.publish('t', prepareMessage(new Uint8Array(70_000)));
    node.ports.endTick();
    const here = listener.got.map(({ length }) => length);
    const there = node.broker.publications.map(({ bytes }) => bytes.length > 70_000);
    assert.deepEqual(here, [70_000, 6]);
    assert.deepEqual(there, [true, false]);
  });
});

describe('what it receives', () => {
  test('is delivered in order, once', async () => {
    const { listener, receive, node } = await startListening();
    receive(1, 0);
    receive(5, 1, 'a', 'b');
    receive(6, 5);
    assert.deepEqual(listener.got, ['1', 'a', 'b', '6']);
    assert.equal(node.backplane.gaps, 0);
  });

  test('the first that is heard of a server comes after a gap where one before it should have come', async () => {
    // 5 s for what was on its way while the topic was confirmed.
    for (const [silentMs, age, previous, expected] of [
      [60_000, 10_000, 6, ['gap', '7']],
      [60_000, 54_999, 6, ['gap', '7']],
      [60_000, 55_000, 6, ['7']],
      [60_000, 10_000, 0, ['7']],
      [60_000, 120_000, 6, ['7']],
      [4_000, 1, 6, ['7']],
    ] as const) {
      const { node, listener } = await startListening();
      node.ports.pass(silentMs);
      node.broker.host.received('t', envelope(7, previous, [], age));
      node.ports.endTick();
      assert.deepEqual(listener.got, expected, `${silentMs} ${age} ${previous}`);
    }
  });

  test('twice is delivered once', async () => {
    const { listener, receive } = await startListening();
    for (const [sequence, previous] of [
      [1, 0],
      [1, 0],
      [2, 1],
      [1, 0],
      [2, 1],
    ] as const)
      receive(sequence, previous);
    assert.deepEqual(listener.got, ['1', '2']);
  });

  test('behind a hole comes after a gap; what comes late is left out', async () => {
    const { listener, receive, node } = await startListening();
    receive(1, 0);
    receive(3, 2);
    receive(2, 1);
    receive(4, 3);
    assert.deepEqual(listener.got, ['1', 'gap', '3', '4']);
    assert.equal(node.backplane.gaps, 1);
  });

  test('after a gap that the broker tells, what is known stays known', async () => {
    const { listener, receive, node } = await startListening();
    receive(1, 0);
    receive(2, 1);
    node.broker.host.gap(['t', 'nobody listens to it']);
    receive(2, 1);
    receive(1, 0);
    receive(7, 6);
    receive(8, 7);
    assert.deepEqual(listener.got, ['1', '2', 'gap', '7', '8']);
    assert.equal(node.backplane.gaps, 1);
  });

  test('the same after an outage, also where it comes before the engine has confirmed', async () => {
    const { listener, receive, node } = await startListening();
    receive(1, 0);
    node.broker.goDown();
    node.broker.answers = false;
    node.broker.goUp();
    node.ports.endTick();
    receive(9, 1);
    node.broker.answer();
    await turn();
    receive(9, 1);
    receive(10, 9);
    assert.deepEqual(listener.got, ['1', '9', 'gap', '10']);
  });

  test('a gap of all topics is told by topic', async () => {
    const { node, listener } = await startListening();
    const other = node.listen('u');
    node.broker.host.gap();
    assert.deepEqual([listener.got, other.got], [['gap'], ['gap']]);
    assert.equal(node.backplane.gaps, 2);
  });

  test('goes nowhere where nobody is subscribed', async () => {
    const { node } = await startListening();
    node.broker.host.received('nobody', envelope(1, 0, []));
    node.broker.host.received('nobody', new Uint8Array(3));
    assert.deepEqual(node.errors, []);
  });

  test('what is no envelope is told, and a gap is', async () => {
    const { node, listener } = await startListening();
    const broken = envelope(1, 0, []);
    const bad = [
      new Uint8Array(0),
      new TextEncoder().encode('published by hand'),
      broken.subarray(0, broken.length - 1),
    ];
    for (const bytes of bad) node.broker.host.received('t', bytes);
    assert.deepEqual(
      codesOf(node.errors),
      bad.map(() => 'ENVELOPE_INVALID'),
    );
    assert.deepEqual(
      listener.got,
      bad.map(() => 'gap'),
    );
  });

  test('from more nodes than it remembers, still once each in turn', async () => {
    const { node, listener } = await startListening();
    for (let from = 0; from < 600; from++) {
      const bytes = sealEnvelope(
        { node: from, sequence: 1, previous: 0, age: 0 },
        [prepareMessage(`${from}`)],
        testPlatform,
      );
      for (let i = 0; i < 2; i++) node.broker.host.received('t', bytes);
    }
    node.ports.endTick();
    assert.deepEqual(listener.got, [...Array(600).keys()].map(String));
  });

  test('who is told of a gap may leave, have others leave, and have others come', async () => {
    const { node, listener } = await startListening();
    const [second, third] = [node.listen('t'), new Listener()];
    listener.missed = () => {
      node.backplane.unsubscribe(listener, 't');
      node.backplane.unsubscribe(second, 't');
      node.backplane.subscribe(third, 't');
    };
    node.broker.host.gap();
    assert.deepEqual(second.got, [], 'it had left');
    assert.deepEqual(third.got, []);
    assert.equal(node.backplane.count('t'), 1);
  });
});

describe('health', () => {
  test('changes are told once each', async () => {
    const node = await startNode();
    node.broker.goDown();
    node.broker.goDown();
    node.broker.goUp();
    assert.deepEqual(node.changes.slice(-2), [false, true]);
    assert.deepEqual(codesOf(node.errors), ['ENGINE_AWAY']);
    assert.match(String(node.errors[0]), /connection lost/);
  });

  test('an engine that is away at the start is down, told once, and then up', async () => {
    const broker = new FakeBroker();
    broker.startsWith = 'down';
    const node = new BackplaneNode(broker);
    await node.start();
    assert.equal(node.backplane.isUp, false);
    assert.deepEqual(codesOf(node.errors), ['ENGINE_AWAY']);
    broker.goUp();
    assert.deepEqual(node.changes, [false, true]);
  });

  test('what the engine fails with may be anything', async () => {
    const node = await startNode();
    for (const error of [undefined, null, 'text', 5, { message: 'no Error' }]) {
      node.broker.goDown(error);
      node.broker.goUp();
    }
    assert.equal(node.errors.length, 5);
  });
});

describe('closing', () => {
  test('sends what waits, and closes the broker once that is taken', async () => {
    const { node } = await startListening();
    node.broker.answers = false;
    node.backplane.publish('t', prepareMessage('last words'));
    const closing = node.backplane.close();
    assert.equal(node.broker.publications.length, 1);
    await turn();
    assert.equal(node.broker.isClosed, false);
    node.broker.publications[0]?.resolve();
    await closing;
    assert.equal(node.broker.isClosed, true);
  });

  test('does not wait for ever for an engine that takes nothing', async () => {
    const { node } = await startListening();
    node.broker.answers = false;
    node.backplane.publish('t', prepareMessage('x'));
    const closing = node.backplane.close();
    await turn();
    node.ports.pass(2_000);
    await closing;
    assert.equal(node.broker.isClosed, true);
    assert.equal(node.ports.timers.size, 0);
  });

  test('a broker that does not end, or fails to, is waited for no longer', async () => {
    const hanging = await startNode();
    hanging.broker.close = () => new Promise(() => {});
    const closing = hanging.backplane.close();
    await turn();
    hanging.ports.pass(2_000);
    await closing;
    const failing = await startNode();
    failing.broker.close = () => Promise.reject(new Error('cannot end'));
    await failing.backplane.close();
    assert.deepEqual(failing.errors.map(String), ['Error: cannot end']);
    assert.equal(failing.ports.timers.size, 0);
  });

  test('a second call closes nothing twice', async () => {
    const { node } = await startListening();
    await node.backplane.close();
    await node.backplane.close();
  });

  test('afterwards nothing is delivered, told, subscribed or published', async () => {
    const { node, listener, receive } = await startListening();
    const waiting = node.backplane.subscribed('t');
    await node.backplane.close();
    assert.equal(await waiting, true);
    const changes = node.changes.length;
    receive(1, 0);
    node.broker.host.gap();
    node.broker.host.down(new Error('late'));
    node.broker.host.up();
    node.listen('u');
    node.ports.endTick();
    assert.equal(node.backplane.publish('t', prepareMessage('late')), false);
    assert.deepEqual(node.errors, []);
    assert.equal(node.changes.length, changes);
    assert.equal(await node.backplane.subscribed('t'), false);
    assert.deepEqual(node.broker.log, ['subscribe t']);
    node.ports.endTick();
    assert.deepEqual(listener.got, ['late'], 'here it is delivered');
  });

  test('who waits for a topic is told that it does not come', async () => {
    const node = await startNode();
    node.broker.answers = false;
    node.listen('t');
    node.ports.endTick();
    const waiting = node.backplane.subscribed('t');
    await node.backplane.close();
    assert.equal(await waiting, false);
  });

  test('a broker that would not start is not closed: it may be that of another', async () => {
    const broker = new FakeBroker();
    await broker.start({ received() {}, up() {}, down() {}, gap() {} });
    const node = new BackplaneNode(broker);
    await assert.rejects(node.start());
    await node.backplane.close();
    assert.equal(broker.isClosed, false);
  });
});

test('options that are none are told', () => {
  const make = (broker: unknown, maxBytes?: number): void => {
    new Backplane(broker as Broker, new ManualPorts(), new TopicPolicies(), maxBytes);
  };
  const invalid = { code: 'INVALID_OPTION' };
  const { start, subscribe, publish } = new FakeBroker();
  for (const broker of [null, undefined, 'redis://', {}, { start, subscribe, publish }]) {
    assert.throws(() => make(broker), invalid);
  }
  for (const bytes of [0, -1, 1.5, Number.NaN, Infinity, '1' as unknown as number]) {
    assert.throws(() => make(new FakeBroker(), bytes), invalid, String(bytes));
  }
  make(new FakeBroker(), 1);
});
