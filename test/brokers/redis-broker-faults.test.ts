import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { type EventEmitter, once } from 'node:events';
import { suite, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import * as version5 from 'redis-5';
import {
  type RedisBrokerOptions,
  type RedisClientLike,
  redisBroker,
} from '../../dist/brokers/redis.js';
import type { Broker } from '../../dist/topics/broker.js';
import { bytes } from './broker-contract.ts';
import { type ApplicationClient, type ClientKind, redisClients } from './engines/redis-clients.ts';
import { RedisEngine, skipWithoutRedis } from './engines/redis-engine.ts';
import { RecordingHost } from './recording-host.ts';

interface Node {
  readonly broker: Broker;
  readonly host: RecordingHost;
}

async function begin(context: TestContext, ...config: string[]): Promise<RedisEngine> {
  const engine = await RedisEngine.start({ config });
  context.after(() => engine.end());
  return engine;
}

/** A started broker on a client that ends with the test. */
async function node(
  context: TestContext,
  { client, end }: ApplicationClient,
  options: Omit<RedisBrokerOptions, 'client'> = {},
): Promise<Node> {
  const broker = redisBroker({ client, ...options });
  context.after(async () => {
    await broker.close();
    await end();
  });
  const host = new RecordingHost();
  await broker.start(host);
  return { broker, host };
}

/** It is up again, subscribes anew and has what is published, once. */
async function again({ broker, host }: Node, topic: string): Promise<void> {
  await host.until(() => host.events.at(-1) === 'up', 'up');
  await broker.subscribe([topic]);
  host.forget([topic]);
  await broker.publish(topic, bytes('again'));
  await broker.publish(topic, bytes('and again'));
  assert.deepEqual(await host.texts(topic, 2), ['again', 'and again']);
}

const away = (message: RegExp): object => ({ name: 'ApertoError', code: 'ENGINE_AWAY', message });

function ofEach(
  name: string,
  run: (context: TestContext, kind: ClientKind) => Promise<void>,
): void {
  for (const kind of redisClients) {
    test(`${name}: ${kind.name}`, (context) => run(context, kind));
  }
}

suite('broker over Redis', { skip: skipWithoutRedis, timeout: 60_000 }, () => {
  test('says what it cannot be used with', () => {
    const like: RedisClientLike = { on: () => {}, duplicate: () => {} };
    const wrongs: unknown[] = [undefined, null, {}, 'redis://127.0.0.1', like, Redis];
    for (const client of wrongs) {
      assert.throws(() => redisBroker({ client: client as typeof like }), {
        code: 'INVALID_OPTION',
        message: /node-redis \(createClient, createCluster\) or of ioredis \(Redis, Cluster\)/,
      });
    }
    const client = createClient();
    for (const wrong of [{ prefix: 1 }, { sharded: 'yes' }, { timeoutMs: 0 }, { timeoutMs: NaN }]) {
      const options = { client, ...wrong } as unknown as RedisBrokerOptions;
      assert.throws(() => redisBroker(options), { code: 'INVALID_OPTION' });
    }
  });

  ofEach('has its channels below its prefix, sharded where Redis can', async (context, kind) => {
    const engine = await begin(context);
    const channels = async (command: string): Promise<unknown> =>
      engine.server.command('PUBSUB', command);
    const a = await node(context, kind.make(engine));
    await a.broker.subscribe(['one', 'two:{x}']);
    assert.deepEqual(sorted(await channels('SHARDCHANNELS')), ['aperto:one', 'aperto:two:{x}']);
    assert.deepEqual(await channels('CHANNELS'), []);
    await a.broker.unsubscribe(['two:{x}']);
    assert.deepEqual(await channels('SHARDCHANNELS'), ['aperto:one']);
    await a.broker.close();
    await a.host.until(async () => sorted(await channels('SHARDCHANNELS')).length === 0);
    const b = await node(context, kind.make(engine), { sharded: false, prefix: 'my app/' });
    await b.broker.subscribe(['one', 'ä']);
    assert.deepEqual(sorted(await channels('CHANNELS')), ['my app/one', 'my app/ä']);
    assert.deepEqual(await channels('SHARDCHANNELS'), []);
  });

  test('uses classic pub/sub where Redis is older', async (context) => {
    const renamed = ['HELLO', 'SSUBSCRIBE', 'SPUBLISH'].flatMap((name) => [
      ...['--rename-command', name, ''],
    ]);
    const engine = await begin(context, ...renamed);
    // Version 6 of node-redis cannot connect without HELLO unless it is told so.
    const client = createClient({ url: engine.server.url, RESP: 2 });
    client.on('error', () => {});
    const made = { client, works: async () => true, end: async () => client.destroy() };
    await client.connect();
    const kinds = redisClients.slice(1).map((kind) => kind.make(engine));
    for (const each of [made, ...kinds]) {
      const a = await node(context, each);
      await a.broker.subscribe(['topic']);
      const channels = await engine.server.command('PUBSUB', 'CHANNELS');
      assert.deepEqual(channels, ['aperto:topic']);
      await again(a, 'topic');
      const b = await node(context, { ...each, end: async () => {} }, { sharded: true });
      await assert.rejects(b.broker.subscribe(['topic']), away(/unknown command/i));
      await assert.rejects(b.broker.publish('topic', bytes('x')), away(/unknown command/i));
      await a.broker.unsubscribe(['topic']);
    }
  });

  ofEach('notices that its subscriber alone is cut off', async (context, kind) => {
    const engine = await begin(context);
    const a = await node(context, kind.make(engine));
    await a.broker.subscribe(['topic']);
    await engine.server.cutConnections('pubsub');
    await a.host.told('down');
    await again(a, 'topic');
  });

  ofEach('notices that it is dropped for being slow', async (context, kind) => {
    const limit = ['--client-output-buffer-limit', 'pubsub 2mb 2mb 0'];
    const engine = await begin(context, ...limit);
    const a = await node(context, kind.make(engine));
    await a.broker.subscribe(['topic']);
    // All at once, so that no reader could keep up.
    const flood = `for _ = 1, 64 do
      redis.call('SPUBLISH', 'aperto:topic', string.rep('x', 1024 * 1024))
    end`;
    await engine.server.command('EVAL', flood, 0);
    await a.host.told('down');
    assert.ok(a.host.total < 64);
    await again(a, 'topic');
  });

  ofEach('waits for an engine that is slow', async (context, kind) => {
    const engine = await begin(context);
    const a = await node(context, kind.make(engine));
    await a.broker.subscribe(['topic']);
    engine.server.pause();
    let settled = 0;
    const sent = Array.from({ length: 200 }, (_, n) =>
      a.broker.publish('topic', bytes(String(n))).then(() => {
        settled += 1;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(settled, 0);
    engine.server.resume();
    await Promise.all(sent);
    const expected = Array.from({ length: 200 }, (_, n) => String(n));
    assert.deepEqual(await a.host.texts('topic', 200), expected);
    assert.deepEqual(a.host.events, ['up']);
  });

  ofEach('counts an engine that is silent for long as away', async (context, kind) => {
    const engine = await begin(context);
    const a = await node(context, kind.make(engine), { timeoutMs: 1_000 });
    await a.broker.subscribe(['topic']);
    engine.server.pause();
    const sent = a.broker.publish('topic', bytes('lost'));
    sent.catch(() => {});
    const subscribing = a.broker.subscribe(['other']);
    subscribing.catch(() => {});
    await a.host.told('down');
    await assert.rejects(sent, away(/./));
    await assert.rejects(subscribing, away(/./));
    await assert.rejects(a.broker.publish('topic', bytes('away')), away(/./));
    engine.server.resume();
    await again(a, 'topic');
  });

  ofEach('says what a user must not', async (context, kind) => {
    const engine = await begin(context);
    const rules = ['on', '>secret', 'resetchannels', '&aperto:mine*', '+@all', '~*'];
    await engine.server.command('ACL', 'SETUSER', 'limited', ...rules);
    const user = { username: 'limited', password: 'secret' };
    const a = await node(context, kind.make(engine, user));
    await a.broker.subscribe(['mine']);
    await assert.rejects(a.broker.subscribe(['mine too', 'yours']), away(/NOPERM/));
    await assert.rejects(a.broker.publish('yours', bytes('x')), away(/NOPERM/));
    await again(a, 'mine');
    assert.deepEqual(a.host.events, ['up']);
    // Redis cuts off who must not go on hearing a channel.
    await engine.server.command('ACL', 'SETUSER', 'limited', 'resetchannels');
    await a.host.told('down');
  });

  ofEach('says that a password is wrong, and comes in once it is right', async (context, kind) => {
    const engine = await begin(context);
    await engine.server.command('ACL', 'SETUSER', 'late', 'on', '>old', 'allchannels', '+@all');
    const user = { username: 'late', password: 'new' };
    const a = await node(context, kind.make(engine, user));
    const error = await a.host.told('down');
    assert.match(String(error), /WRONGPASS/);
    await engine.server.command('ACL', 'SETUSER', 'late', 'on', '>new');
    await again(a, 'topic');
  });

  ofEach('leaves the client of the application alone', async (context, kind) => {
    const engine = await begin(context);
    const made = kind.make(engine);
    const { client } = made;
    // Those of ioredis are none by their class.
    const emitter = client as unknown as EventEmitter;
    const listeners = (): unknown =>
      emitter.eventNames().map((name) => [name, emitter.listenerCount(name)]);
    const before = listeners();
    const a = await node(context, made);
    await again(a, 'topic');
    await a.broker.close();
    assert.deepEqual(listeners(), before);
    assert.ok(await made.works());
  });

  test('needs no client that is connected', async (context) => {
    const engine = await begin(context);
    const six = createClient({ url: engine.server.url });
    const five = version5.createClient({ url: engine.server.url });
    const io = new Redis(engine.server.url, { lazyConnect: true });
    for (const client of [six, five, io]) {
      const end = async (): Promise<void> => {};
      const a = await node(context, { client, works: async () => true, end });
      await again(a, 'topic');
      await a.broker.close();
    }
    assert.ok(!six.isOpen);
    assert.ok(!five.isOpen);
    assert.equal(io.status, 'wait');
  });

  test('has the same channels, whatever a client puts before its keys', async (context) => {
    const engine = await begin(context);
    const io = new Redis(engine.server.url, { keyPrefix: 'app:' });
    const six = createClient({ url: engine.server.url, keyPrefix: 'app:' });
    const prefixed = [
      { client: io, works: async () => true, end: async () => io.disconnect() },
      { client: six, works: async () => true, end: async () => {} },
    ];
    const plain = redisClients.map((kind) => kind.make(engine));
    const nodes: Node[] = [];
    for (const made of [...prefixed, ...plain]) nodes.push(await node(context, made));
    for (const { broker } of nodes) await broker.subscribe(['topic']);
    for (const [index, { broker }] of nodes.entries()) {
      await broker.publish('topic', bytes(String(index)));
    }
    const expected = nodes.map((_, index) => String(index));
    for (const { host } of nodes) {
      assert.deepEqual(sorted(await host.texts('topic', nodes.length)), expected);
    }
  });

  ofEach('does not keep a process alive once it is closed', async (context, kind) => {
    const engine = await begin(context);
    const { imports, make, end } = kind.program;
    const source = `
      ${imports};
      import { redisBroker } from './dist/brokers/redis.js';
      const url = '${engine.server.url}';
      const client = ${make};
      client.on('error', () => {});
      if (client.isOpen === false) await client.connect();
      const broker = redisBroker({ client });
      const received = new Promise((resolve) => {
        broker.start({ received: resolve, up: () => console.log('up'), down() {}, gap() {} });
      });
      for (;;) {
        try {
          await broker.subscribe(['topic']);
          break;
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
      }
      await broker.publish('topic', new Uint8Array(1));
      await received;
      await broker.close();
      ${end};
      console.log('closed');
    `;
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    context.after(() => child.kill('SIGKILL'));
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = await once(child, 'close');
    assert.equal(said, 'up\nclosed\n');
    assert.equal(code, 0);
  });
});

function sorted(names: unknown): unknown[] {
  assert.ok(Array.isArray(names));
  return names.sort();
}
