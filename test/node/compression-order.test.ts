import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Message, type Peer, prepareMessage, type Server } from '../../dist/index.js';
import { deflated, RSV1 } from '../faults/deflated.ts';
import { BINARY, CLOSE, clientFrame, closeCodeOf, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { numbered, OFFER, offer, Receiver } from './compressed-peer.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';

/** A server whose peers hear what is published to `all`, each with what it got. */
async function startRoom(
  t: TestContext,
  compression: NonNullable<Parameters<typeof startServer>[1]['compression']>,
): Promise<{ server: Server; opened: Mailbox<Peer> }> {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, {
    compression,
    limits: { maxBufferedBytes: Infinity },
    routes: {
      '/': {
        open(peer) {
          peer.subscribe('all');
          opened.put(peer);
        },
      },
    },
  });
  return { server, opened };
}

describe('a message for many', () => {
  for (const takeover of [false, true]) {
    test(`is compressed once for all who agreed on the same, takeover ${takeover}`, async (t) => {
      const { server } = await startRoom(t, { takeover });
      const receivers: Receiver[] = [];
      for (let at = 0; at < 50; at++) {
        const { raw, accepted } = await offer(t, server, OFFER);
        receivers.push(new Receiver(raw, accepted));
      }
      const { deflated: count } = server.compression;
      let messages = 0;
      for (const size of [1_024, 20_000, 150_000]) {
        for (const send of [
          (data: string) => server.publish('all', data),
          (data: string) => {
            const prepared = prepareMessage(data);
            for (const peer of server.peers) peer.send(prepared);
          },
        ]) {
          const data = numbered(++messages, size);
          send(data);
          for (const receiver of receivers) {
            assert.equal((await receiver.next()).message.toString(), data);
            assert.equal(receiver.compressed, messages);
          }
          assert.equal(count.messages, messages);
        }
      }
      // Several in one tick.
      const batch = Array.from({ length: 20 }, (_, at) =>
        numbered(at, at % 3 === 0 ? 80_000 : 2_000),
      );
      for (const data of batch) server.publish('all', data);
      for (const receiver of receivers) {
        for (const data of batch) assert.equal((await receiver.next()).message.toString(), data);
      }
      assert.equal(count.messages, messages + batch.length);
    });
  }

  test('reaches peers who agreed on different things alike, in order with what each is sent alone', async (t) => {
    const { server, opened } = await startRoom(t, { takeover: true, threshold: 100 });
    const offers = [
      undefined,
      'permessage-deflate; server_no_context_takeover',
      'permessage-deflate; server_no_context_takeover; server_max_window_bits=9',
      'permessage-deflate; server_max_window_bits=9',
      'permessage-deflate; server_max_window_bits=12; client_no_context_takeover',
      'permessage-deflate; server_max_window_bits=15',
      'permessage-deflate',
      'permessage-deflate; server_max_window_bits=8',
    ];
    const peers: { peer: Peer; receiver: Receiver; sent: string[]; isPlain: boolean }[] = [];
    for (const offered of [...offers, ...offers]) {
      const { raw, accepted } = await offer(t, server, offered);
      const receiver = new Receiver(raw, accepted);
      peers.push({
        peer: await opened.next(),
        receiver,
        sent: [],
        isPlain: accepted === undefined,
      });
    }
    assert.equal(peers.filter(({ isPlain }) => isPlain).length, 4);
    const sizes = [10, 150, 2_000, 700, 40_000, 90_000, 300];
    for (let round = 0; round < 60; round++) {
      const data = numbered(round, sizes[round % sizes.length] as number);
      for (const { sent } of peers) sent.push(data);
      if (round % 4 === 3) {
        const prepared = prepareMessage(data);
        for (const { peer } of peers) peer.send(prepared);
      } else server.publish('all', data, { compress: round % 5 !== 4 });
      for (const [at, { peer, sent }] of peers.entries()) {
        if ((round + at) % 3 !== 0) continue;
        const alone = numbered(
          1_000 + round * 20 + at,
          sizes[(round + at) % sizes.length] as number,
        );
        sent.push(alone);
        peer.send(alone, { compress: (round + at) % 4 !== 1 });
      }
      if (round % 10 === 9) await nextTurn();
    }
    for (const [at, { receiver, sent, isPlain }] of peers.entries()) {
      for (const data of sent) {
        const { first, message } = await receiver.next();
        assert.equal(first, TEXT);
        assert.ok(
          message.equals(Buffer.from(data)),
          `${offers[at % offers.length]}: ${data.slice(0, 10)}`,
        );
      }
      assert.equal(receiver.compressed > 0, !isPlain);
    }
  });
});

