import { connect } from '@nats-io/transport-node';
import { Redis } from 'ioredis';
import { createClient } from 'redis';
import { natsBroker, natsHistory } from '../../dist/brokers/nats.js';
import { redisBroker, redisHistory } from '../../dist/brokers/redis.js';
import type { Broker, History } from '../../dist/index.js';
import { NatsEngine, skipWithoutNats } from '../brokers/engines/nats-engine.ts';
import { RedisEngine, skipWithoutRedis } from '../brokers/engines/redis-engine.ts';

/** An engine that a test ends, stops and starts again. */
export interface TopicEngine extends AsyncDisposable {
  readonly port: number;
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Cuts the connections that it sends messages on; undefined where it cannot. */
  cutSubscribers?(): Promise<void>;
  pause(): void | Promise<void>;
  resume(): void;
}

/** What an application has of an engine. */
interface EngineClient {
  readonly broker: Broker;
  /** Of 10,000 messages a topic. */
  history(): Promise<History>;
  end(): Promise<void>;
}

export interface EngineOptions {
  /** Bytes; whoever is more behind is dropped. */
  readonly maxBehind?: number;
  /** Whether it keeps what it has taken when it is killed. */
  readonly keeps?: boolean;
}

const MESSAGES = 10_000;

/** An engine, and how an application comes to it. */
export interface EngineKind {
  readonly name: string;
  readonly skip: string | false;
  start(options?: EngineOptions): Promise<TopicEngine>;
  /** By a port of 127.0.0.1: of the engine, or of a relay to it. */
  client(port: number, timeoutMs?: number): Promise<EngineClient>;
}

async function startRedis({ maxBehind, keeps }: EngineOptions = {}): Promise<TopicEngine> {
  const config: string[] = [];
  if (maxBehind !== undefined) {
    config.push('--client-output-buffer-limit', `pubsub ${maxBehind} ${maxBehind} 0`);
  }
  if (keeps === true) config.push('--appendonly', 'yes', '--appendfsync', 'always');
  const engine = await RedisEngine.start({ config });
  return {
    port: engine.server.port,
    kill: () => engine.kill(),
    restart: () => engine.restart(),
    cutSubscribers: () => engine.server.cutConnections('pubsub'),
    pause: () => engine.server.pause(),
    resume: () => engine.server.resume(),
    [Symbol.asyncDispose]: () => engine.end(),
  };
}

export const nodeRedis: EngineKind = {
  name: 'node-redis 6',
  skip: skipWithoutRedis,
  start: startRedis,
  async client(port, timeoutMs = 10_000) {
    const client = createClient({ url: `redis://127.0.0.1:${port}` });
    client.on('error', () => {});
    return {
      broker: redisBroker({ client, timeoutMs }),
      async history() {
        await client.connect();
        return redisHistory({ client, messages: MESSAGES });
      },
      end: async () => {
        if (client.isOpen) client.destroy();
      },
    };
  },
};

export const ioredis: EngineKind = {
  name: 'ioredis',
  skip: skipWithoutRedis,
  start: startRedis,
  async client(port, timeoutMs = 10_000) {
    const client = new Redis(port, '127.0.0.1', { lazyConnect: true });
    client.on('error', () => {});
    return {
      broker: redisBroker({ client, timeoutMs }),
      async history() {
        await client.connect();
        return redisHistory({ client, messages: MESSAGES });
      },
      end: async () => client.disconnect(),
    };
  },
};

export const nats: EngineKind = {
  name: 'NATS',
  skip: skipWithoutNats,
  start: ({ maxBehind, keeps = false } = {}) =>
    NatsEngine.start({
      jetStream: keeps,
      settings:
        maxBehind === undefined ? [] : [`max_pending: ${maxBehind}`, 'write_deadline: "1s"'],
    }),
  async client(port, timeoutMs = 10_000) {
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 50,
      reconnectJitter: 10,
      ignoreClusterUpdates: true,
    });
    return {
      broker: natsBroker({ connection, timeoutMs }),
      history: async () => natsHistory({ connection, messages: MESSAGES }),
      end: () => connection.close(),
    };
  },
};

export const engineKinds: readonly EngineKind[] = [nodeRedis, ioredis, nats];
