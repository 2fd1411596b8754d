import { skipWithoutRedis } from '../../brokers/engines/redis-engine.ts';
import { startRedis } from './command-line-engines.ts';
import { workersContract } from './workers-contract.ts';

workersContract('Redis', startRedis, skipWithoutRedis);
