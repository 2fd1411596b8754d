import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisHistory, redisPresence } from '../../dist/brokers/redis.js';
import type { History, Position, Presence } from '../../dist/index.js';
import { connectedClient } from '../brokers/engines/connected-client.ts';
import { redisClients } from '../brokers/engines/redis-clients.ts';
import { RedisEngine, skipWithoutRedis as skip } from '../brokers/engines/redis-engine.ts';
import { Ledger, messageText, until } from './ledger.ts';
import { LedgerNode, settle, underLoad } from './ledger-node.ts';
import { ioredis, nodeRedis } from './topic-engines.ts';

interface Stores {
  readonly history: History;
  readonly presence: Presence;
}

suite('a Redis that is rolled back', { skip, concurrency: 1 }, () => {
  for (const kind of [nodeRedis, ioredis]) {
    test(`fault 93: under a running service: ${kind.name}`, async (t) => {
      const engine = await RedisEngine.start();
      t.after(() => engine.end());
      const { server } = engine;
      const copy = await mkdtemp(join(tmpdir(), 'aperto-rollback-'));
      t.after(() => rm(copy, { recursive: true, force: true }));
      const ledger = new Ledger(['news', 'sport']);
      const nodes = [
        await LedgerNode.start(t, 'A', ledger, kind, server.port),
        await LedgerNode.start(t, 'B', ledger, kind, server.port),
      ];
      const [a, b] = [await stores(t, engine, kind.name), await stores(t, engine, kind.name)];
      const names = nodes.map(({ name }) => name);
      await a.presence.enter('news', 'ana');
      await a.presence.enter('news', 'leaves');
      const kept: Position[] = [];
      const lost: Position[] = [];
      const again: Position[] = [];
      let positions = kept;
      let isOver = false;
      const appends = [a, b].map(async ({ history }, at) => {
        for (let sequence = 1; !isOver; sequence++) {
          const text = messageText('news', names[at] ?? '', sequence);
          try {
            const { position } = await history.append('news', text, text);
            positions.push(position);
          } catch (error) {
            assert.equal((error as { code?: unknown }).code, 'ENGINE_AWAY');
            await sleep(5);
          }
        }
      });
      await underLoad(ledger, nodes, async () => {
        await until('appended', () => kept.length > 50);
        // What is appended while it is saved may be kept or not; so may the last two before.
        positions = [];
        await server.command('SAVE');
        await server.copyDisk(copy);
        positions = lost;
        await until('appended', () => lost.length > 50);
        await a.presence.leave('news', 'leaves');
        await b.presence.enter('news', 'ben');
        const gaps = nodes.map((node) => node.gaps());
        positions = [];
        await server.rollBack(copy);
        for (const [at, node] of nodes.entries()) {
          await node.isSubscribed();
          await node.tellsGaps(gaps[at] ?? []);
        }
        await ledger.hearsMore(names);
        positions = again;
        await until('appended again', () => again.length > 50);
      });
      isOver = true;
      await Promise.all(appends);
      const { delivered } = await settle(ledger, nodes);
      assert.ok(delivered > 0);

      for (const { history, presence } of [a, b]) {
        // Its client may be the later one to be connected again.
        await until('read', () => isReadable(history));
        const all = await history.read('news');
        const texts = all.entries.map(({ data }) => String(data));
        assert.equal(new Set(texts).size, texts.length, 'something is there twice');
        const isComplete = async (position: Position): Promise<boolean> =>
          (await history.read('news', position)).complete;
        for (const position of some(kept.slice(0, -2))) assert.ok(await isComplete(position));
        for (const position of some(again)) assert.ok(await isComplete(position));
        for (const position of some(lost)) {
          const read = await history.read('news', position);
          assert.deepEqual([read.complete, read.entries.length], [false, texts.length]);
        }
        await until('present', async () => {
          const members = [...(await presence.members('news'))].sort();
          return members.join() === 'ana,ben';
        });
      }
    });
  }
});

async function isReadable(history: History): Promise<boolean> {
  try {
    await history.read('news');
    return true;
  } catch (error) {
    assert.equal((error as { code?: unknown }).code, 'ENGINE_AWAY');
    return false;
  }
}

function some<T>(all: readonly T[]): T[] {
  return all.filter((_, at) => at % Math.ceil(all.length / 20) === 0);
}

async function stores(t: TestContext, engine: RedisEngine, kindName: string): Promise<Stores> {
  const kind = redisClients.find(({ name }) => name.startsWith(kindName));
  assert.ok(kind !== undefined);
  const { client, end } = await connectedClient(kind, engine);
  t.after(end);
  const presence = redisPresence({ client });
  t.after(() => presence.close());
  return { history: redisHistory({ client, messages: 10_000 }), presence };
}
