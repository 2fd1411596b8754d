import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { prepareMessage } from '../../dist/index.js';
import { readHead, readMessages } from '../../dist/topics/envelope.js';
import { Publisher } from '../../dist/topics/publisher.js';
import { testPlatform } from '../protocol/test-platform.ts';
import { FakeBroker, type Publication } from './fake-broker.ts';
import { ManualPorts } from './manual-ports.ts';

const NODE = 7;

function setUp(maxBytes = 1024 * 1024) {
  const broker = new FakeBroker();
  const ports = new ManualPorts();
  const lost: { readonly messages: number; readonly error: unknown }[] = [];
  const publisher = new Publisher(broker, ports, NODE, maxBytes, (one) => void lost.push(one));
  publisher.isUp = true;
  return { broker, ports, publisher, lost };
}

/** What an envelope says, and how many messages it has. */
function said({ topic, bytes }: Publication) {
  const head = readHead(bytes);
  const messages = readMessages(bytes, testPlatform);
  assert.ok(head !== undefined && messages !== undefined);
  assert.equal(head.node, NODE);
  return [topic, head.sequence, head.previous, messages.length];
}

describe('what leaves', () => {
  test('messages of a tick to one topic are one envelope, each topic has its own', () => {
    const { broker, ports, publisher } = setUp();
    for (const topic of ['a', 'b', 'a'])
      assert.equal(publisher.publish(topic, prepareMessage('x')), true);
    assert.equal(broker.publications.length, 0);
    assert.equal(ports.tasks.length, 1);
    ports.endTick();
    publisher.publish('a', prepareMessage('x'));
    ports.endTick();
    assert.deepEqual(broker.publications.map(said), [
      ['a', 1, 0, 2],
      ['b', 2, 0, 1],
      ['a', 3, 1, 1],
    ]);
  });

  test('those not to be compressed are not mixed with others, and the order holds', () => {
    const { broker, ports, publisher } = setUp();
    const plain = { compress: false };
    for (const text of ['1', '2']) publisher.publish('t', prepareMessage(text));
    for (const text of ['3', '4']) publisher.publish('t', prepareMessage(text, plain));
    publisher.publish('t', prepareMessage('5'));
    ports.endTick();
    const all = broker.publications.flatMap(({ bytes }) => readMessages(bytes, testPlatform) ?? []);
    assert.deepEqual(
      all.map(({ frame, payloadStart, compress }) => [
        String.fromCharCode(...frame.subarray(payloadStart)),
        compress,
      ]),
      [
        ['1', true],
        ['2', true],
        ['3', false],
        ['4', false],
        ['5', true],
      ],
    );
  });

  test('a large batch leaves at once', () => {
    const { broker, publisher, ports } = setUp();
    for (let i = 0; i < 4; i++) publisher.publish('t', prepareMessage(new Uint8Array(20_000)));
    assert.deepEqual(broker.publications.map(said), [['t', 1, 0, 4]]);
    ports.endTick();
    assert.equal(broker.publications.length, 1);
  });

  test('the sequence says what came before, also behind what never left', () => {
    const { broker, ports, publisher } = setUp();
    publisher.publish('t', prepareMessage('1'));
    ports.endTick();
    publisher.isUp = false;
    assert.equal(publisher.publish('t', prepareMessage('2')), false);
    publisher.isUp = true;
    publisher.publish('t', prepareMessage('3'));
    ports.endTick();
    const [first, second] = broker.publications.map(said);
    assert.deepEqual(first, ['t', 1, 0, 1]);
    assert.notEqual(second?.[2], 1, 'it follows on what did not leave');
    assert.equal(publisher.unpublished, 1);
  });

  test('what waits for the end of a tick in which the engine goes keeps its place', () => {
    const { broker, ports, publisher } = setUp();
    publisher.publish('t', prepareMessage('1'));
    publisher.isUp = false;
    publisher.publish('t', prepareMessage('2'));
    ports.endTick();
    publisher.isUp = true;
    publisher.publish('t', prepareMessage('3'));
    ports.endTick();
    assert.deepEqual(broker.publications.map(said), [
      ['t', 1, 0, 1],
      ['t', 3, 2, 1],
    ]);
  });

  test('of more topics than it remembers it says that it does not know', () => {
    const { broker, ports, publisher } = setUp(64 * 1024 * 1024);
    broker.answers = true;
    const topics = 20_000;
    publisher.publish('used', prepareMessage(''));
    for (let i = 0; i < topics; i++) {
      publisher.publish(`t${i}`, prepareMessage(''));
      if (i % 100 === 0) {
        publisher.publish('used', prepareMessage(''));
        ports.endTick();
      }
    }
    ports.endTick();
    broker.publications.length = 0;
    for (const topic of ['t0', 'used', `t${topics - 1}`])
      publisher.publish(topic, prepareMessage(''));
    ports.endTick();
    const previous = broker.publications.map((one) => said(one)[2]);
    assert.equal(previous[0], 0);
    assert.ok(Number(previous[1]) > 0);
    assert.ok(Number(previous[2]) > 0);
  });
});

