import { redisClient } from '../../../dist/brokers/redis/redis-client.js';
import type { RedisClientLike } from '../../../dist/brokers/redis.js';
import type { ClientKind } from './redis-clients.ts';
import { eventually, type RedisEngine } from './redis-engine.ts';

export interface ConnectedClient {
  readonly client: RedisClientLike;
  /** At once, without a word to anybody; once or more. */
  end(): Promise<void>;
}

/** Resolves once Redis answers it. */
export async function connectedClient(
  kind: ClientKind,
  engine: RedisEngine,
): Promise<ConnectedClient> {
  const { client, works, end } = kind.make(engine);
  // A client can have an answer before it calls itself ready.
  const answers = async (): Promise<boolean> =>
    (await works().catch(() => false)) && redisClient(client).isReady;
  await eventually(answers, 'the client is not connected');
  let ending: Promise<void> | undefined;
  return {
    client,
    end: () => {
      ending ??= end();
      return ending;
    },
  };
}
