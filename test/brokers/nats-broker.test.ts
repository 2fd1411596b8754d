import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { natsBroker } from '../../dist/brokers/nats.js';
import type { Broker, BrokerHost } from '../../dist/topics/broker.js';
import { brokerContract } from './broker-contract.ts';
import { insideOf, NatsEngine, skipWithoutNats, until } from './engines/nats-engine.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Writes down what a broker tells. */
class Log implements BrokerHost {
  readonly messages: string[] = [];
  /** up, down and gaps, in their order. */
  readonly events: string[] = [];
  received(topic: string, data: Uint8Array): void {
    this.messages.push(`${topic}: ${new TextDecoder().decode(data)}`);
  }
  up(): void {
    this.events.push('up');
  }
  down(error: unknown): void {
    this.events.push(`down ${error instanceof Error ? error.message : error}`);
  }
  gap(topics?: readonly string[]): void {
    this.events.push(`gap ${topics?.join() ?? 'all'}`);
  }
  get last(): string | undefined {
    return this.events.at(-1);
  }
}

interface Node {
  readonly broker: Broker;
  readonly log: Log;
  readonly connection: NatsConnection;
}

async function node(
  context: TestContext,
  engine: NatsEngine,
  options?: NodeConnectionOptions,
): Promise<Node> {
  const connection = await engine.connect(options);
  const broker = natsBroker({ connection });
  const log = new Log();
  context.after(() => broker.close());
  await broker.start(log);
  return { broker, log, connection };
}

async function begin(context: TestContext, ...settings: string[]): Promise<NatsEngine> {
  const engine = await NatsEngine.start({ jetStream: false, settings });
  context.after(() => engine[Symbol.asyncDispose]());
  return engine;
}

const away = { name: 'ApertoError', code: 'ENGINE_AWAY' };

