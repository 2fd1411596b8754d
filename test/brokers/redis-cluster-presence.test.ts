import { suite } from 'node:test';
import { redisClients } from './engines/redis-clients.ts';
import { skipWithoutRedis } from './engines/redis-engine.ts';
import { redisPresenceEngine } from './engines/redis-presence-engine.ts';
import { type PresenceEngine, presenceContract } from './presence-contract.ts';

// At once: that a cluster is away some clients find out only when no answer has come for a while.
suite('presences in Redis Cluster', { concurrency: 3, skip: skipWithoutRedis }, () => {
  for (const kind of redisClients) {
    const start = (): Promise<PresenceEngine> => redisPresenceEngine(kind, { cluster: true });
    presenceContract(`Redis Cluster by ${kind.name}`, start);
  }
});
