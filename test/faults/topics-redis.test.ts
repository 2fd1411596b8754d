import { ioredis, nodeRedis } from './topic-engines.ts';
import { topicsContract } from './topics-contract.ts';

topicsContract(nodeRedis);
topicsContract(ioredis);
