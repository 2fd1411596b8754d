import { createServer } from 'node:http';
import websocket, { type connection } from 'websocket';
import { measureInMemory, NO_HEAD } from './measure-in-memory.ts';

await measureInMemory(async (request, socket, onMessage) => {
  const http = createServer();
  const server = new websocket.server({
    httpServer: http,
    autoAcceptConnections: true,
    fragmentOutgoingMessages: false,
    keepalive: false,
  });
  const accepted = await new Promise<connection>((resolve) => {
    server.on('connect', resolve);
    http.emit('upgrade', request, socket, NO_HEAD);
  });
  accepted.on('message', (message) => {
    onMessage(message.type === 'utf8' ? message.utf8Data.length : -1);
  });
  return (text) => accepted.sendUTF(text);
});
