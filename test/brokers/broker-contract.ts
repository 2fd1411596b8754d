import assert from 'node:assert/strict';
import { after, afterEach, before, suite, test } from 'node:test';
import type { Broker } from '../../dist/topics/broker.js';
import { RecordingHost } from './recording-host.ts';

/** What brokers under test carry topics over, begun for one suite. */
export interface BrokerEngine extends AsyncDisposable {
  /** The broker of another node, not started, with a client of its own. */
  node(): Promise<BrokerNode>;
  /** Only of engines that can be away. */
  readonly faults?: BrokerFaults;
}

interface BrokerNode {
  readonly broker: Broker;
  /** Whether the application's own client works. */
  clientWorks(): Promise<boolean>;
  /** Ends the client, as the application would after the broker. */
  end(): Promise<void>;
}

interface BrokerFaults {
  /** As a crash would. */
  kill(): Promise<void>;
  /** Resolves once it can be used. */
  restart(): Promise<void>;
  /** Cuts every connection there is; they can be made again at once. */
  cutConnections(): Promise<void>;
}

export interface BrokerContractOptions {
  /** Whether its engines have `faults`. */
  readonly hasFaults: boolean;
  readonly skip?: string | false;
}

const AWAY = { name: 'ApertoError', code: 'ENGINE_AWAY' };

/** Topics that an engine could mistake for something else, or for each other. */
const oddTopics: readonly string[] = [
  ...['a', 'A', 'aa', 'a.b', 'a:b', 'a/b', 'a b', ' a', 'a ', 'a\tb', 'a\nb', 'a\r\nb', 'a\0b'],
  ...['', ' ', '\0', '\r\n', '\u007f', '{', '}', '{}', '{a}', 'a{b}', '}a{', '{{a}}', '{}a', '%'],
  ...['%7B', '*', '>', 'a.*', 'a.>', 'a*', '?', 'a?', '[a]', '.', '..', 'a..b', '.a', 'a.', '$'],
  ...['$SYS', '$JS.API', '_INBOX', '_', '-', '=', '0', '\\', '\\*', '"', "'", 'ä', 'a\u0308'],
  ...['\u{1F4AC}', '\ufeff', '\ufeffa', '\u2028', '\uffff', '__proto__', 'constructor', 'aperto:'],
  ...['x'.repeat(255), 'x'.repeat(256), 'ä'.repeat(256), '\u{1F4AC}'.repeat(128)],
];

