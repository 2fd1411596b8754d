import { natsEngine } from '../../../apps/chat/dist/server/engine-nats.js';
import { NatsEngine, skipWithoutNats } from '../../brokers/engines/nats-engine.ts';
import { type SharedEngine, serversContract } from './servers-contract.ts';

async function start(): Promise<SharedEngine> {
  const nats = await NatsEngine.start();
  return {
    open: natsEngine(`nats://127.0.0.1:${nats.port}`),
    away: () => nats.kill(),
    back: () => nats.restart(),
    async loseAll() {
      await nats.kill();
      await nats.deleteStore();
      await nats.restart();
    },
    [Symbol.asyncDispose]: () => nats[Symbol.asyncDispose](),
  };
}

serversContract('NATS', start, skipWithoutNats);
