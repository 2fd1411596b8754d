import { createServer } from 'node:http';
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';
import { askedEngine, SHARDED } from './control.ts';
import { listen } from './listening.ts';

const EVERYONE = 'everyone';

// By default the client makes an AbortSignal for each command, which costs more than the command itself.
const publisher = createClient({ url: askedEngine(), commandOptions: { timeout: 0 } });
const subscriber = publisher.duplicate();
for (const client of [publisher, subscriber]) {
  client.on('error', (error) => console.error(error));
  await client.connect();
}
const http = createServer();
const server = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  serveClient: false,
  adapter:
    process.env[SHARDED] === undefined
      ? createAdapter(publisher, subscriber)
      : createShardedAdapter(publisher, subscriber),
});
// As its documentation advises, for less memory.
server.engine.on('connection', (socket) => {
  socket.request = null;
});
server.on('connection', (socket) => {
  socket.join(EVERYONE);
  socket.on('m', (text: string) => server.to(EVERYONE).emit('m', text));
});
listen(http);
