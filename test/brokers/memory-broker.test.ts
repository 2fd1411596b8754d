import { MemoryEngine } from '../../dist/topics/memory-broker.js';
import { type BrokerEngine, brokerContract } from './broker-contract.ts';

async function start(): Promise<BrokerEngine> {
  const engine = new MemoryEngine();
  return {
    node: async () => ({
      broker: engine.broker(),
      clientWorks: async () => true,
      end: async () => {},
    }),
    [Symbol.asyncDispose]: async () => {},
  };
}

brokerContract('memory', start, { hasFaults: false });
