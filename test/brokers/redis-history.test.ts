import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { redisHistory } from '../../dist/brokers/redis/redis-history.js';
import type { Position } from '../../dist/topics/history.js';
import { connectedClient } from './engines/connected-client.ts';
import { type ClientKind, redisClients } from './engines/redis-clients.ts';
import { eventually, RedisEngine, skipWithoutRedis as skip } from './engines/redis-engine.ts';
import { appendAll, historyContract, numbers, texts } from './history-contract.ts';

const redis6 = redisClients[0] as ClientKind;

suite('histories in Redis', { concurrency: 3, skip }, () => {
  for (const cluster of [false, true]) {
    for (const kind of redisClients) {
      const name = `Redis${cluster ? ' Cluster' : ''} by ${kind.name}`;
      historyContract(
        name,
        async ({ messages }) => {
          const engine = await RedisEngine.start({ cluster });
          const clients: { end(): Promise<void> }[] = [];
          return {
            async node() {
              const client = await connectedClient(kind, engine);
              clients.push(client);
              return redisHistory({ client: client.client, messages });
            },
            async [Symbol.asyncDispose]() {
              for (const client of clients) await client.end();
              await engine.end();
            },
          };
        },
        skip,
      );
    }
  }
});

suite('a history in Redis', { skip }, () => {
  test('keeps what it has taken when Redis is killed, if Redis does', async () => {
    const config = ['--appendonly', 'yes', '--appendfsync', 'always'];
    await using redis = await start({ config }, { messages: 100_000 });
    const { engine, history } = redis;
    const beginning = (await history.read('t')).position;
    const taken: { text: string; position: Position }[] = [];
    const lost: string[] = [];
    let isOver = false;
    const appenders = numbers(8).map(async (name) => {
      for (let i = 0; !isOver; i++) {
        const text = `${name} ${i}`;
        try {
          const { position } = await history.append('t', text, text);
          taken.push({ text, position });
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'ENGINE_AWAY');
          lost.push(text);
          return;
        }
      }
    });
    await eventually(() => taken.length > 200, 'nothing is taken');
    await engine.kill();
    isOver = true;
    await Promise.all(appenders);
    await engine.restart();
    await redis.isBack();
    const read = await history.read('t', beginning);
    assert.equal(read.complete, true);
    const kept = new Map(read.entries.map(({ data, position }) => [data, position]));
    assert.equal(kept.size, read.entries.length);
    for (const { text, position } of taken) assert.deepEqual(kept.get(text), position);
    assert.ok(kept.size <= taken.length + lost.length);
    // Whoever tries again what may not have been taken has it once.
    for (const text of lost) {
      const { duplicate } = await history.append('t', text, text);
      assert.equal(duplicate, kept.has(text));
    }
    const after = texts(await history.read('t'));
    assert.deepEqual(after.toSorted(), [...taken.map(({ text }) => text), ...lost].toSorted());
    const last = taken.at(-1);
    assert.equal((await history.read('t', last?.position)).complete, true);
  });

  test('says that messages are lost which Redis has been rolled back behind', async () => {
    await using redis = await start();
    const { engine, history } = redis;
    const { server } = engine;
    const copy = await mkdtemp(join(tmpdir(), 'aperto-rollback-'));
    try {
      const before = await appendAll(history, 't', numbers(5));
      const empty = (await history.read('empty')).position;
      await server.command('SAVE');
      await server.copyDisk(copy);
      const behind = await appendAll(history, 't', numbers(5, 6));
      const inEmpty = await appendAll(history, 'empty', ['1']);
      const inNew = await appendAll(history, 'new', ['1']);
      await server.rollBack(copy);
      await redis.isBack();
      const check = async (kept: readonly string[]): Promise<void> => {
        for (const [i, position] of before.entries()) {
          const read = await history.read('t', position);
          assert.deepEqual([texts(read), read.complete], [kept.slice(i + 1), true]);
        }
        for (const position of behind) {
          const read = await history.read('t', position);
          assert.deepEqual([texts(read), read.complete], [kept, false]);
        }
        assert.equal((await history.read('empty', inEmpty[0])).complete, false);
        assert.equal((await history.read('empty', empty)).complete, true);
        assert.equal((await history.read('new', inNew[0])).complete, false);
      };
      await check(numbers(5));
      // As many as were lost, and more: none of them takes the place of another.
      await appendAll(history, 't', numbers(20, 100));
      await appendAll(history, 'empty', ['2']);
      await appendAll(history, 'new', ['2']);
      await check([...numbers(5), ...numbers(20, 100)]);
    } finally {
      await rm(copy, { recursive: true, force: true });
    }
  });

  test('tells a message from another that has got its place', async () => {
    // After a failover to a machine whose clock is behind, an id of Redis can come again.
    await using redis = await start();
    const [position] = await appendAll(redis.history, 't', numbers(3));
    assert.ok(position !== undefined);
    const [id] = position.offset.split('.');
    const other = { ...position, offset: `${id}.AAAAAAAAAAAA` };
    const read = await redis.history.read('t', other);
    assert.deepEqual([texts(read), read.complete], [numbers(3), false]);
    assert.equal((await redis.history.read('t', position)).complete, true);
  });

  test('begins anew where Redis was emptied, or has lost a part', async () => {
    await using redis = await start({}, { messages: 4 });
    const { engine, history } = redis;
    const { server } = engine;
    const losses = [
      { what: 'all', kept: [], command: ['FLUSHALL'] },
      { what: 'stream', kept: [], command: ['DEL', 'aperto:history:{t}:stream'] },
      { what: 'metadata', kept: numbers(3), command: ['DEL', 'aperto:history:{t}:meta'] },
      {
        what: 'oldest',
        kept: numbers(2, 2),
        command: ['XTRIM', 'aperto:history:{t}:stream', 'MAXLEN', '2'],
      },
    ];
    for (const { what, kept, command } of losses) {
      const [name = '', ...args] = command;
      await server.command('FLUSHALL');
      const beginning = (await history.read('t')).position;
      const positions = [beginning, ...(await appendAll(history, 't', numbers(3)))];
      await server.command(name, ...args);
      for (const position of positions) {
        const read = await history.read('t', position);
        assert.deepEqual([texts(read), read.complete], [kept, false], what);
      }
      const all = await history.read('t');
      assert.deepEqual([texts(all), all.complete], [kept, kept.length === 0], what);
      const next = await appendAll(history, 't', numbers(2, 4));
      const rest = await history.read('t', all.position);
      assert.deepEqual([texts(rest), rest.complete], [['4', '5'], true], what);
      const last = await history.read('t', next[0]);
      assert.deepEqual([texts(last), last.complete], [['5'], true], what);
      for (const position of positions) {
        assert.equal((await history.read('t', position)).complete, false, what);
      }
    }
  });

  test('knows ids as long as their messages, and keeps no more', async () => {
    await using redis = await start({}, { messages: 3 });
    const { engine, history } = redis;
    for (const i of numbers(50)) await history.append('t', i, Number(i) % 2 === 0 ? i : undefined);
    const { server } = engine;
    assert.equal(await server.command('XLEN', 'aperto:history:{t}:stream'), 3);
    assert.equal(await server.command('HLEN', 'aperto:history:{t}:meta'), 6);
    assert.equal((await history.append('t', 'again', '48')).duplicate, true);
    assert.equal((await history.append('t', 'again', '46')).duplicate, false);
    assert.deepEqual(texts(await history.read('t')), ['49', '50', 'again']);
    // Another node, which keeps less.
    const short = redisHistory({ client: redis.client, messages: 1 });
    await short.append('t', 'last');
    assert.deepEqual(texts(await history.read('t')), ['last']);
    assert.equal(await server.command('HLEN', 'aperto:history:{t}:meta'), 4);
  });

  test('is forgotten some time after the last message', async () => {
    await using redis = await start({}, { ttlMs: 600 });
    const { server } = redis.engine;
    const { history } = redis;
    const empty = (await history.read('empty')).position;
    const [position] = await appendAll(history, 't', ['1']);
    const isEmpty = async (): Promise<boolean> =>
      String(await server.command('KEYS', 'aperto:*')) === '';
    await eventually(isEmpty, 'nothing expires');
    const read = await history.read('t', position);
    assert.deepEqual([texts(read), read.complete], [[], false]);
    assert.equal((await history.read('empty', empty)).complete, false);
    // Each message renews it, and reading what is empty does.
    const lasting = redisHistory({ client: redis.client, ttlMs: 3_600_000, prefix: 'app:' });
    await lasting.append('t', '1');
    await lasting.read('empty');
    const keys = ['app:history:{t}:meta', 'app:history:{t}:stream', 'app:history:{empty}:meta'];
    for (const key of keys) await server.command('PEXPIRE', key, 1_000_000);
    await lasting.append('t', '2');
    await lasting.read('empty');
    for (const key of keys) {
      const left = Number(await server.command('PTTL', key));
      assert.ok(left > 1_000_000 && left <= 3_600_000, `${key}: ${left}`);
    }
  });

  test('is away while Redis is, and there afterwards', async () => {
    await using redis = await start();
    const { engine, history } = redis;
    const [position] = await appendAll(history, 't', ['1']);
    await engine.kill();
    await assert.rejects(history.append('t', '2'), { code: 'ENGINE_AWAY' });
    await assert.rejects(history.read('t'), { code: 'ENGINE_AWAY' });
    await engine.restart();
    await redis.isBack();
    // This one has kept nothing.
    const read = await history.read('t', position);
    assert.deepEqual([texts(read), read.complete], [[], false]);
    await engine.server.command('SCRIPT', 'FLUSH');
    await history.append('t', '2');
    assert.deepEqual(texts(await history.read('t')), ['2']);
  });

  test('says why Redis refuses', async () => {
    await using redis = await start();
    await redis.engine.server.command('SET', 'aperto:history:{t}:stream', 'of another');
    await assert.rejects(redis.history.append('t', '1'), {
      code: 'ENGINE_AWAY',
      message: /WRONGTYPE/,
    });
  });

  for (const kind of redisClients) {
    test(`takes each message once while connections are cut: ${kind.name}`, async () => {
      await using redis = await start({}, { messages: 100_000 }, kind);
      const { engine, history } = redis;
      const taken: string[] = [];
      const lost: string[] = [];
      let isOver = false;
      const appenders = numbers(4).map(async (name) => {
        for (let i = 0; !isOver; i++) {
          const batch = numbers(10).map((n) => `${name} ${i} ${n}`);
          await Promise.all(
            batch.map(async (text) => {
              // Without an id: what a client sends again on its own must not be there twice.
              await history.append('t', text).then(
                ({ duplicate }) => {
                  assert.equal(duplicate, false);
                  taken.push(text);
                },
                () => lost.push(text),
              );
            }),
          );
          await sleep(1);
        }
      });
      for (let cut = 1; cut <= 5; cut++) {
        const before = taken.length;
        await eventually(() => taken.length > before + 50, 'nothing is taken');
        await engine.server.cutConnections('normal');
      }
      isOver = true;
      await Promise.all(appenders);
      await redis.isBack();
      const kept = texts(await history.read('t'));
      assert.equal(new Set(kept).size, kept.length);
      const possible = new Set([...taken, ...lost]);
      assert.ok(kept.every((text) => possible.has(text)));
      const there = new Set(kept);
      assert.deepEqual(
        taken.filter((text) => !there.has(text)),
        [],
      );
    });
  }

  test('refuses options that are wrong', async () => {
    await using redis = await start();
    const { client } = redis;
    const invalid = { code: 'INVALID_OPTION' };
    for (const value of [0, -1, 0.5, '5', null, Number.POSITIVE_INFINITY] as number[]) {
      assert.throws(() => redisHistory({ client, messages: value }), invalid);
      assert.throws(() => redisHistory({ client, ttlMs: value }), invalid);
    }
    for (const prefix of ['{', 'a}b', '\ud800', 5, null] as string[]) {
      assert.throws(() => redisHistory({ client, prefix }), invalid);
    }
    for (const wrong of [undefined, null, {}, 'redis://', () => client] as (typeof client)[]) {
      assert.throws(() => redisHistory({ client: wrong }), invalid);
    }
  });
});

async function start(
  options: Parameters<typeof RedisEngine.start>[0] = {},
  kept: { readonly messages?: number; readonly ttlMs?: number } = {},
  kind: ClientKind = redis6,
) {
  const engine = await RedisEngine.start(options);
  const { client, end } = await connectedClient(kind, engine);
  const history = redisHistory({ client, ...kept });
  return {
    engine,
    client,
    history,
    /** Resolves once the client is connected again. */
    isBack: async (): Promise<void> => {
      const answers = (): Promise<boolean> =>
        history.read('is back').then(
          () => true,
          () => false,
        );
      await eventually(answers, 'the client does not come back');
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await end();
      await engine.end();
    },
  };
}
