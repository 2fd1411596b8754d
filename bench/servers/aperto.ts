import { type Server, serve } from 'aperto';
import { askedCompressing, askedWork, MAX_MESSAGE_BYTES, ready } from './control.ts';

const EVERYONE = 'everyone';

const compressing = askedCompressing();
const isEcho = askedWork() === 'echo';
const server: Server = await serve({
  compression: compressing !== 'none' && { takeover: compressing === 'takeover', threshold: 0 },
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
