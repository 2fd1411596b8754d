export { type RedisBrokerOptions, redisBroker } from './redis/redis-broker.ts';
export type { RedisClientLike } from './redis/redis-client.ts';
export { type RedisHistoryOptions, redisHistory } from './redis/redis-history.ts';
export { type RedisPresenceOptions, redisPresence } from './redis/redis-presence.ts';
