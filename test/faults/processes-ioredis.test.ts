import { processesContract } from './processes-contract.ts';
import { ioredis } from './topic-engines.ts';

processesContract(ioredis);
