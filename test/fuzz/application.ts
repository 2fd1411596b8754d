import type { Server as Http1Server } from 'node:http';
import type { Http2Server } from 'node:http2';
import { attach, type Message, type Peer, type Route } from '../../dist/index.js';
import { turn } from './wire.ts';

type Kind = 'open' | 'message' | 'close';
type Note = (peer: Peer<undefined>, kind: Kind, content: string) => void;

/** What is attached to servers that are fuzzed: routes of all kinds that tell what they are told, within small limits. */
export function attachApplication(http: Http1Server | Http2Server, note: Note): void {
  const base: Route<undefined> = {
    origins: '*',
    open: (peer) => note(peer, 'open', ''),
    close: (peer, code, reason) => note(peer, 'close', `${code} ${reason}`),
  };
  const echo = (peer: Peer<undefined>, message: Message): void => {
    const text = typeof message === 'string' ? message : Buffer.from(message).toString('hex');
    note(peer, 'message', text);
    peer.send(message);
  };
  attach(http, {
    compression: { threshold: 8 },
    limits: { maxMessageBytes: 1_000, maxFragments: 6, maxHeaders: 30 },
    onError: (error) => {
      throw error;
    },
    routes: {
      '/echo': { ...base, message: echo },
      '/slow': {
        ...base,
        upgrade: async () => {
          await turn();
          return undefined;
        },
        message: async (peer, message) => {
          await turn();
          echo(peer, message);
        },
      },
      '/close': { ...base, message: (peer) => peer.close(1000, 'enough') },
    },
  });
}
