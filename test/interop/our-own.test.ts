import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Message, Peer } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox } from '../node/connections.ts';
import { checkSame, everyMessage, ourServer, transports, trust } from './transports.ts';

for (const transport of transports) {
  describe(`our client, our server, ${transport}`, () => {
    test('messages of every size, both ways at once', async (t) => {
      const opened = new Mailbox<Peer>();
      const atServer = new Mailbox<Message>();
      const atClient = new Mailbox<Message>();
      const { url } = await ourServer(t, transport, {
        limits: { maxBufferedBytes: 2 ** 30 },
        routes: { '/': { open: opened.put, message: (_, message) => atServer.put(message) } },
      });
      const client = await dialTo(t, url, {
        ...(await trust(transport)),
        limits: { maxBufferedBytes: 2 ** 30 },
        message: (_, message) => atClient.put(message),
      });
      const server = await opened.next();
      const messages = everyMessage();
      for (const message of messages) {
        client.send(message);
        server.send(message);
      }
      for (const message of messages) {
        checkSame(await atServer.next(), message);
        checkSame(await atClient.next(), message);
      }
      assert.equal(client.bufferedAmount, 0);
      server.close(4000, 'enough');
      assert.deepEqual(await within('the end', client.closed), {
        code: 4000,
        reason: 'enough',
        error: undefined,
      });
    });

    test('100 peers hear each of 100 messages, in order', async (t) => {
      const server = await ourServer(t, transport, {
        routes: { '/': { open: (peer) => peer.subscribe('all') } },
      });
      const options = await trust(transport);
      const inboxes = await Promise.all(
        Array.from({ length: 100 }, async () => {
          const inbox = new Mailbox<Message>();
          await dialTo(t, server.url, { ...options, message: (_, message) => inbox.put(message) });
          return inbox;
        }),
      );
      // `open` runs before the client can know that it is connected.
      assert.equal(server.subscriberCount('all'), 100);
      const sent = Array.from({ length: 100 }, (_, at) => `message ${at}`);
      for (const message of sent) server.publish('all', message);
      for (const inbox of inboxes) assert.deepEqual(await inbox.take(100), sent);
    });
  });
}
