import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { WebSocketServer } from 'ws';
import { askedCertificate, askedCompressing, askedWork } from './control.ts';
import { listen } from './listening.ts';

const isEcho = askedWork() === 'echo';
const compressing = askedCompressing();
const takesOver = compressing === 'takeover';
const tls = askedCertificate();
const http = tls === undefined ? createServer() : createTlsServer(tls);
const server = new WebSocketServer({
  server: http,
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
listen(http);
