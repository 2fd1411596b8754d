import { skipWithoutNats } from '../../brokers/engines/nats-engine.ts';
import { startNats } from './command-line-engines.ts';
import { faultsContract } from './faults-contract.ts';

faultsContract('NATS', startNats, skipWithoutNats);