/** What every broker must do, whatever it carries topics over. */
export function brokerContract(
  name: string,
  start: () => Promise<BrokerEngine>,
  { hasFaults, skip = false }: BrokerContractOptions,
): void {
  suite(`broker: ${name}`, { skip, timeout: 120_000, concurrency: 1 }, () => {
    let engine: BrokerEngine;
    let used: BrokerNode[] = [];
    let topics = 0;
    // Of one slot, where slots matter: so what comes to one topic comes in order with what comes to another.
    const newTopic = (): string => `{contract} ${++topics}`;
    before(async () => {
      engine = await start();
    });
    after(async () => {
      await engine?.[Symbol.asyncDispose]();
    });
    afterEach(async () => {
      const nodes = used;
      used = [];
      await Promise.all(
        nodes.map(async (node) => {
          await node.broker.close();
          await node.end();
        }),
      );
    });

    async function newNode(): Promise<BrokerNode> {
      const node = await engine.node();
      used.push(node);
      return node;
    }

    async function startedNode(...subscribed: string[]): Promise<{
      broker: Broker;
      host: RecordingHost;
      node: BrokerNode;
    }> {
      const node = await newNode();
      const host = new RecordingHost();
      await node.broker.start(host);
      await host.told('up');
      if (subscribed.length > 0) await node.broker.subscribe(subscribed);
      return { broker: node.broker, host, node };
    }

    test('reaches every node that is subscribed, the publisher too, once and in order', async () => {
      const topic = newTopic();
      const nodes = [await startedNode(topic), await startedNode(topic), await startedNode(topic)];
      const other = await startedNode(newTopic());
      const count = 500;
      const sent: Promise<void>[] = [];
      for (let n = 0; n < count; n++) {
        for (const [index, { broker }] of nodes.entries()) {
          sent.push(broker.publish(topic, bytes(`${index} ${n}`)));
        }
      }
      await Promise.all(sent);
      for (const { host } of nodes) {
        const received = await host.texts(topic, 3 * count);
        for (const index of nodes.keys()) {
          const expected = Array.from({ length: count }, (_, n) => `${index} ${n}`);
          const mine = received.filter((text) => text.startsWith(`${index} `));
          assert.deepEqual(mine, expected);
        }
      }
      for (const { host, broker } of nodes) {
        await settled({ host, broker }, { broker });
        assert.equal(host.total, 3 * count);
      }
      assert.deepEqual(other.host.topics, []);
    });

    test('leaves bytes as they are', async () => {
      const topic = newTopic();
      const { broker, host } = await startedNode(topic);
      const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const large = new Uint8Array(1024 * 1024);
      for (let at = 0; at < large.length; at++) large[at] = (at * 31 + (at >> 8)) & 0xff;
      const backing = new Uint8Array([1, 2, 3, 4, 5]);
      const sent = [
        new Uint8Array(0),
        all,
        new Uint8Array([0]),
        bytes('\r\n+OK\r\n$-1\r\n'),
        backing.subarray(1, 4),
        large,
        new Uint8Array(0),
      ];
      await Promise.all(sent.map((each) => broker.publish(topic, each)));
      const received = await host.messages(topic, sent.length);
      for (const [index, message] of received.entries()) {
        assert.ok(message instanceof Uint8Array);
        assert.ok(
          Buffer.from(message).equals(sent[index] ?? new Uint8Array(1)),
          `message ${index}`,
        );
      }
    });

    test('leaves the bytes that it has handed out alone', async () => {
      const topic = newTopic();
      const { broker, host } = await startedNode(topic);
      await broker.publish(topic, bytes('first'));
      await host.texts(topic, 1);
      for (let n = 0; n < 200; n++) await broker.publish(topic, bytes(`then ${n}`.padEnd(1_000)));
      const [first] = await host.texts(topic, 201);
      assert.equal(first, 'first');
    });

    test('keeps topics apart, whatever they are called', async () => {
      const a = await startedNode(...oddTopics);
      const b = await startedNode();
      for (const [index, topic] of oddTopics.entries()) {
        await b.broker.publish(topic, bytes(String(index)));
      }
      for (const [index, topic] of oddTopics.entries()) {
        assert.deepEqual(await a.host.texts(topic, 1), [String(index)], JSON.stringify(topic));
      }
      assert.equal(new Set(a.host.topics).size, oddTopics.length);
      // One alone, out of all of them.
      const [left, ...rest] = oddTopics;
      await a.broker.unsubscribe(rest);
      for (const topic of oddTopics) await b.broker.publish(topic, bytes('again'));
      assert.deepEqual(await a.host.texts(left ?? '', 2), ['0', 'again']);
      await settled(a, b);
      assert.equal(a.host.total, oddTopics.length + 1);
    });

    test('has what is published between subscribing and unsubscribing, and nothing else', async () => {
      const [topic, quiet] = [newTopic(), newTopic()];
      const a = await startedNode(quiet);
      const b = await startedNode();
      await b.broker.publish(topic, bytes('before'));
      await a.broker.subscribe([topic]);
      await b.broker.publish(topic, bytes('between'));
      await a.host.texts(topic, 1);
      await a.broker.unsubscribe([topic]);
      const { total } = a.host;
      await b.broker.publish(topic, bytes('after'));
      await settled(a, b);
      await a.broker.subscribe([topic]);
      await b.broker.publish(topic, bytes('again'));
      assert.deepEqual(await a.host.texts(topic, 2), ['between', 'again']);
      assert.equal(total, 1);
    });

    test('subscribes once, however often it is asked', async () => {
      const [topic, other] = [newTopic(), newTopic()];
      const { broker, host } = await startedNode(topic);
      await broker.subscribe([topic]);
      await broker.subscribe([other, topic, other]);
      await broker.publish(topic, bytes('one'));
      await broker.publish(other, bytes('two'));
      assert.deepEqual(await host.texts(other, 1), ['two']);
      assert.deepEqual(await host.texts(topic, 1), ['one']);
      await broker.unsubscribe([topic, other, newTopic()]);
      await broker.unsubscribe([topic]);
      await broker.publish(topic, bytes('three'));
      await broker.subscribe([topic]);
      await broker.publish(topic, bytes('four'));
      assert.deepEqual(await host.texts(topic, 2), ['one', 'four']);
      await broker.subscribe([]);
      await broker.unsubscribe([]);
    });

    test('subscribes to thousands of topics', async () => {
      const many = Array.from({ length: 5_000 }, (_, index) => `many ${index}`);
      const a = await startedNode(...many);
      const b = await startedNode();
      await Promise.all(many.map((topic) => b.broker.publish(topic, bytes(topic))));
      for (const topic of many) assert.deepEqual(await a.host.texts(topic, 1), [topic]);
      await a.broker.unsubscribe(many);
      await b.broker.publish(many[0] ?? '', bytes('after'));
      await b.broker.publish(many.at(-1) ?? '', bytes('after'));
      await settled(a, b);
      assert.equal(a.host.total, many.length);
    });

    test('is for one server', async () => {
      const { broker, host } = await startedNode();
      await assert.rejects(broker.start(host), { name: 'ApertoError', code: 'INVALID_OPTION' });
    });

    test('tells nothing more once it is closed, and leaves the client to the application', async () => {
      const topic = newTopic();
      const a = await startedNode(topic);
      const b = await startedNode(topic);
      const pending = a.broker.publish(topic, bytes('on its way')).catch(() => {});
      await Promise.all([a.broker.close(), a.broker.close()]);
      const told = [...a.host.events];
      const { total } = a.host;
      await pending;
      await assert.rejects(a.broker.publish(topic, bytes('late')), AWAY);
      await assert.rejects(a.broker.subscribe([topic]), AWAY);
      await assert.rejects(a.broker.unsubscribe([topic]), AWAY);
      await b.broker.publish(topic, bytes('to the others'));
      await b.host.until(() => b.host.textsOf(topic).includes('to the others'));
      assert.ok(await a.node.clientWorks());
      assert.ok(!b.host.textsOf(topic).includes('late'));
      assert.deepEqual(a.host.events, told);
      assert.equal(a.host.total, total);
    });

    /** Everything that the second has published has come to the first, were it to come. */
    async function settled(
      to: { readonly broker: Broker; readonly host: RecordingHost },
      from: { readonly broker: Broker },
    ): Promise<void> {
      // One topic for each of many slots: behind all that is on its way on any connection.
      const marks = Array.from({ length: 64 }, (_, index) => `mark ${++topics} ${index}`);
      marks.push(newTopic());
      await to.broker.subscribe(marks);
      await Promise.all(marks.map((mark) => from.broker.publish(mark, bytes('mark'))));
      for (const mark of marks) await to.host.texts(mark, 1);
      await to.broker.unsubscribe(marks);
      to.host.forget(marks);
    }

    if (hasFaults) {
      faults(() => engine, { newNode, startedNode, newTopic });
    }
  });
}

