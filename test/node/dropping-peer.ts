import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Peer, Server } from '../../dist/index.js';
import { dial, handshake } from '../faults/raw-client.ts';
import { Mailbox, startServer } from './connections.ts';

const message = 'x'.repeat(64 * 1024);

/** A server's peer that does not read, and is sent messages until so many were dropped. */
export async function dropMessages(
  t: TestContext,
  count: number,
): Promise<{ readonly server: Server; readonly peer: Peer; readonly sent: number }> {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, {
    routes: { '/': { slowPeers: 'drop', open: opened.put } },
    limits: { highWaterMarkBytes: 1_000, maxBufferedBytes: 100_000 },
  });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  raw.socket.pause();
  const peer = await opened.next();
  let sent = 0;
  for (; peer.dropped < count; sent++) {
    peer.send(message);
    await nextTurn();
  }
  return { server, peer, sent };
}
