import { redisPresence } from '../../../dist/brokers/redis/redis-presence.js';
import type { PresenceEngine } from '../presence-contract.ts';
import { type ConnectedClient, connectedClient } from './connected-client.ts';
import type { ClientKind } from './redis-clients.ts';
import { RedisEngine, type RedisEngineOptions } from './redis-engine.ts';

/** Presences over a Redis, for the contract. */
export async function redisPresenceEngine(
  kind: ClientKind,
  options: RedisEngineOptions,
): Promise<PresenceEngine> {
  const engine = await RedisEngine.start(options);
  const clients: ConnectedClient[] = [];
  return {
    async node(options) {
      const client = await connectedClient(kind, engine);
      clients.push(client);
      const presence = redisPresence({ client: client.client, ...options });
      return { presence, crash: () => client.end() };
    },
    away: () => engine.kill(),
    back: () => engine.restart(),
    async [Symbol.asyncDispose]() {
      for (const client of clients) await client.end();
      await engine.end();
    },
  };
}
