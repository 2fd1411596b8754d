import { nats } from './topic-engines.ts';
import { topicsContract } from './topics-contract.ts';

topicsContract(nats);
