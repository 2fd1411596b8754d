import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { RedisPresence, redisPresence } from '../../dist/brokers/redis/redis-presence.js';
import type { Presence, PresenceOptions } from '../../dist/topics/presence.js';
import { type ConnectedClient, connectedClient } from './engines/connected-client.ts';
import { type ClientKind, redisClients } from './engines/redis-clients.ts';
import {
  eventually as eventuallySo,
  RedisEngine,
  type RedisServer,
  skipWithoutRedis as skip,
} from './engines/redis-engine.ts';
import { redisPresenceEngine } from './engines/redis-presence-engine.ts';
import { numbers } from './history-contract.ts';
import { eventually, type PresenceEngine, presenceContract } from './presence-contract.ts';

const redis6 = redisClients[0] as ClientKind;

suite('presences in Redis', { concurrency: 3, skip }, () => {
  for (const kind of redisClients) {
    const start = (): Promise<PresenceEngine> => redisPresenceEngine(kind, {});
    presenceContract(`Redis by ${kind.name}`, start);
  }
});

suite('presence in Redis', { skip }, () => {
  test('asserts everyone anew where Redis was emptied, or has lost a part', async () => {
    await using redis = await start();
    const [a, b] = [await redis.node(), await redis.node()];
    for (const member of ['x', 'y']) await a.presence.enter('t', member);
    await b.presence.enter('t', 'x');
    await b.presence.enter('t', 'z');
    const { server } = redis.engine;
    for (const [command = '', ...args] of [
      ['FLUSHALL'],
      ['DEL', 'aperto:presence:{t}:members'],
      ['DEL', 'aperto:presence:{t}:nodes'],
      ['HDEL', 'aperto:presence:{t}:members', 'y'],
    ]) {
      await server.command(command, ...args);
      await a.refresh();
      await b.refresh();
      assert.deepEqual([...(await a.presence.members('t'))].sort(), ['x', 'y', 'z'], command);
      await server.command(command, ...args);
      // Also where nothing but a change tells.
      assert.equal(await a.presence.enter('t', command), true);
      await b.refresh();
      const expected = [...['x', 'y', 'z'], command].sort();
      assert.deepEqual([...(await a.presence.members('t'))].sort(), expected);
      assert.equal(await b.presence.leave('t', 'x'), false);
      assert.equal(await a.presence.leave('t', command), true);
      assert.equal(await b.presence.enter('t', 'x'), false);
    }
    assert.deepEqual(redis.gone, []);
  });

  test('lists those of its own that Redis has forgotten, and reminds it', async () => {
    await using redis = await start();
    const [a, b] = [await redis.node(), await redis.node()];
    await a.presence.enter('t', 'x');
    await redis.engine.server.command('FLUSHALL');
    assert.deepEqual(await b.presence.members('t'), []);
    assert.deepEqual(await a.presence.members('t'), ['x']);
    await eventually(async () => assert.deepEqual(await b.presence.members('t'), ['x']));
  });

  test('has only who is here after Redis was rolled back', async () => {
    await using redis = await start();
    const [a, b] = [await redis.node(), await redis.node()];
    for (const member of ['stays', 'leaves']) await a.presence.enter('t', member);
    await a.presence.enter('left', 'everyone');
    await b.presence.enter('t', 'of b');
    const { server } = redis.engine;
    const copy = await mkdtemp(join(tmpdir(), 'aperto-rollback-'));
    try {
      await server.command('SAVE');
      await server.copyDisk(copy);
      await a.presence.leave('t', 'leaves');
      await a.presence.enter('t', 'comes');
      await a.presence.leave('left', 'everyone');
      await a.presence.enter('left', 'everyone');
      await a.presence.leave('left', 'everyone');
      await b.presence.leave('t', 'of b');
      await b.presence.enter('t', 'again');
      await server.rollBack(copy);
      await eventually(async () => {
        for (const { presence } of [a, b]) {
          const members = [...(await presence.members('t'))].sort();
          assert.deepEqual(members, ['again', 'comes', 'stays']);
        }
      });
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
    // A topic that a node was in and is not any more: its lease there is renewed by nobody.
    assert.equal(await b.presence.enter('left', 'someone'), true);
    const nodes = 'aperto:presence:{left}:nodes';
    const leases = (await server.command('HGETALL', nodes)) as readonly string[];
    for (const [i, value] of leases.entries()) {
      const expired = value.replace(/^\d+ /, '1 ');
      if (expired !== value) await server.command('HSET', nodes, leases[i - 1] ?? '', expired);
    }
    assert.deepEqual(await b.presence.members('left'), ['someone']);
  });

  test('takes a node that gave no sign for gone, until it gives one', async () => {
    await using redis = await start();
    const { server } = redis.engine;
    const [paused, a, b] = [await redis.node(), await redis.node(), await redis.node()];
    for (const member of ['x', 'both']) await paused.presence.enter('t', member);
    const nodes = 'aperto:presence:{t}:nodes';
    const node = await nodeIn(server, nodes);
    await a.presence.enter('t', 'both');
    await b.presence.enter('t', 'of b');
    await server.command('HSET', nodes, node, '1 1');
    // Whoever is not in the topic takes nobody out, and tells of none.
    const asks = await redis.node();
    assert.deepEqual(await asks.presence.members('t'), ['both', 'of b']);
    assert.deepEqual(redis.gone, []);
    await Promise.all([a.refresh(), b.refresh(), a.presence.members('t')]);
    assert.deepEqual(redis.gone, [['t', ['x']]]);
    await paused.refresh();
    assert.deepEqual([...(await a.presence.members('t'))].sort(), ['both', 'of b', 'x']);
    assert.equal(await a.presence.leave('t', 'both'), false);
    assert.equal(await paused.presence.leave('t', 'x'), true);
    assert.equal(redis.gone.length, 1);
  });

  test('gives a sign of a topic in one call, however many members it has', async () => {
    await using redis = await start();
    const { server } = redis.engine;
    const { presence, giveSigns } = await redis.node();
    for (const topic of ['a', 'b', 'c']) {
      await Promise.all(numbers(500).map((member) => presence.enter(topic, member)));
    }
    assert.deepEqual(await presence.members('a'), numbers(500));
    await server.command('CONFIG', 'RESETSTAT');
    giveSigns();
    // Behind them on the same connection.
    await presence.members('nothing');
    const stats = String(await server.command('INFO', 'commandstats'));
    assert.match(stats, /cmdstat_evalsha:calls=4,/);
    // All that changed while one call was under way goes with the next.
    await server.command('CONFIG', 'RESETSTAT');
    await Promise.all(numbers(500).map((member) => presence.leave('a', member)));
    const after = String(await server.command('INFO', 'commandstats'));
    assert.match(after, /cmdstat_evalsha:calls=2,/);
    assert.deepEqual(await presence.members('a'), []);
  });

  test('leaves nothing behind', async () => {
    await using redis = await start();
    const { server } = redis.engine;
    const { client, end } = await connectedClient(redis6, redis.engine);
    assert.ok(client instanceof EventEmitter);
    const count = (): number[] =>
      ['ready', 'error', 'end', 'reconnecting'].map((event) => client.listenerCount(event));
    const before = count();
    const presence = redisPresence({ client });
    await presence.enter('t', 'x');
    for (const key of ['members', 'nodes']) {
      const ttl = Number(await server.command('PTTL', `aperto:presence:{t}:${key}`));
      assert.ok(ttl > 0 && ttl <= 30_000);
    }
    // The least patient node of a topic does not decide for the others.
    const brief = redisPresence({ client, ttlMs: 300 });
    await brief.enter('t', 'y');
    for (const key of ['members', 'nodes']) {
      assert.ok(Number(await server.command('PTTL', `aperto:presence:{t}:${key}`)) > 10_000);
    }
    await brief.close();
    // What is under way, and what waits behind it.
    const entering = presence.enter('t', 'y');
    const waiting = presence.enter('t', 'z');
    const refused = assert.rejects(waiting, { code: 'ENGINE_AWAY', message: /closed/ });
    await presence.close();
    assert.equal(await entering, true);
    await refused;
    assert.deepEqual(await server.command('KEYS', 'aperto:*'), []);
    assert.deepEqual(count(), before);
    await end();
  });

  test('closes while Redis is away', async () => {
    await using redis = await start();
    const { presence } = await redis.node();
    await presence.enter('t', 'x');
    await redis.engine.kill();
    await assert.rejects(presence.enter('t', 'y'), { code: 'ENGINE_AWAY' });
    await assert.rejects(presence.enter('other', 'x'), { code: 'ENGINE_AWAY' });
    await assert.rejects(presence.leave('other', 'x'), { code: 'ENGINE_AWAY' });
    await presence.close();
  });

  for (const kind of redisClients) {
    test(`is right after connections were cut: ${kind.name}`, async () => {
      await using redis = await start();
      const clients = await Promise.all(numbers(3).map(() => connectedClient(kind, redis.engine)));
      const nodes = clients.map(({ client }) => redisPresence({ client }));
      let isOver = false;
      let answers = 0;
      const entered = nodes.map(async (presence, n) => {
        const here = new Map<string, number>();
        for (let i = 0; !isOver; i++) {
          const member = String((i * (n + 3)) % 7);
          const count = here.get(member) ?? 0;
          const enters = count === 0 || i % 3 === 0;
          here.set(member, count + (enters ? 1 : -1));
          const answer = enters ? presence.enter('t', member) : presence.leave('t', member);
          await answer.then(
            () => answers++,
            (error) => assert.equal(error.code, 'ENGINE_AWAY'),
          );
          if (i % 10 === 0) await new Promise(setImmediate);
        }
        return [...here].filter(([, count]) => count > 0).map(([member]) => member);
      });
      for (let cut = 0; cut < 5; cut++) {
        const before = answers;
        await eventuallySo(() => answers > before + 100, 'nothing is answered');
        await redis.engine.server.cutConnections('normal');
      }
      isOver = true;
      const here = (await Promise.all(entered)).map((members) => members.sort());
      const all = [...new Set(here.flat())].sort();
      await eventually(async () => {
        for (const presence of nodes) {
          assert.deepEqual([...(await presence.members('t'))].sort(), all);
        }
      });
      // Each has its own: what is left when others close is theirs.
      for (const [n, presence] of nodes.entries()) {
        await presence.close();
        const left = [...new Set(here.slice(n + 1).flat())].sort();
        const asked = nodes[n + 1];
        if (asked === undefined) break;
        await eventually(async () => {
          assert.deepEqual([...(await asked.members('t'))].sort(), left);
        });
      }
      assert.deepEqual(await redis.engine.server.command('KEYS', 'aperto:*'), []);
      for (const { end } of clients) await end();
    });
  }

  test('lets the application have the error of its own onGone', async () => {
    await using redis = await start();
    const { server } = redis.engine;
    const thrown = new Error('of onGone');
    const { presence } = await redis.node({
      onGone: () => {
        throw thrown;
      },
    });
    const crashed = await redis.node();
    await crashed.presence.enter('t', 'x');
    const nodes = 'aperto:presence:{t}:nodes';
    const node = await nodeIn(server, nodes);
    await presence.enter('t', 'y');
    await server.command('HSET', nodes, node, '1 1');
    const uncaught = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
    try {
      assert.deepEqual(await presence.members('t'), ['y']);
      assert.equal(await uncaught, thrown);
    } finally {
      process.setUncaughtExceptionCaptureCallback(null);
    }
  });

  test('refuses options that are wrong', async () => {
    await using redis = await start();
    const { client, end } = await connectedClient(redis6, redis.engine);
    const invalid = { code: 'INVALID_OPTION' };
    for (const ttlMs of [0, -1, 0.5, '5', null, Number.POSITIVE_INFINITY] as number[]) {
      assert.throws(() => redisPresence({ client, ttlMs }), invalid);
    }
    for (const prefix of ['{', 'a}b', '\ud800', 5, null] as string[]) {
      assert.throws(() => redisPresence({ client, prefix }), invalid);
    }
    for (const onGone of [null, 'x', {}] as (() => void)[]) {
      assert.throws(() => redisPresence({ client, onGone }), invalid);
    }
    for (const wrong of [undefined, null, {}, 'redis://'] as (typeof client)[]) {
      assert.throws(() => redisPresence({ client: wrong }), invalid);
    }
    await end();
  });
});

/** The only node of a topic, where there is one. */
async function nodeIn(server: RedisServer, key: string): Promise<string> {
  const fields = (await server.command('HKEYS', key)) as readonly string[];
  return fields.find((field) => field.length > 1) ?? '';
}

interface ManualNode {
  readonly presence: Presence;
  /** As it does by itself a few times within its TTL. */
  giveSigns(): void;
  /** Gives signs, and resolves once they are there. */
  refresh(): Promise<void>;
}

/** A Redis, and nodes that give no sign by themselves. */
async function start() {
  const engine = await RedisEngine.start();
  const clients: ConnectedClient[] = [];
  const gone: (readonly [string, readonly string[]])[] = [];
  return {
    engine,
    /** What all nodes have told. */
    gone,
    async node(options: PresenceOptions = {}): Promise<ManualNode> {
      const client = await connectedClient(redis6, engine);
      clients.push(client);
      let giveSigns = (): void => {};
      const presence = new RedisPresence(
        {
          client: client.client,
          onGone: (topic, members) => gone.push([topic, members]),
          ...options,
        },
        (_ms, task) => {
          giveSigns = task;
          return () => {};
        },
      );
      return {
        presence,
        giveSigns: () => giveSigns(),
        refresh: async () => {
          giveSigns();
          // Answered in order: the first behind the signs, the next behind what they have led to.
          for (let i = 0; i < 3; i++) await presence.members('nothing');
        },
      };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const { end } of clients) await end();
      await engine.end();
    },
  };
}