brokerContract(
  'NATS',
  async () => {
    const engine = await NatsEngine.start({ jetStream: false });
    // Connections are made while it is there, for a node that begins while it is away.
    const spare: NatsConnection[] = [];
    return {
      async node() {
        const connection = spare.pop() ?? (await engine.connect());
        return {
          broker: natsBroker({ connection }),
          clientWorks: async () => (await connection.rtt()) >= 0,
          end: () => connection.close(),
        };
      },
      faults: {
        async kill() {
          spare.push(await engine.connect());
          await engine.kill();
        },
        async restart() {
          spare.length = 0;
          await engine.restart();
        },
        cutConnections: () => engine.cutConnections(),
      },
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  },
  { hasFaults: true, skip: skipWithoutNats },
);

suite('broker over NATS', { skip: skipWithoutNats, timeout: 60_000 }, () => {
  test('says what a connection lacks, and what a prefix is', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const wrongs: unknown[] = [undefined, null, {}, 'nats://127.0.0.1', { publish: Math.abs }];
    for (const wrong of wrongs) {
      assert.throws(() => natsBroker({ connection: wrong as typeof connection }), {
        code: 'INVALID_OPTION',
        message: /connect\(\) of @nats-io\/transport-node resolves to; it has no \w+\(\)/,
      });
    }
    for (const prefix of ['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', '>', 'ä', 'x'.repeat(65)]) {
      assert.throws(() => natsBroker({ connection, prefix }), { code: 'INVALID_OPTION' });
    }
    assert.throws(() => natsBroker({ connection, timeoutMs: 0 }), { code: 'INVALID_OPTION' });
  });

  test('is one subject a topic, below its prefix', async (context) => {
    const engine = await begin(context);
    const spy = await engine.connect();
    const subjects: string[] = [];
    spy.subscribe('>', { callback: (_error, message) => void subjects.push(message.subject) });
    await spy.flush();
    const { broker } = await node(context, engine);
    const topics = ['room:1', 'a.b', '*', '>', ' ', '%', '%2E', '\r\n', 'ä', 'x'.repeat(256)];
    for (const topic of topics) await broker.publish(topic, bytes('x'));
    const long = ['x'.repeat(257), 'ä'.repeat(200)];
    for (const topic of long) await broker.publish(topic, bytes('x'));
    const other = natsBroker({ connection: await engine.connect(), prefix: 'my.app' });
    context.after(() => other.close());
    await other.start(new Log());
    await other.publish('room', bytes('x'));
    await spy.flush();
    assert.deepEqual(
      subjects.filter((subject) => !subject.includes('%~')),
      [
        ...['room:1', 'a%2Eb', '%2A', '%3E', '%20', '%25', '%252E', '%0D%0A', '%C3%A4'],
        'x'.repeat(256),
      ]
        .map((token) => `aperto.t.${token}`)
        .concat('my.app.t.room'),
    );
    const hashed = subjects.filter((subject) => subject.includes('%~'));
    assert.equal(new Set(hashed).size, 2);
    for (const subject of hashed) assert.match(subject, /^aperto\.t\.%~[\w-]{43}$/);
  });

  test('has each topic once, however often it is subscribed', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(context, engine), await node(context, engine)];
    await Promise.all([a.broker.subscribe(['t', 'u']), a.broker.subscribe(['t', 't'])]);
    await a.broker.subscribe(['t']);
    await b.broker.publish('t', bytes('1'));
    await b.broker.unsubscribe(['u']);
    await a.broker.unsubscribe(['t', 'never']);
    await b.broker.publish('t', bytes('2'));
    await b.broker.publish('u', bytes('3'));
    await a.connection.flush();
    assert.deepEqual(a.log.messages, ['t: 1', 'u: 3']);
  });

  test('asks the server once for many messages', async (context) => {
    const engine = await begin(context);
    const { broker, connection } = await node(context, engine);
    let flushes = 0;
    const flush = connection.flush;
    context.mock.method(connection, 'flush', () => {
      flushes += 1;
      return flush.call(connection);
    });
    const publishing = Array.from({ length: 1_000 }, (_, i) => broker.publish('t', bytes(`${i}`)));
    await Promise.all(publishing);
    assert.equal(flushes, 1);
    // What is published while the server is asked is asked for next, all at once.
    const first = broker.publish('t', bytes('first'));
    await Promise.resolve();
    const rest = Array.from({ length: 100 }, () => broker.publish('t', bytes('rest')));
    await Promise.all([first, ...rest]);
    assert.equal(flushes, 3);
    assert.equal(connection.stats().outMsgs, 1_101);
  });

  test('refuses what is over max_payload, and stays', async (context) => {
    const engine = await begin(context, 'max_payload: 1000');
    const { broker, log } = await node(context, engine);
    await broker.subscribe(['t']);
    await assert.rejects(broker.publish('t', new Uint8Array(1001)), {
      code: 'MESSAGE_TOO_BIG',
      message: /1001 bytes; the server's max_payload is 1000/,
    });
    await broker.publish('t', new Uint8Array(1000).fill(0x61));
    assert.deepEqual(log.messages, [`t: ${'a'.repeat(1000)}`]);
    assert.deepEqual(log.events, ['up']);
  });

  test('rejects what the server does not permit, and nothing else', async (context) => {
    const engine = await begin(
      context,
      'accounts { A { users: [{ user: a, password: a, permissions: {',
      '  publish: { deny: ["aperto.t.secret", "elsewhere"] }, subscribe: { deny: "aperto.t.secret" }',
      '} }] } }',
    );
    const { broker, log, connection } = await node(context, engine, { user: 'a', pass: 'a' });
    const denied = { ...away, message: /Permissions Violation/ };
    await assert.rejects(broker.publish('secret', bytes('x')), denied);
    await assert.rejects(broker.subscribe(['open', 'secret']), denied);
    await broker.subscribe(['open']);
    // What the application may not publish by itself is not ours.
    connection.publish('elsewhere', 'x');
    await broker.publish('open', bytes('x'));
    assert.deepEqual(log.messages, ['open: x']);
    assert.equal(log.events.filter((event) => event.startsWith('down')).length, 0);
  });

  test('is down while the server is, and takes nothing', async (context) => {
    const engine = await begin(context);
    const { broker, log, connection } = await node(context, engine);
    await broker.subscribe(['t', 'unwanted later']);
    assert.deepEqual(log.events, ['up']);
    await engine.pause();
    const inFlight = [broker.publish('t', bytes('lost')), broker.subscribe(['u'])];
    // Also what waits behind those.
    await Promise.resolve();
    inFlight.push(broker.publish('t', bytes('lost too')));
    const rejected = Promise.all(inFlight.map((promise) => assert.rejects(promise, away)));
    await engine.kill();
    await rejected;
    await until('down', () => log.events.length === 2);
    assert.match(log.last ?? '', /^down .*127\.0\.0\.1:\d+ is disconnected$/);
    const before = connection.stats().outMsgs;
    for (let i = 0; i < 100; i++) await assert.rejects(broker.publish('t', bytes('no')), away);
    await assert.rejects(broker.subscribe(['v']), away);
    await assert.rejects(broker.unsubscribe(['v']), away);
    assert.equal(connection.stats().outMsgs, before);

    await engine.restart();
    await until('up', () => log.last === 'up');
    const other = await node(context, engine);
    // Nothing is subscribed that was not asked for again.
    for (const topic of ['t', 'u', 'v', 'unwanted later']) {
      await other.broker.publish(topic, bytes('not heard'));
    }
    await connection.flush();
    assert.deepEqual(log.messages, []);
    await broker.subscribe(['t', 'u']);
    for (const topic of ['t', 'u', 'v', 'unwanted later']) {
      await other.broker.publish(topic, bytes('heard'));
    }
    await connection.flush();
    assert.deepEqual(log.messages, ['t: heard', 'u: heard']);
    assert.equal(log.events.length, 3);
  });

  test('waits for a server that is away when it starts', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    await engine.kill();
    await until('away', () =>
      connection.rtt().then(
        () => false,
        () => true,
      ),
    );
    const broker = natsBroker({ connection });
    context.after(() => broker.close());
    const log = new Log();
    await broker.start(log);
    assert.match(log.events.join(), /^down /);
    await assert.rejects(broker.start(log), { code: 'INVALID_OPTION' });
    await engine.restart();
    await until('up', () => log.last === 'up');
    await broker.subscribe(['t']);
    await broker.publish('t', bytes('x'));
    assert.deepEqual(log.messages, ['t: x']);
  });

  test('does not wait for ever for the first answer', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const broker = natsBroker({ connection });
    context.after(() => broker.close());
    await engine.pause();
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const log = new Log();
    const starting = broker.start(log);
    context.mock.timers.tick(10_000);
    await starting;
    context.mock.timers.reset();
    assert.match(log.events.join(), /^down .*does not answer$/);
    await assert.rejects(broker.publish('t', bytes('x')), away);
    engine.resume();
    await until('up', () => log.last === 'up');
    await broker.publish('t', bytes('x'));
  });

  test('is down while the server is silent, long before the client would notice', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const broker = natsBroker({ connection, timeoutMs: 400 });
    context.after(() => broker.close());
    const log = new Log();
    await broker.start(log);
    await broker.subscribe(['t']);
    await engine.pause();
    const lost = assert.rejects(broker.publish('t', bytes('may arrive')), away);
    await until('down', () => log.last?.endsWith('does not answer') === true);
    await lost;
    await assert.rejects(broker.publish('t', bytes('no')), away);
    engine.resume();
    await until('up', () => log.last === 'up');
    const before = log.messages.length;
    await broker.subscribe(['t']);
    await broker.publish('t', bytes('once'));
    assert.deepEqual(log.messages.slice(before), ['t: once']);
    // It was the same connection all the time.
    assert.equal(connection.isClosed(), false);
    assert.equal(log.events.filter((event) => event.includes('disconnected')).length, 0);
  });

  test('does not take its own pauses for those of the server', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const broker = natsBroker({ connection, timeoutMs: 800 });
    context.after(() => broker.close());
    const log = new Log();
    await broker.start(log);
    const { rtt } = connection;
    let isHeldUp = false;
    context.mock.method(connection, 'rtt', () => {
      const asked = rtt.call(connection);
      // Once the server is asked, nothing runs here for a while.
      if (!isHeldUp) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_000);
      isHeldUp = true;
      return asked;
    });
    await until('held up', () => isHeldUp);
    await broker.publish('t', bytes('x'));
    assert.deepEqual(log.events, ['up']);
  });

  test('tells down and up when the connection is cut', async (context) => {
    const engine = await begin(context);
    const { broker, log } = await node(context, engine);
    for (let i = 1; i <= 3; i++) {
      await broker.subscribe(['t']);
      await engine.cutConnections();
      await until('up again', () => log.events.length === 2 * i + 1);
    }
    assert.equal(log.events.filter((event) => event === 'up').length, 4);
    await broker.subscribe(['t']);
    await broker.publish('t', bytes('once'));
    assert.deepEqual(log.messages, ['t: once']);
  });

  test('is down where the server does not answer', async (context) => {
    const engine = await begin(context);
    const { broker, log } = await node(context, engine, { pingInterval: 100, maxPingOut: 2 });
    await engine.pause();
    const lost = assert.rejects(broker.publish('t', bytes('x')), away);
    await until('down', () => log.last?.startsWith('down') === true);
    await lost;
    engine.resume();
    await until('up', () => log.last === 'up');
    await broker.publish('t', bytes('x'));
  });

  test('is away and back where the server drops it as too slow', async (context) => {
    const engine = await begin(context, 'max_pending: 1100000', 'write_deadline: "1s"');
    const slow = await node(context, engine);
    const fast = await node(context, engine);
    await slow.broker.subscribe(['t']);
    // More than the buffers of the kernel and of the server, while this process reads nothing.
    const block = new Uint8Array(512 * 1024);
    const { socket } = insideOf(slow.connection).transport;
    assert.ok(socket !== undefined);
    socket.pause();
    for (let i = 0; i < 64; i++) await fast.broker.publish('t', block);
    socket.resume();
    await until('dropped and up again', () => slow.log.events.length >= 3);
    assert.match(slow.log.events[1] ?? '', /^down /);
    assert.equal(slow.log.events[2], 'up');
    assert.ok(slow.log.messages.length < 64);
    assert.deepEqual(fast.log.events, ['up']);
    await slow.broker.subscribe(['t']);
    const before = slow.log.messages.length;
    await fast.broker.publish('t', bytes('x'));
    await until('heard', () => slow.log.messages.length > before);
  });

  test('is down for good once the connection is closed', async (context) => {
    const engine = await begin(context);
    const { broker, log, connection } = await node(context, engine);
    const lost = assert.rejects(broker.publish('t', bytes('x')), away);
    await connection.close();
    await lost;
    await until('down', () => log.events.length === 2);
    assert.match(log.last ?? '', /^down .*closed for good$/);
    for (const doing of [broker.subscribe(['t']), broker.publish('t', bytes('x'))]) {
      await assert.rejects(doing, away);
    }
    const late = natsBroker({ connection });
    const lateLog = new Log();
    await late.start(lateLog);
    assert.match(lateLog.events.join(), /^down .*closed for good$/);
    await assert.rejects(late.publish('t', bytes('x')), away);
    await late.close();
  });

  test('leaves the connection as it was', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const own: string[] = [];
    connection.subscribe('own', { callback: (_error, message) => void own.push(message.string()) });
    const broker = natsBroker({ connection });
    const log = new Log();
    await broker.start(log);
    await broker.subscribe(['t', 'u']);
    const publishing = broker.publish('t', bytes('x'));
    const lost = assert.rejects(publishing, { ...away, message: /the broker is closed/ });
    await broker.close();
    await broker.close();
    await lost;
    for (const doing of [broker.subscribe(['t']), broker.publish('t', bytes('x'))]) {
      await assert.rejects(doing, away);
    }
    const { listeners, subscriptions } = insideOf(connection);
    assert.deepEqual([listeners.length, subscriptions.size()], [0, 1]);
    connection.publish('own', 'still there');
    connection.publish('aperto.t.t', 'x');
    await connection.flush();
    assert.deepEqual(own, ['still there']);
    const before = log.events.length;
    await connection.reconnect();
    await until('connected', () =>
      connection.rtt().then(
        () => true,
        () => false,
      ),
    );
    assert.equal(log.events.length, before);
  });
});
