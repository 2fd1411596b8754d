import { processesContract } from './processes-contract.ts';
import { nats } from './topic-engines.ts';

processesContract(nats);
