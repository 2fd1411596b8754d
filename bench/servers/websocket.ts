import { createServer } from 'node:http';
import websocket from 'websocket';
import { askedWork, MAX_MESSAGE_BYTES } from './control.ts';
import { listen } from './listening.ts';

const isEcho = askedWork() === 'echo';
const http = createServer();
const server = new websocket.server({
  httpServer: http,
  autoAcceptConnections: true,
  fragmentOutgoingMessages: false,
  keepalive: false,
  maxReceivedFrameSize: MAX_MESSAGE_BYTES,
  maxReceivedMessageSize: MAX_MESSAGE_BYTES,
});
server.on('connect', (connection) => {
  connection.on('error', (error) => console.error(error));
  connection.on('message', (message) => {
    if (message.type === 'utf8') {
      if (isEcho) connection.sendUTF(message.utf8Data);
      else server.broadcastUTF(message.utf8Data);
    } else if (isEcho) connection.sendBytes(message.binaryData);
    else server.broadcastBytes(message.binaryData);
  });
});
listen(http);
