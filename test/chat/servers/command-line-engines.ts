import { natsEngine } from '../../../apps/chat/dist/server/engine-nats.js';
import { redisEngine } from '../../../apps/chat/dist/server/engine-redis.js';
import { NatsEngine } from '../../brokers/engines/nats-engine.ts';
import { RedisEngine } from '../../brokers/engines/redis-engine.ts';
import type { CommandLineEngine } from './ledger.ts';

/** It keeps what it has acknowledged, as one must where the history is to outlive it. */
export async function startRedis(): Promise<CommandLineEngine> {
  const redis = await RedisEngine.start({
    config: ['--appendonly', 'yes', '--appendfsync', 'always'],
  });
  const { url } = redis.server;
  return {
    args: ['--redis', url],
    open: redisEngine(url),
    kill: () => redis.kill(),
    restart: () => redis.restart(),
    [Symbol.asyncDispose]: () => redis.end(),
  };
}

export async function startNats(): Promise<CommandLineEngine> {
  const nats = await NatsEngine.start();
  const url = `nats://127.0.0.1:${nats.port}`;
  return {
    args: ['--nats', url],
    open: natsEngine(url),
    kill: () => nats.kill(),
    restart: () => nats.restart(),
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
  };
}
