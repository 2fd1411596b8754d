import { processesContract } from './processes-contract.ts';
import { nodeRedis } from './topic-engines.ts';

processesContract(nodeRedis);
