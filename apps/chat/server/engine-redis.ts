import { redisBroker, redisHistory, redisPresence } from 'aperto/redis';
import { createClient } from 'redis';
import type { OpenEngine } from './engine.ts';

/** The chat of all servers that use the same Redis. It is connected to in the background, again and again. */
export function redisEngine(url: string): OpenEngine {
  return async ({ limits, gone }) => {
    const client = createClient({ url });
    // The broker listens too, and tells.
    client.on('error', () => {});
    const isTried = new Promise<unknown>((resolve) => {
      client.once('ready', resolve).once('error', resolve);
    });
    client.connect().catch(() => {});
    await isTried;
    return {
      broker: redisBroker({ client }),
      history: redisHistory({
        client,
        messages: limits.rememberedMessages,
        ttlMs: limits.rememberedMs,
      }),
      presence: redisPresence({ client, onGone: gone }),
      async close() {
        if (client.isOpen) client.destroy();
      },
    };
  };
}
