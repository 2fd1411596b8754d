import { connect } from '@nats-io/transport-node';
import { type Broker, type Server, serve } from 'aperto';
import { natsBroker } from 'aperto/nats';
import { redisBroker } from 'aperto/redis';
import { createClient } from 'redis';
import { askedEngine, MAX_MESSAGE_BYTES, ready } from './control.ts';

const EVERYONE = 'everyone';

const server: Server = await serve({
  broker: await brokerOver(askedEngine()),
  limits: { maxMessageBytes: MAX_MESSAGE_BYTES, maxBufferedBytes: MAX_MESSAGE_BYTES },
  routes: {
    '*': {
      open(peer) {
        peer.subscribe(EVERYONE);
      },
      message(_peer, data) {
        server.publish(EVERYONE, data);
      },
    },
  },
});
ready(server.port);

async function brokerOver(url: string): Promise<Broker> {
  if (url.startsWith('nats:')) return natsBroker({ connection: await connect({ servers: url }) });
  const client = createClient({ url });
  client.on('error', (error) => console.error(error));
  await client.connect();
  return redisBroker({ client });
}
