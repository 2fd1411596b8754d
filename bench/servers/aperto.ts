import { type Server, serve } from 'aperto';
import {
  askedCertificate,
  askedChannel,
  askedCompressing,
  askedWork,
  MAX_MESSAGE_BYTES,
  ready,
} from './control.ts';

const EVERYONE = 'everyone';
/** Room for all that are measured over one connection of HTTP/2. */
const MAX_STREAMS = 10_000;

const compressing = askedCompressing();
const tls = askedCertificate();
const isEcho = askedWork() === 'echo';
const server: Server = await serve({
  compression: compressing !== 'none' && { takeover: compressing === 'takeover', threshold: 0 },
  limits: {
    maxMessageBytes: MAX_MESSAGE_BYTES,
    maxBufferedBytes: MAX_MESSAGE_BYTES,
    maxStreams: MAX_STREAMS,
  },
  ...(tls === undefined ? {} : { tls }),
  ...(askedChannel() === 'h2c' ? { http2: true } : {}),
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