describe('large messages, which another thread compresses and inflates', () => {
  const sizes = [5, 100_000, 2_000, 3, 400_000, 70_000, 1_024, 10];

  for (const takeover of [false, true]) {
    test(`keep their order with others, both ways, takeover ${takeover}`, async (t) => {
      const opened = new Mailbox<Peer>();
      const atServer = new Mailbox<Message>();
      const atClient = new Mailbox<Message>();
      const limits = { maxBufferedBytes: Infinity };
      const server = await startServer(t, {
        compression: { takeover },
        limits,
        routes: { '/': { open: opened.put, message: (_, message) => atServer.put(message) } },
      });
      const client = await dialTo(t, server.url, {
        compression: { takeover },
        limits,
        message: (_, message) => atClient.put(message),
      });
      const peer = await opened.next();
      const sent = Array.from({ length: 48 }, (_, at) => {
        const text = numbered(at, sizes[at % sizes.length] as number);
        if (at % 3 === 1) return Buffer.from(text);
        return at % 7 === 6 ? randomBytes(text.length) : text;
      });
      for (const [at, data] of sent.entries()) {
        const compress = at % 5 !== 4;
        client.send(data, { compress });
        if (at % 4 === 0) peer.send(prepareMessage(data, { compress }));
        else peer.send(data, { compress });
        if (at % 16 === 15) await nextTurn();
      }
      for (const inbox of [atServer, atClient]) {
        for (const data of sent) {
          const message = await inbox.next();
          assert.equal(typeof message, typeof data);
          assert.ok(Buffer.from(message).equals(Buffer.from(data)));
        }
      }
      assert.equal(client.bufferedAmount, 0);
      assert.equal(peer.bufferedAmount, 0);
    });

    test(`go out before a close that follows at once, takeover ${takeover}`, async (t) => {
      for (const size of [1_024, 65_536, 65_537, 500_000]) {
        const data = numbered(size, size);
        const server = await startServer(t, {
          compression: { takeover },
          routes: {
            '/': {
              open(peer) {
                peer.send('first');
                peer.send(data);
                peer.send('last');
                peer.close(4_000, 'enough');
                assert.equal(peer.send('too late'), false);
              },
            },
          },
        });
        const { raw, accepted } = await offer(t, server, OFFER);
        const receiver = new Receiver(raw, accepted);
        for (const expected of ['first', data, 'last']) {
          assert.equal((await receiver.next()).message.toString(), expected);
        }
        const close = await raw.readFrame();
        assert.equal(close.first, CLOSE);
        assert.equal(closeCodeOf(close.payload), 4_000);
        raw.write(clientFrame(CLOSE, close.payload));
        await raw.expectEnd();
        raw.destroy();

        const client = await dialTo(t, server.url, { compression: { takeover } });
        const got: Message[] = [];
        const reading = (async () => {
          for await (const message of client) got.push(message);
        })();
        await assert.rejects(within('the end', reading));
        assert.deepEqual(got, ['first', data, 'last']);
        assert.equal((await client.closed).code, 4_000);
      }
    });

    test(`go out before the close frame that answers the peer's, takeover ${takeover}`, async (t) => {
      const data = numbered(7, 300_000);
      const closed = new Mailbox<number>();
      const server = await startServer(t, {
        compression: { takeover },
        routes: {
          '/': {
            message(peer) {
              peer.send(data);
              peer.send('small');
            },
            close: (_, code) => closed.put(code),
          },
        },
      });
      const { raw, accepted } = await offer(t, server, OFFER);
      const receiver = new Receiver(raw, accepted);
      raw.write(clientFrame(TEXT, 'go'), clientFrame(CLOSE, Buffer.of(0x03, 0xe8)));
      assert.equal((await receiver.next()).message.toString(), data);
      assert.equal((await receiver.next()).message.toString(), 'small');
      await raw.expectClose(1000);
      await raw.expectEnd();
      raw.end();
      assert.equal(await closed.next(), 1000);
    });

    test(`are delivered before what ends the connection behind them, takeover ${takeover}`, async (t) => {
      const told = new Mailbox<string>();
      const server = await startServer(t, {
        compression: { takeover },
        routes: {
          '/': {
            message: (_, message) => told.put(`message ${message.length}`),
            close: (_, code) => told.put(`close ${code}`),
          },
        },
      });
      const large = clientFrame(BINARY | RSV1, deflated(Buffer.alloc(200_000), { level: 0 }));
      for (const [behind, code] of [
        [clientFrame(CLOSE, Buffer.of(0x0b, 0xb8)), 3000],
        [Buffer.alloc(0), 1006],
        [Buffer.of(0xff), 1002],
      ] as const) {
        const { raw } = await offer(t, server, OFFER);
        raw.write(large, clientFrame(TEXT, 'behind'), behind);
        raw.end();
        assert.deepEqual(await told.take(3), ['message 200000', 'message 6', `close ${code}`]);
      }
    });
  }
});
