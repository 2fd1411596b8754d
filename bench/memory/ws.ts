import { type RawData, type WebSocket, WebSocketServer } from 'ws';
import { measureInMemory, NO_HEAD } from './measure-in-memory.ts';

await measureInMemory(async (request, memory, onMessage) => {
  const options = { noServer: true, perMessageDeflate: false, clientTracking: false };
  const server = new WebSocketServer(options);
  const socket = await new Promise<WebSocket>((resolve) => {
    server.handleUpgrade(request, memory, NO_HEAD, resolve);
  });
  socket.on('message', (data: RawData) => onMessage(lengthOf(data)));
  return (text) => socket.send(text);
});

function lengthOf(data: RawData): number {
  return Buffer.isBuffer(data) ? data.length : -1;
}
