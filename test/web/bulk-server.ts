/**
 * A server that runs as a process of its own, so that a test can measure its client alone: sends a number of
 * messages on `/send`, its only argument, as fast as they are taken, and closes; takes messages on `/take` from
 * when it is told to.
 */
import { type Peer, serve } from '../../dist/index.js';
import { makeGate } from '../node/connections.ts';
import {
  type BulkProgress,
  type BulkQuestion,
  checkMessage,
  MESSAGE_BYTES,
  messageAt,
} from './bulk-messages.ts';

const count = Number(process.argv[2]);
const taking = makeGate();
let messages = 0;
let stops = 0;

function sendOn(peer: Peer): void {
  while (messages < count) {
    const hasRoom = peer.send(messageAt(messages));
    messages++;
    if (!hasRoom) {
      stops++;
      return;
    }
  }
  peer.close(1000, 'all sent');
}

const server = await serve({
  port: 0,
  host: '127.0.0.1',
  limits: { maxMessageBytes: MESSAGE_BYTES },
  routes: {
    '/send': { open: sendOn, drain: sendOn },
    '/take': {
      async message(_, message) {
        await taking.opened;
        checkMessage(message, messages);
        messages++;
      },
    },
  },
});

process.on('message', (question: BulkQuestion) => {
  if (question === 'take') taking.open();
  const progress: BulkProgress = { messages, stops };
  process.send?.(progress);
});
process.on('disconnect', () => process.exit());
process.send?.(server.url);
