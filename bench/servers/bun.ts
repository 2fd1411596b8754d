// Bun runs this one.
import { askedWork, MAX_MESSAGE_BYTES, ready } from './control.ts';

const EVERYONE = 'everyone';

const isEcho = askedWork() === 'echo';
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request, serving) {
    return serving.upgrade(request) ? undefined : new Response('WebSocket only', { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    maxPayloadLength: MAX_MESSAGE_BYTES,
    backpressureLimit: MAX_MESSAGE_BYTES,
    open(socket) {
      if (!isEcho) socket.subscribe(EVERYONE);
    },
    message: isEcho
      ? (socket, message) => {
          socket.send(message);
        }
      : (_socket, message) => {
          server.publish(EVERYONE, message);
        },
  },
});
ready(server.port);
