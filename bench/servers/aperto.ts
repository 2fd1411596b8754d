import { type Server, serve } from 'aperto';
import { askedWork, MAX_MESSAGE_BYTES, ready } from './control.ts';

const EVERYONE = 'everyone';

const isEcho = askedWork() === 'echo';
const server: Server = await serve({
  limits: { maxMessageBytes: MAX_MESSAGE_BYTES, maxBufferedBytes: MAX_MESSAGE_BYTES },
  routes: {
    '*': isEcho
      ? {
          message(peer, data) {
            peer.send(data);
          },
        }
      : {
          open(peer) {
            peer.subscribe(EVERYONE);
          },
          message(_peer, data) {
            server.publish(EVERYONE, data);
          },
        },
  },
});
ready(server.port);
