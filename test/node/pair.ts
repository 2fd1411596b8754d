import type { TestContext } from 'node:test';
import type { ClientPeer, Message, Peer, Route } from '../../dist/index.js';
import { dialTo, Mailbox, startServer } from './connections.ts';

export interface Pair {
  readonly client: ClientPeer;
  readonly server: Peer;
  readonly atClient: Mailbox<Message>;
  readonly atServer: Mailbox<Message>;
}

/** A client and the server's peer for it, each with what came to it. */
export async function pair(t: TestContext, route: Route<undefined> = {}): Promise<Pair> {
  const opened = new Mailbox<Peer>();
  const atServer = new Mailbox<Message>();
  const atClient = new Mailbox<Message>();
  const { url } = await startServer(t, {
    routes: {
      '/': { message: (_, message) => atServer.put(message), ...route, open: opened.put },
    },
  });
  const client = await dialTo(t, url, { message: (_, message) => atClient.put(message) });
  return { client, server: await opened.next(), atClient, atServer };
}
