import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Message, Peer } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { checkSame, everyMessage, ourServer, transports } from './transports.ts';
import { theirClient } from './ws-peer.ts';

for (const transport of transports) {
  describe(`their client, our server, ${transport}`, () => {
    test('messages of every size come back', async (t) => {
      const { url } = await ourServer(t, transport, {
        routes: {
          '/': {
            message(peer, message) {
              peer.send(message);
            },
          },
        },
      });
      const { socket, messages } = await theirClient(t, url);
      assert.equal(socket.extensions, '', 'permessage-deflate is declined');
      for (const message of everyMessage()) {
        socket.send(message);
        checkSame(await messages.next(), message);
      }
    });

    test('many at once keep their order, fragmented or not', async (t) => {
      const got = new Mailbox<Message>();
      const { url } = await ourServer(t, transport, {
        routes: {
          '/': {
            message(peer, message) {
              got.put(message);
              peer.send(message);
            },
          },
        },
      });
      const { socket, messages } = await theirClient(t, url);
      const sent: (string | Buffer)[] = [];
      for (let at = 0; at < 300; at++) {
        const message = at % 2 === 0 ? `text ${at}` : Buffer.alloc(at * 20, at);
        sent.push(message);
        if (at % 3 !== 0) socket.send(message);
        else {
          const binary = typeof message !== 'string';
          const whole = Buffer.from(message);
          const middle = whole.length >> 1;
          socket.send(whole.subarray(0, middle), { binary, fin: false });
          if (at % 9 === 0) socket.ping();
          socket.send(whole.subarray(middle), { binary, fin: true });
        }
      }
      for (const message of sent) {
        checkSame(await got.next(), message);
        checkSame(await messages.next(), message);
      }
    });

    test('ping and pong both ways', async (t) => {
      const log = new Mailbox<string>();
      const { url } = await ourServer(t, transport, {
        routes: {
          '/': {
            open: (peer) => void peer.ping('ours'),
            ping: (_, payload) => log.put(`ping ${Buffer.from(payload)}`),
            pong: (_, payload) => log.put(`pong ${Buffer.from(payload)}`),
          },
        },
      });
      const { socket, pings, pongs } = await theirClient(t, url);
      assert.equal(await pings.next(), 'ours');
      assert.equal(await log.next(), 'pong ours');
      socket.ping('theirs');
      assert.equal(await log.next(), 'ping theirs');
      assert.equal(await pongs.next(), 'theirs');
      socket.pong('unasked');
      assert.equal(await log.next(), 'pong unasked');
    });

    test('close codes and reasons, by either side', async (t) => {
      const opened = new Mailbox<Peer>();
      const { url } = await ourServer(t, transport, { routes: { '/': { open: opened.put } } });
      for (const [code, reason] of [
        [1000, ''],
        [1001, 'going'],
        [3000, 'r\u00e9ason'],
        [4999, 'x'.repeat(123)],
      ] as const) {
        const closing = await theirClient(t, url);
        const ours = await opened.next();
        closing.socket.close(code, reason);
        const atUs = await within('our end', ours.closed);
        assert.deepEqual([atUs.code, atUs.reason, atUs.error], [code, reason, undefined]);
        assert.equal((await closing.closed).code, code);

        const closed = await theirClient(t, url);
        (await opened.next()).close(code, reason);
        assert.deepEqual(await within('their end', closed.closed), { code, reason });
        assert.deepEqual([...closing.errors, ...closed.errors], []);
      }
      const silent = await theirClient(t, url);
      const ours = await opened.next();
      silent.socket.close();
      assert.equal((await within('our end', ours.closed)).code, 1005);
      assert.equal((await silent.closed).code, 1005);

      const cut = await theirClient(t, url);
      (await opened.next()).terminate();
      assert.equal((await within('their end', cut.closed)).code, 1006);
    });

    test('subprotocols', async (t) => {
      const { url } = await ourServer(t, transport, {
        routes: { '/': { protocols: ['chat', 'superchat'] } },
      });
      const first = await theirClient(t, url, ['superchat', 'chat']);
      assert.equal(first.socket.protocol, 'superchat');
      const none = await theirClient(t, url);
      assert.equal(none.socket.protocol, '');
    });

    test('a message over the limit: 1009', async (t) => {
      const { url } = await ourServer(t, transport, {
        limits: { maxMessageBytes: 1_000 },
        routes: { '/': {} },
      });
      const { socket, closed } = await theirClient(t, url);
      socket.send('x'.repeat(1_001));
      assert.equal((await within('their end', closed)).code, 1009);
    });
  });
}
