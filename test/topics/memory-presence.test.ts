import { memoryPresence } from '../../dist/topics/memory-presence.js';
import { presenceContract } from '../brokers/presence-contract.ts';

presenceContract(
  'in memory',
  async () => ({
    node: async () => ({ presence: memoryPresence(), crash: async () => {} }),
    [Symbol.asyncDispose]: async () => {},
  }),
  { isShared: false },
);
