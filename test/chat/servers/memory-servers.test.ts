import { MemoryCluster } from './memory-cluster.ts';
import { serversContract } from './servers-contract.ts';

serversContract('an engine in memory', async () => new MemoryCluster());
