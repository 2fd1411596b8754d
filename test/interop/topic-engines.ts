import assert from 'node:assert/strict';
import { createClient } from 'redis';
import { natsBroker, natsHistory, natsPresence } from '../../dist/brokers/nats.js';
import { redisBroker, redisHistory, redisPresence } from '../../dist/brokers/redis.js';
import { type Broker, type History, MemoryEngine, type Presence } from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { MemoryHistory } from '../../dist/topics/memory-history.js';
import { memoryPresence } from '../../dist/topics/memory-presence.js';
import { NatsEngine, skipWithoutNats } from '../brokers/engines/nats-engine.ts';
import { RedisEngine, skipWithoutRedis } from '../brokers/engines/redis-engine.ts';
import { documentedBlock } from './documented-configuration.ts';

/** What carries topics between servers. */
export interface Engine extends AsyncDisposable {
  broker(): Broker;
  history(messages: number): History;
  presence(): Presence;
}

export interface EngineProgram {
  readonly name: string;
  readonly skip: string | false;
  start(): Promise<Engine>;
}

/** For servers of one process. */
export const inMemory: EngineProgram = {
  name: 'in memory',
  skip: false,
  async start() {
    const engine = new MemoryEngine();
    return {
      broker: () => engine.broker(),
      history: (messages) => new MemoryHistory(nodePlatform, { messages }),
      presence: memoryPresence,
      async [Symbol.asyncDispose]() {},
    };
  },
};

/** Each with the user, and no more than the rights, that the document gives it. */
export const engines: readonly EngineProgram[] = [
  inMemory,
  {
    name: 'over Redis',
    skip: skipWithoutRedis,
    async start() {
      const user = documentedBlock('scaling.md', 'Securing Redis', 'sh').trim().split(' ');
      assert.equal(user[0], 'user');
      const redis = await RedisEngine.start({ config: ['--user', ...user.slice(1)] });
      const client = createClient({ url: `redis://aperto:secret@127.0.0.1:${redis.server.port}` });
      await client.connect();
      return {
        broker: () => redisBroker({ client }),
        history: (messages) => redisHistory({ client, messages }),
        presence: () => redisPresence({ client }),
        async [Symbol.asyncDispose]() {
          client.destroy();
          await redis.end();
        },
      };
    },
  },
  {
    name: 'over NATS',
    skip: skipWithoutNats,
    async start() {
      const nats = await NatsEngine.start({
        settings: [documentedBlock('scaling.md', 'Securing NATS', 'sh')],
      });
      const connection = await nats.connect({ user: 'aperto', pass: 'secret' });
      return {
        broker: () => natsBroker({ connection }),
        history: (messages) => natsHistory({ connection, messages }),
        presence: () => natsPresence({ connection }),
        [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
      };
    },
  },
];
