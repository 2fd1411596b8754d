import { createServer } from 'node:http';
import FayeWebSocket from 'faye-websocket';
import { askedWork, MAX_MESSAGE_BYTES } from './control.ts';
import { listen } from './listening.ts';

const isEcho = askedWork() === 'echo';
const sockets = new Set<FayeWebSocket>();
const http = createServer();
http.on('upgrade', (request, stream, head) => {
  const options = { maxLength: MAX_MESSAGE_BYTES };
  const socket = new FayeWebSocket(request, stream, head, [], options);
  socket.on('error', (error) => console.error(error));
  if (isEcho) {
    socket.on('message', ({ data }) => {
      socket.send(data);
    });
    return;
  }
  sockets.add(socket);
  socket.on('close', () => sockets.delete(socket));
  socket.on('message', ({ data }) => {
    for (const each of sockets) each.send(data);
  });
});
listen(http);
