// Bun runs this one.
import { askedCompressing, askedWork, MAX_MESSAGE_BYTES, ready } from './control.ts';

const EVERYONE = 'everyone';

const compressing = askedCompressing();
const context = compressing === 'takeover' ? 'dedicated' : 'shared';
const compress = compressing !== 'none';
const isEcho = askedWork() === 'echo';
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  fetch(request, serving) {
    return serving.upgrade(request) ? undefined : new Response('WebSocket only', { status: 426 });
  },
  websocket: {
    perMessageDeflate: compress && { compress: context, decompress: context },
    maxPayloadLength: MAX_MESSAGE_BYTES,
    backpressureLimit: MAX_MESSAGE_BYTES,
    open(socket) {
      if (!isEcho) socket.subscribe(EVERYONE);
    },
    message: isEcho
      ? (socket, message) => {
          socket.send(message, compress);
        }
      : (_socket, message) => {
          server.publish(EVERYONE, message, compress);
        },
  },
});
ready(server.port);
