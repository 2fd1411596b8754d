import { type BrokerEngine, brokerContract } from './broker-contract.ts';
import { redisBrokerEngine } from './engines/redis-broker-engine.ts';
import { redisClients } from './engines/redis-clients.ts';
import { skipWithoutRedis } from './engines/redis-engine.ts';

for (const kind of redisClients) {
  brokerContract(`Redis, ${kind.name}`, () => redisBrokerEngine(kind, {}), {
    hasFaults: true,
    skip: skipWithoutRedis,
  });
}
for (const kind of redisClients) {
  const start = (): Promise<BrokerEngine> => redisBrokerEngine(kind, { sharded: false });
  brokerContract(`Redis, classic pub/sub, ${kind.name}`, start, {
    hasFaults: false,
    skip: skipWithoutRedis,
  });
}
