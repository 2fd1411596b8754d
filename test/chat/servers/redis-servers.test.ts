import { rm } from 'node:fs/promises';
import { redisEngine } from '../../../apps/chat/dist/server/engine-redis.js';
import { RedisEngine, skipWithoutRedis } from '../../brokers/engines/redis-engine.ts';
import { type SharedEngine, serversContract } from './servers-contract.ts';

async function start(): Promise<SharedEngine> {
  // It keeps what it has acknowledged, as one must where the history is to outlive it.
  const redis = await RedisEngine.start({
    config: ['--appendonly', 'yes', '--appendfsync', 'always'],
  });
  return {
    open: redisEngine(redis.server.url),
    away: () => redis.kill(),
    back: () => redis.restart(),
    async loseAll() {
      await redis.kill();
      await rm(redis.server.folder, { recursive: true });
      await redis.restart();
    },
    [Symbol.asyncDispose]: () => redis.end(),
  };
}

serversContract('Redis', start, skipWithoutRedis);
