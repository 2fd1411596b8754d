import { createServer } from 'node:http';
import { attach, type Peer } from 'aperto';
import { measureInMemory, NO_HEAD } from './measure-in-memory.ts';

await measureInMemory(async (request, socket, onMessage) => {
  const http = createServer();
  const peer = await new Promise<Peer>((resolve) => {
    attach(http, {
      routes: { '*': { open: resolve, message: (_peer, data) => onMessage(data.length) } },
    });
    http.emit('upgrade', request, socket, NO_HEAD);
  });
  return (text) => peer.send(text);
});