interface Nodes {
  newNode(): Promise<BrokerNode>;
  startedNode(...subscribed: string[]): Promise<{ broker: Broker; host: RecordingHost }>;
  newTopic(): string;
}

function faults(engineOf: () => BrokerEngine, { newNode, startedNode, newTopic }: Nodes): void {
  const engine = (): BrokerFaults => {
    const found = engineOf().faults;
    assert.ok(found !== undefined, 'an engine with faults has them');
    return found;
  };

  test('does not publish before it has started', async () => {
    const { broker } = await newNode();
    await assert.rejects(broker.publish(newTopic(), bytes('early')), AWAY);
    await assert.rejects(broker.subscribe([newTopic()]), AWAY);
  });

  test('carries what is published as soon as it takes subscriptions', async () => {
    for (let round = 0; round < 5; round++) {
      const topic = newTopic();
      const { broker } = await newNode();
      const host = new RecordingHost();
      const starting = broker.start(host);
      for (;;) {
        try {
          await broker.subscribe([topic]);
          break;
        } catch {
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      await broker.publish(topic, bytes('early'));
      assert.deepEqual(await host.texts(topic, 1), ['early']);
      await starting;
    }
  });

  test('says that the engine is away, and that it is back', async () => {
    const topic = newTopic();
    const nodes = [await startedNode(topic), await startedNode(topic)];
    await engine().kill();
    try {
      for (const { broker, host } of nodes) {
        const error = await host.told('down');
        assert.ok(error instanceof Error && error.message !== '', String(error));
        await assert.rejects(broker.publish(topic, bytes('away')), AWAY);
        await assert.rejects(broker.subscribe([newTopic()]), AWAY);
        await assert.rejects(broker.unsubscribe([topic]), AWAY);
      }
    } finally {
      await engine().restart();
    }
    await again(nodes, topic);
  });

  test('settles everything that was on its way when the engine went', async () => {
    const topic = newTopic();
    const a = await startedNode(topic);
    const sent: Promise<boolean>[] = [];
    for (let n = 0; n < 2_000; n++) {
      sent.push(
        a.broker.publish(topic, new Uint8Array(1_000)).then(
          () => true,
          (error: unknown) => {
            assert.equal(Reflect.get(Object(error), 'code'), 'ENGINE_AWAY');
            return false;
          },
        ),
      );
    }
    const subscribing = a.broker.subscribe([newTopic()]).catch(() => {});
    await engine().kill();
    try {
      await Promise.all([...sent, subscribing]);
      await a.host.told('down');
    } finally {
      await engine().restart();
    }
    await again([a], topic);
  });

  test('connects again where its connections are cut', async () => {
    const topic = newTopic();
    const nodes = [await startedNode(topic), await startedNode(topic)];
    await engine().cutConnections();
    for (const { host } of nodes) await host.told('down');
    await again(nodes, topic);
  });

  test('goes away again and again', async () => {
    const topic = newTopic();
    const nodes = [await startedNode(topic)];
    for (let round = 0; round < 5; round++) {
      await engine().cutConnections();
      for (const { host } of nodes) await host.told('down');
      await again(nodes, topic);
    }
  });

  test('waits for an engine that is away when it starts', async () => {
    const topic = newTopic();
    await engine().kill();
    const node = await newNode();
    const host = new RecordingHost();
    try {
      await node.broker.start(host);
      await host.told('down');
      await assert.rejects(node.broker.publish(topic, bytes('early')), AWAY);
    } finally {
      await engine().restart();
    }
    await again([{ broker: node.broker, host }], topic);
  });

  test('can be closed while the engine is away', async () => {
    const a = await startedNode(newTopic());
    const late = await newNode();
    const lateHost = new RecordingHost();
    await engine().kill();
    try {
      await a.host.told('down');
      await a.broker.close();
      const starting = late.broker.start(lateHost).catch(() => {});
      await late.broker.close();
      await starting;
    } finally {
      await engine().restart();
    }
    const told = [...a.host.events];
    const b = await startedNode(newTopic());
    await again([b], newTopic());
    assert.deepEqual(a.host.events, told);
    assert.ok(!lateHost.events.includes('up'));
  });
}

/** They are told of the engine, subscribe anew, and have each message once. */
async function again(
  nodes: readonly { readonly broker: Broker; readonly host: RecordingHost }[],
  topic: string,
): Promise<void> {
  for (const { broker, host } of nodes) {
    // It may come and go until all of it is there.
    await host.until(async () => {
      if (host.events.at(-1) !== 'up') return false;
      try {
        await broker.subscribe([topic]);
        return true;
      } catch {
        return false;
      }
    });
    host.forget([topic]);
  }
  const sent: string[] = [];
  for (const [index, { broker }] of nodes.entries()) {
    for (let n = 0; n < 20; n++) {
      const text = `${index} ${n} again`;
      sent.push(text);
      await broker.publish(topic, bytes(text));
    }
  }
  for (const { host } of nodes) {
    assert.deepEqual(await host.texts(topic, sent.length), sent);
    host.seen();
  }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
