import { skipWithoutNats } from '../../brokers/engines/nats-engine.ts';
import { startNats } from './command-line-engines.ts';
import { workersContract } from './workers-contract.ts';

workersContract('NATS', startNats, skipWithoutNats);
