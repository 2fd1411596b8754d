import { Cluster, Redis } from 'ioredis';
import { createClient, createCluster } from 'redis';
import * as version5 from 'redis-5';
import type { RedisClientLike } from '../../../dist/brokers/redis.js';
import type { RedisEngine } from './redis-engine.ts';

/** A client as an application has it. */
export interface ApplicationClient {
  readonly client: RedisClientLike;
  /** Whether it is connected, and Redis answers. */
  works(): Promise<boolean>;
  end(): Promise<void>;
}

export interface ClientKind {
  readonly name: string;
  /** Of the package that the client comes from, for a program of its own: an expression over `url`. */
  readonly program: { readonly imports: string; readonly make: string; readonly end: string };
  /** A client of the engine, or the engine's cluster, that connects by itself. */
  make(
    engine: RedisEngine,
    user?: { readonly username: string; readonly password: string },
  ): ApplicationClient;
}

const noop = (): void => {};

export const redisClients: readonly ClientKind[] = [
  {
    name: 'node-redis 6',
    program: {
      imports: `import { createClient } from 'redis'`,
      make: 'createClient({ url })',
      end: 'client.destroy()',
    },
    make(engine, user = undefined) {
      const url = engine.server.url;
      const client = engine.isCluster
        ? createCluster({ rootNodes: rootNodes(engine), defaults: { ...user } })
        : createClient({ url, ...user });
      client.on('error', noop);
      const connecting = client.connect().then(noop, noop);
      return {
        client,
        works: async () => (await client.set('works', 'yes')) === 'OK',
        end: async () => {
          // A cluster's client that is closed while it connects leaves connections behind.
          if (engine.isCluster) await connecting;
          client.destroy();
        },
      };
    },
  },
  {
    name: 'node-redis 5',
    program: {
      imports: `import { createClient } from 'redis-5'`,
      make: 'createClient({ url })',
      end: 'client.destroy()',
    },
    make(engine, user = undefined) {
      const url = engine.server.url;
      const client = engine.isCluster
        ? version5.createCluster({ rootNodes: rootNodes(engine), defaults: { ...user } })
        : version5.createClient({ url, ...user });
      client.on('error', noop);
      const connecting = client.connect().then(noop, noop);
      return {
        client,
        works: async () => (await client.set('works', 'yes')) === 'OK',
        end: async () => {
          if (engine.isCluster) await connecting;
          // It throws where it is not open.
          if (client.isOpen) client.destroy();
        },
      };
    },
  },
  {
    name: 'ioredis 6',
    program: {
      imports: `import { Redis } from 'ioredis'`,
      make: 'new Redis(url)',
      end: 'client.disconnect()',
    },
    make(engine, user = undefined) {
      const nodes = engine.servers.map(({ port }) => ({ host: '127.0.0.1', port }));
      const client = engine.isCluster
        ? new Cluster(nodes, { redisOptions: { ...user } })
        : new Redis({ ...nodes[0], ...user });
      client.on('error', noop);
      return {
        client,
        works: async () => (await client.set('works', 'yes')) === 'OK',
        end: async () => client.disconnect(),
      };
    },
  },
];

function rootNodes(engine: RedisEngine): { url: string }[] {
  return engine.servers.map(({ url }) => ({ url }));
}