describe('an engine that takes nothing', () => {
  test('no more than the limit waits; what is refused is counted', async () => {
    const { broker, ports, publisher, lost } = setUp(100_000);
    let taken = 0;
    for (let i = 0; i < 100; i++) {
      if (publisher.publish('t', prepareMessage(new Uint8Array(10_000)))) taken++;
      ports.endTick();
    }
    assert.ok(taken >= 5 && taken < 10, `${taken}`);
    assert.equal(publisher.unpublished, 100 - taken);
    assert.deepEqual(lost, []);
    for (const { resolve } of broker.publications) resolve();
    await turn();
    assert.equal(publisher.publish('t', prepareMessage(new Uint8Array(10_000))), true);
  });

  test('small messages count with what an envelope costs beside them', () => {
    const { broker, ports, publisher } = setUp(1024 * 1024);
    let taken = 0;
    while (taken < 100_000 && publisher.publish(`topic ${taken}`, prepareMessage('x'))) {
      taken++;
      ports.endTick();
    }
    assert.equal(broker.publications.length, taken);
    // An envelope, its promise and its place in a client's queue are some hundred bytes.
    assert.ok(taken <= (1024 * 1024) / 100, `${taken} envelopes in a MiB`);
    assert.ok(taken > 500, `${taken}`);
  });

  test('one message larger than the limit is refused, and the next one is not', () => {
    const { publisher } = setUp(10_000);
    assert.equal(publisher.publish('t', prepareMessage(new Uint8Array(20_000))), false);
    assert.equal(publisher.publish('t', prepareMessage('x')), true);
  });

  test('what it fails to take is counted and told by message', async () => {
    const { broker, ports, publisher, lost } = setUp();
    for (let i = 0; i < 3; i++) publisher.publish('t', prepareMessage('x'));
    ports.endTick();
    const error = new Error('gone');
    broker.publications[0]?.reject(error);
    await turn();
    assert.equal(publisher.unpublished, 3);
    assert.deepEqual(lost, [{ messages: 3, error }]);
    assert.equal(publisher.publish('t', prepareMessage('x')), true);
  });

  test('room comes back whether it was taken or not', async () => {
    const { broker, ports, publisher } = setUp(50_000);
    for (let round = 0; round < 20; round++) {
      assert.equal(
        publisher.publish('t', prepareMessage(new Uint8Array(40_000))),
        true,
        `round ${round}`,
      );
      ports.endTick();
      const [publication] = broker.publications.splice(0);
      if (round % 2 === 0) publication?.resolve();
      else publication?.reject(new Error('gone'));
      await turn();
    }
  });
});

describe('drained', () => {
  async function isSettled(promise: Promise<void>): Promise<boolean> {
    await turn();
    return await Promise.race([promise.then(() => true), turn(false)]);
  }

  test('sends what waits, and waits until that is taken', async () => {
    const { broker, publisher, ports } = setUp();
    publisher.publish('t', prepareMessage('x'));
    const drained = publisher.drained(1_000);
    assert.equal(broker.publications.length, 1);
    assert.equal(await isSettled(drained), false);
    broker.publications[0]?.resolve();
    await drained;
    assert.equal(ports.timers.size, 0);
  });

  test('what fails is waited for no longer', async () => {
    const { broker, publisher } = setUp();
    publisher.publish('t', prepareMessage('x'));
    const drained = publisher.drained(1_000);
    broker.publications[0]?.reject(new Error('gone'));
    await drained;
  });

  test('not for ever, and not at all where nothing waits or the engine is away', async () => {
    const { publisher, ports } = setUp();
    await publisher.drained(1_000);
    publisher.publish('t', prepareMessage('x'));
    const drained = publisher.drained(1_000);
    ports.pass(999);
    assert.equal(await isSettled(drained), false);
    ports.pass(1);
    await drained;
    publisher.isUp = false;
    await publisher.drained(1_000);
  });
});
