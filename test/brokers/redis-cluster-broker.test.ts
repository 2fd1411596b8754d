import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { keySlot } from '../../dist/brokers/redis/key-slot.js';
import { redisBroker } from '../../dist/brokers/redis.js';
import type { Broker } from '../../dist/topics/broker.js';
import { brokerContract, bytes } from './broker-contract.ts';
import { redisBrokerEngine } from './engines/redis-broker-engine.ts';
import { type ClientKind, redisClients } from './engines/redis-clients.ts';
import { RedisEngine, skipWithoutRedis } from './engines/redis-engine.ts';
import { RecordingHost } from './recording-host.ts';

interface Node {
  readonly broker: Broker;
  readonly host: RecordingHost;
}

async function node(context: TestContext, kind: ClientKind, engine: RedisEngine): Promise<Node> {
  const { client, end } = kind.make(engine);
  const broker = redisBroker({ client });
  context.after(async () => {
    await broker.close();
    await end();
  });
  const host = new RecordingHost();
  await broker.start(host);
  await host.told('up');
  return { broker, host };
}

/** So many topics of a server's slots. */
function topicsOf(engine: RedisEngine, server: number, count: number): string[] {
  const topics: string[] = [];
  for (let n = 0; topics.length < count; n++) {
    const topic = `topic ${n}`;
    if (engine.serverOf(keySlot(`aperto:${topic}`)) === engine.servers[server]) topics.push(topic);
  }
  return topics;
}

// Most of the time is spent waiting for clusters to be whole.
suite('broker over a Redis Cluster', { skip: skipWithoutRedis, concurrency: 4 }, () => {
  for (const kind of redisClients) {
    const { name } = kind;
    brokerContract(`Redis Cluster, ${name}`, () => redisBrokerEngine(kind, { cluster: true }), {
      hasFaults: true,
    });
    const classic = { cluster: true, sharded: false };
    brokerContract(
      `Redis Cluster, classic pub/sub, ${name}`,
      () => redisBrokerEngine(kind, classic),
      { hasFaults: false },
    );
  }

  test('has each channel at the node of its slot', async (context) => {
    const engine = await RedisEngine.start({ cluster: true });
    context.after(() => engine.end());
    const names = [
      '',
      'a',
      '{',
      '{}',
      '{}a',
      '{a}',
      'x{a}y',
      '}{a}',
      '{{a}}',
      'a{b}{c}',
      '{a',
      'ä',
    ];
    for (const name of [...names, '\u{1F4AC}', '123456789', 'x'.repeat(300)]) {
      const slot = await engine.server.command('CLUSTER', 'KEYSLOT', name);
      assert.equal(keySlot(name), slot, JSON.stringify(name));
    }
    const [kind] = redisClients;
    assert.ok(kind !== undefined);
    const { broker } = await node(context, kind, engine);
    for (const [index, server] of engine.servers.entries()) {
      const topics = topicsOf(engine, index, 5);
      await broker.subscribe(topics);
      const channels = await server.command('PUBSUB', 'SHARDCHANNELS');
      assert.ok(Array.isArray(channels));
      assert.deepEqual(channels.sort(), topics.map((topic) => `aperto:${topic}`).sort());
    }
  });

  for (const kind of redisClients) {
    test(`is away while one of the nodes is: ${kind.name}`, async (context) => {
      const engine = await RedisEngine.start({ cluster: true });
      context.after(() => engine.end());
      const [a, b] = [await node(context, kind, engine), await node(context, kind, engine)];
      const topics = engine.servers.flatMap((_, index) => topicsOf(engine, index, 3));
      await a.broker.subscribe(topics);
      const [lost] = topicsOf(engine, 1, 1);
      assert.ok(lost !== undefined);
      await engine.servers[1]?.kill();
      for (const { host } of [a, b]) await host.told('down');
      await assert.rejects(b.broker.publish(lost, bytes('away')), { code: 'ENGINE_AWAY' });
      await assert.rejects(a.broker.subscribe([lost]), { code: 'ENGINE_AWAY' });
      await engine.restart();
      for (const { broker, host } of [a, b]) {
        await host.until(async () => {
          if (host.events.at(-1) !== 'up') return false;
          await broker.subscribe(topics).catch(() => host.events.push('down'));
          return host.events.at(-1) === 'up';
        }, 'up');
      }
      a.host.forget(topics);
      for (const topic of topics) await b.broker.publish(topic, bytes('again'));
      for (const topic of topics) assert.deepEqual(await a.host.texts(topic, 1), ['again']);
    });

    test(`follows slots from node to node: ${kind.name}`, async (context) => {
      const engine = await RedisEngine.start({ cluster: true });
      context.after(() => engine.end());
      const [a, b] = [await node(context, kind, engine), await node(context, kind, engine)];
      const staying = engine.servers.flatMap((_, index) => topicsOf(engine, index, 2).slice(1));
      const [moving] = topicsOf(engine, 0, 1);
      assert.ok(moving !== undefined);
      for (const { broker } of [a, b]) await broker.subscribe([moving, ...staying]);
      // To another one and back, and to where it is, which makes the node drop its subscribers all the same.
      for (const [round, to] of [1, 1, 0, 2].entries()) {
        await engine.moveSlot(keySlot(`aperto:${moving}`), to);
        // The publisher finds out by being sent away, if it has not yet.
        await b.broker.publish(moving, bytes(`published ${round}`));
        for (const { host } of [a, b]) {
          await host.told('gap');
          assert.deepEqual(host.gaps.at(-1), [moving]);
        }
        await b.broker.publish(moving, bytes('mark'));
        for (const { host } of [a, b]) {
          await host.until(() => host.textsOf(moving).includes('mark'));
          host.forget([moving, ...staying]);
        }
        for (const topic of [moving, ...staying]) {
          await a.broker.publish(topic, bytes('a'));
          await b.broker.publish(topic, bytes('b'));
          for (const { host } of [a, b]) {
            assert.deepEqual(await host.texts(topic, 2), ['a', 'b'], `${topic}, move ${round}`);
          }
        }
      }
      for (const { host } of [a, b]) assert.ok(!host.events.includes('down'));
      await a.broker.unsubscribe([moving]);
      a.host.forget([moving]);
      await b.broker.publish(moving, bytes('after'));
      await b.host.until(() => b.host.textsOf(moving).includes('after'));
      assert.deepEqual(a.host.textsOf(moving), []);
    });
  }
});
