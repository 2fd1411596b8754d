import { skipWithoutRedis } from '../../brokers/engines/redis-engine.ts';
import { startRedis } from './command-line-engines.ts';
import { faultsContract } from './faults-contract.ts';

faultsContract('Redis', startRedis, skipWithoutRedis);
