import { WebSocketServer } from 'ws';
import { askedCompressing, askedWork, ready } from './control.ts';
import { portOf } from './listening.ts';

const isEcho = askedWork() === 'echo';
const compressing = askedCompressing();
const takesOver = compressing === 'takeover';
const server = new WebSocketServer({
  port: 0,
  host: '127.0.0.1',
  perMessageDeflate:
    compressing === 'none'
      ? false
      : {
          threshold: 0,
          serverNoContextTakeover: !takesOver,
          clientNoContextTakeover: !takesOver,
          zlibDeflateOptions: { level: 1 },
        },
  clientTracking: !isEcho,
});
server.on('connection', (socket) => {
  socket.on('error', (error) => console.error(error));
  socket.on(
    'message',
    isEcho
      ? (data, isBinary) => socket.send(data, { binary: isBinary })
      : (data, isBinary) => {
          for (const client of server.clients) client.send(data, { binary: isBinary });
        },
  );
});
server.on('listening', () => ready(portOf(server.address())));
