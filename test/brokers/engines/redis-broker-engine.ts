import { redisBroker } from '../../../dist/brokers/redis.js';
import type { BrokerEngine } from '../broker-contract.ts';
import type { ClientKind } from './redis-clients.ts';
import { RedisEngine, type RedisEngineOptions } from './redis-engine.ts';

/** Brokers over a Redis, for the contract. */
export async function redisBrokerEngine(
  kind: ClientKind,
  options: RedisEngineOptions & { readonly sharded?: boolean },
): Promise<BrokerEngine> {
  const { sharded } = options;
  const engine = await RedisEngine.start(options);
  return {
    async node() {
      const { client, works, end } = kind.make(engine);
      return {
        broker: redisBroker({ client, ...(sharded === undefined ? {} : { sharded }) }),
        clientWorks: works,
        end,
      };
    },
    faults: {
      kill: () => engine.kill(),
      restart: () => engine.restart(),
      cutConnections: async () => {
        await Promise.all(engine.servers.map((server) => server.cutConnections()));
      },
    },
    [Symbol.asyncDispose]: () => engine.end(),
  };
}
