import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node';
import { type NatsPresenceOptions, natsPresence } from '../../dist/brokers/nats.js';
import type { Presence } from '../../dist/topics/presence.js';
import { insideOf, NatsEngine, skipWithoutNats, until } from './engines/nats-engine.ts';
import { eventually, presenceContract } from './presence-contract.ts';

presenceContract(
  'JetStream',
  async () => {
    const engine = await NatsEngine.start();
    return {
      async node(options) {
        const connection = await engine.connect();
        const presence = natsPresence({ connection, ...options });
        return { presence, crash: () => connection.close() };
      },
      away: () => engine.kill(),
      async back() {
        await engine.deleteStore();
        await engine.restart();
      },
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  },
  { skip: skipWithoutNats },
);

async function begin(context: TestContext): Promise<NatsEngine> {
  const engine = await NatsEngine.start();
  context.after(() => engine[Symbol.asyncDispose]());
  return engine;
}

interface Node {
  readonly presence: Presence;
  readonly connection: NatsConnection;
  /** What `onGone` was told. */
  readonly gone: string[];
}

async function node(
  context: TestContext,
  engine: NatsEngine,
  options: Omit<NatsPresenceOptions, 'connection' | 'onGone'> = {},
  connectionOptions: NodeConnectionOptions = {},
): Promise<Node> {
  const connection = await engine.connect(connectionOptions);
  const gone: string[] = [];
  const onGone = (topic: string, members: readonly string[]): void => {
    gone.push(...members.map((member) => `${topic}: ${member}`));
  };
  const presence = natsPresence({ connection, onGone, ...options });
  context.after(() => presence.close());
  return { presence, connection, gone };
}

/** How many messages the stream has, and the last sequence that it has given. */
async function streamOf(engine: NatsEngine): Promise<{ messages: number; last: number }> {
  const connection = await engine.connect();
  const info = await connection.request('$JS.API.STREAM.INFO.aperto-presence');
  await connection.close();
  const { state } = info.json<{ state: { messages: number; last_seq: number } }>();
  return { messages: state.messages, last: state.last_seq };
}

suite('presence in JetStream', { skip: skipWithoutNats, timeout: 60_000 }, () => {
  test('leaves nothing behind, of nodes that close and of nodes that crash', async (context) => {
    const engine = await begin(context);
    const [crashing, living, closing] = [
      await node(context, engine, { ttlMs: 600 }),
      await node(context, engine, { ttlMs: 1_500 }),
      await node(context, engine),
    ];
    for (const { presence } of [crashing, closing]) {
      for (const topic of ['t', 'of nobody else']) await presence.enter(topic, 'x');
    }
    await crashing.presence.enter('t', 'y');
    await living.presence.enter('t', 'z');
    await closing.presence.close();
    await crashing.connection.close();
    await eventually(async () => assert.deepEqual(await living.presence.members('t'), ['z']));
    // The lease of the node that lives, and its member.
    await eventually(async () => assert.equal((await streamOf(engine)).messages, 2));
    assert.deepEqual(living.gone.sort(), ['t: x', 't: y']);
    await living.presence.close();
    assert.equal((await streamOf(engine)).messages, 0);
    const { listeners, subscriptions } = insideOf(living.connection);
    // The client's own, for the answers to requests.
    assert.deepEqual([listeners.length, subscriptions.size()], [0, 1]);
  });

  test('comes back with its members where it was taken for gone', async (context) => {
    const engine = await begin(context);
    // The client waits until so long after its last attempt.
    const begun = Date.now();
    let isCut = false;
    const reconnectDelayHandler = (): number => (isCut ? Date.now() - begun + 50 : 0);
    const silent = await node(context, engine, { ttlMs: 1_000 }, { reconnectDelayHandler });
    const other = await node(context, engine, { ttlMs: 1_000 });
    for (const member of ['a', 'b', 'both']) await silent.presence.enter('t', member);
    for (const member of ['c', 'both']) await other.presence.enter('t', member);
    isCut = true;
    insideOf(silent.connection).transport.socket?.resetAndDestroy();
    await until('gone', () => other.gone.length === 2);
    assert.deepEqual(await other.presence.members('t'), ['both', 'c']);
    const left = silent.presence.leave('t', 'b');
    await assert.rejects(left, { code: 'ENGINE_AWAY' });
    isCut = false;
    await eventually(async () => {
      assert.deepEqual(await other.presence.members('t'), ['both', 'c', 'a']);
    });
    assert.deepEqual(other.gone.sort(), ['t: a', 't: b']);
    assert.deepEqual(await silent.presence.members('t'), ['both', 'c', 'a']);
    assert.equal(await other.presence.leave('t', 'both'), false);
    assert.equal(await silent.presence.leave('t', 'both'), true);
    assert.deepEqual(silent.gone, []);
  });

  test('takes nobody for gone because the server was away', async (context) => {
    const engine = await begin(context);
    const nodes = [
      await node(context, engine, { ttlMs: 2_000 }),
      await node(context, engine, { ttlMs: 2_000 }),
    ];
    for (const [i, { presence }] of nodes.entries()) await presence.enter('t', `${i}`);
    await engine.kill();
    // Longer than the leases last.
    const killed = performance.now();
    await until('over', () => performance.now() - killed > 2_100);
    await engine.restart();
    const { last } = await streamOf(engine);
    // Several beats of both.
    await eventually(async () => assert.ok((await streamOf(engine)).last >= last + 6));
    for (const { presence, gone } of nodes) {
      assert.deepEqual(await presence.members('t'), ['0', '1']);
      assert.deepEqual(gone, []);
    }
  });

  test('mends a store that was rolled back', async (context) => {
    const engine = await begin(context);
    const { presence } = await node(context, engine);
    for (const member of ['stays', 'leaves']) await presence.enter('t', member);
    await engine.kill();
    await engine.backUp();
    await engine.restart();
    await eventually(() => presence.members('t'));
    await presence.leave('t', 'leaves');
    await presence.enter('t', 'comes');
    // A sign of life, of which the copy knows nothing.
    const { last } = await streamOf(engine);
    await engine.cutConnections();
    await eventually(async () => assert.ok((await streamOf(engine)).last > last));
    await engine.kill();
    await engine.rollBack();
    await engine.restart();
    await eventually(async () => {
      assert.deepEqual(await presence.members('t'), ['stays', 'comes']);
    });
    assert.equal(await presence.leave('t', 'comes'), true);
  });

  test('asks for little after a long time without the server', async (context) => {
    const engine = await begin(context);
    const { presence, connection } = await node(context, engine);
    await presence.enter('t', 'stays');
    await engine.kill();
    await eventually(async () => {
      await assert.rejects(presence.members('t'), { code: 'ENGINE_AWAY' });
      await assert.rejects(connection.rtt());
    });
    for (let i = 0; i < 2_000; i++) {
      await assert.rejects(presence.enter('t', `${i}`), { code: 'ENGINE_AWAY' });
      await assert.rejects(presence.leave('t', `${i}`), { code: 'ENGINE_AWAY' });
    }
    await assert.rejects(presence.enter('t', 'comes'), { code: 'ENGINE_AWAY' });
    const before = connection.stats().outMsgs;
    await engine.restart();
    await eventually(async () => {
      assert.deepEqual(await presence.members('t'), ['stays', 'comes']);
    });
    assert.ok(connection.stats().outMsgs - before < 1_000, 'not for everyone who came and went');
  });

  test('has thousands of members', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(context, engine), await node(context, engine)];
    const members = Array.from({ length: 2_000 }, (_, i) => `member ${i}`);
    const isNew = await Promise.all(members.map((member) => a.presence.enter('t', member)));
    assert.ok(isNew.every((answer) => answer));
    assert.deepEqual(await b.presence.members('t'), members);
    await a.presence.close();
    assert.deepEqual(await b.presence.members('t'), []);
    assert.equal((await streamOf(engine)).messages, 0);
  });

  test('says what is wrong with its options or its server', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const wrong = { code: 'INVALID_OPTION' };
    const wrongs = [{ ttlMs: 0 }, { ttlMs: 1.5 }, { replicas: 0 }, { prefix: '' }, { onGone: 1 }];
    for (const options of wrongs as Partial<NatsPresenceOptions>[]) {
      assert.throws(() => natsPresence({ connection, ...options }), wrong, JSON.stringify(options));
    }
    assert.throws(() => natsPresence({ connection: {} as typeof connection }), wrong);
    const without = await NatsEngine.start({ jetStream: false });
    context.after(() => without[Symbol.asyncDispose]());
    const { presence } = await node(context, without);
    const notEnabled = { ...wrong, message: /JetStream is not enabled/ };
    await assert.rejects(presence.enter('t', 'x'), notEnabled);
    await assert.rejects(presence.members('t'), notEnabled);
    await assert.rejects(presence.leave('t', 'x'), notEnabled);
  });
});
