import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import {
  attach,
  type CompressionOptions,
  type ConnectOptions,
  connect,
  type Message,
  type Peer,
  prepareMessage,
  type Route,
  serve,
} from '../../dist/index.js';
import { RSV1 } from '../faults/deflated.ts';
import { numbered, OFFER, offer, Receiver } from './compressed-peer.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';

/** A value that the compiler would not let through, as JavaScript may hand in. */
function wrong(value: unknown): CompressionOptions {
  return value as CompressionOptions;
}

describe('what is no option', () => {
  const cases: readonly (readonly [value: unknown, told: RegExp])[] = [
    ...[1, 'yes', [], Symbol.iterator].map((value) => [value, /compression/] as const),
    [{ windowbits: 10 }, /no option windowbits/],
    [{ serverMaxWindowBits: 10 }, /serverMaxWindowBits/],
    [null, /true, false or an object/],
    ...[1, 'true', null].map((takeover) => [{ takeover }, /compression\.takeover/] as const),
    ...(
      [
        ['windowBits', 8, 16],
        ['peerWindowBits', 7, 16],
        ['level', 0, 10],
        ['memLevel', 0, 10],
        ['threshold', -1, 2 ** 53],
      ] as const
    ).flatMap(([name, below, above]) =>
      [below, above, 9.5, Number.NaN, Infinity, '9', null, true].map(
        (value) => [{ [name]: value }, new RegExp(`compression\\.${name}`)] as const,
      ),
    ),
  ];
  for (const [value, message] of cases) {
    test(`${typeof value === 'symbol' ? 'a symbol' : JSON.stringify(value)}`, async () => {
      const compression = wrong(value);
      const expected = { name: 'ApertoError', code: 'INVALID_OPTION', message };
      await assert.rejects(serve({ routes: {}, compression }), expected);
      await assert.rejects(serve({ routes: { '/': { compression } } }), expected);
      await assert.rejects(connect('ws://127.0.0.1:9', { compression }), expected);
      const http = createServer();
      assert.throws(() => attach(http, { routes: {}, compression }), expected);
      assert.throws(() => attach(http, { routes: { '/': { compression } } }), expected);
      assert.equal(http.listenerCount('upgrade'), 0);
    });
  }

  test('the outermost values are right', async (t) => {
    for (const compression of [
      { windowBits: 9, peerWindowBits: 8, level: 1, memLevel: 1, threshold: 0, takeover: true },
      { windowBits: 15, peerWindowBits: 15, level: 9, memLevel: 9, threshold: 2 ** 53 - 1 },
      {},
    ] satisfies CompressionOptions[]) {
      const server = await startServer(t, { compression, routes: { '/': {} } });
      const client = await dialTo(t, server.url);
      assert.match(client.extensions, /^permessage-deflate/);
      client.terminate();
    }
  });
});

describe('what is agreed on', () => {
  const NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';

  test("off on a server unless said, and a route's own option goes before the server's", async (t) => {
    const opened = new Mailbox<Peer>();
    const route = { open: opened.put };
    const routes = {
      '/': route,
      '/off': { ...route, compression: false },
      '/on': { ...route, compression: true },
      '/takeover': { ...route, compression: { takeover: true, peerWindowBits: 10 } },
    };
    for (const [compression, atRoot] of [
      [undefined, ''],
      [false, ''],
      [true, NO_TAKEOVER],
      [{ peerWindowBits: 12 }, `${NO_TAKEOVER}; client_max_window_bits=12`],
    ] as const) {
      const server = await startServer(t, {
        routes,
        ...(compression === undefined ? {} : { compression }),
      });
      for (const [path, expected] of [
        ['/', atRoot],
        ['/off', ''],
        ['/on', NO_TAKEOVER],
        ['/takeover', 'permessage-deflate; client_max_window_bits=10'],
      ] as const) {
        const options: ConnectOptions = {
          compression: { takeover: expected.startsWith('permessage-deflate; client_max') },
        };
        const client = await dialTo(t, `${server.url}${path}`, options);
        assert.equal(client.extensions, expected, path);
        assert.equal((await opened.next()).extensions, expected, path);
        const { raw, accepted } = await offer(t, server, undefined, path);
        assert.equal(accepted, undefined);
        raw.destroy();
        client.terminate();
        assert.equal((await opened.next()).extensions, '');
      }
    }
  });

  test('attached, a server compresses too', async (t) => {
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const address = http.address();
    assert.ok(typeof address === 'object' && address !== null);
    const server = attach(http, {
      compression: true,
      routes: { '/': { message: (peer, message) => void peer.send(message) } },
    });
    t.after(async () => {
      await server.close({ timeoutMs: 200 });
      http.close();
    });
    const inbox = new Mailbox<Message>();
    const client = await dialTo(t, `ws://127.0.0.1:${address.port}`, {
      message: (_, message) => inbox.put(message),
    });
    client.send(numbered(1, 3_000));
    assert.equal(await inbox.next(), numbered(1, 3_000));
    assert.equal(server.compression.inflated.messages, 1);
    assert.equal(server.compression.deflated.messages, 1);
  });

  test('a client offers it unless told otherwise', async (t) => {
    const offers = new Mailbox<unknown>();
    const server = await startServer(t, {
      compression: { takeover: true },
      routes: {
        '/': {
          open: (peer) => offers.put(peer.request.headers['sec-websocket-extensions']),
        },
      },
    });
    for (const [compression, offered, accepted] of [
      [undefined, `${NO_TAKEOVER}; client_max_window_bits`, NO_TAKEOVER],
      [true, `${NO_TAKEOVER}; client_max_window_bits`, NO_TAKEOVER],
      [false, undefined, ''],
      [{ takeover: true }, OFFER, 'permessage-deflate'],
      [
        { takeover: true, windowBits: 9, peerWindowBits: 10 },
        'permessage-deflate; client_max_window_bits=9; server_max_window_bits=10',
        'permessage-deflate; server_max_window_bits=10; client_max_window_bits=9',
      ],
    ] as const) {
      const client = await dialTo(t, server.url, compression === undefined ? {} : { compression });
      assert.equal(await offers.next(), offered);
      assert.equal(client.extensions, accepted);
    }
  });
});

/** A route whose peers all hear `all`, and are told of. */
function subscribing(opened: Mailbox<Peer>): Route<undefined> {
  return {
    open(peer) {
      peer.subscribe('all');
      opened.put(peer);
    },
  };
}

describe('what is compressed', () => {
  for (const takeover of [false, true]) {
    test(`not what is said not to be, takeover ${takeover}`, async (t) => {
      const opened = new Mailbox<Peer>();
      const server = await startServer(t, {
        compression: { takeover },
        routes: { '/': subscribing(opened) },
      });
      const { raw, accepted } = await offer(t, server, OFFER);
      const peer = await opened.next();
      await offer(t, server, undefined);
      const other = await opened.next();
      const receiver = new Receiver(raw, accepted);
      const text = numbered(1, 2_000);
      const large = numbered(2, 100_000);
      const plain = { compress: false };
      for (const [data, send] of [
        [text, () => peer.send(text)],
        [text, () => peer.send(Buffer.from(text))],
        [text, () => peer.send(prepareMessage(text))],
        [text, () => server.publish('all', text)],
        [text, () => server.publish('all', prepareMessage(text))],
        [text, () => other.publish('all', text)],
        [large, () => peer.send(large)],
        [large, () => server.publish('all', large)],
      ] as const) {
        const before = receiver.compressed;
        send();
        assert.equal((await receiver.next()).message.toString(), data, String(send));
        assert.equal(receiver.compressed, before + 1, String(send));
      }
      const before = receiver.compressed;
      for (const [data, send] of [
        [text, () => peer.send(text, plain)],
        [text, () => peer.send(Buffer.from(text), plain)],
        [text, () => peer.send(prepareMessage(text), plain)],
        [text, () => peer.send(prepareMessage(text, plain))],
        [text, () => server.publish('all', text, plain)],
        [text, () => server.publish('all', prepareMessage(text, plain))],
        [text, () => other.publish('all', text, plain)],
        [large, () => peer.send(large, plain)],
        [large, () => server.publish('all', large, plain)],
        // Nor what does not become shorter.
        [randomBytes(2_000), (bytes: string | Buffer) => peer.send(bytes)],
        [randomBytes(100_000), (bytes: string | Buffer) => peer.send(bytes)],
        [randomBytes(2_000), (bytes: string | Buffer) => server.publish('all', bytes)],
        [randomBytes(100_000), (bytes: string | Buffer) => server.publish('all', bytes)],
      ] as const) {
        send(data);
        const { first, message } = await receiver.next();
        assert.ok(message.equals(Buffer.from(data)), String(send));
        assert.equal(first & RSV1, 0);
        assert.equal(receiver.compressed, before, String(send));
      }
      // What follows inflates.
      peer.send(text);
      assert.equal((await receiver.next()).message.toString(), text);
      assert.equal(receiver.compressed, before + 1);
    });
  }

  test('not what is shorter than the threshold, in bytes', async (t) => {
    for (const [threshold, atLeast] of [
      [undefined, 1_024],
      [0, 40],
      [500, 500],
      [70_000, 70_000],
    ] as const) {
      const opened = new Mailbox<Peer>();
      const server = await startServer(t, {
        compression: threshold === undefined ? true : { threshold },
        routes: { '/': subscribing(opened) },
      });
      const { raw, accepted } = await offer(t, server, OFFER);
      const peer = await opened.next();
      const receiver = new Receiver(raw, accepted);
      // Each is two bytes in UTF-8.
      const accents = '\u00e9'.repeat(atLeast / 2);
      for (const send of [
        (data: string) => peer.send(data),
        (data: string) => peer.send(Buffer.from(data)),
        (data: string) => server.publish('all', data),
      ]) {
        for (const [data, isCompressed] of [
          ['x'.repeat(atLeast), true],
          ['x'.repeat(atLeast - 1), threshold === 0],
          [accents, true],
          [accents.slice(1), threshold === 0],
          ['', false],
        ] as const) {
          const before = receiver.compressed;
          send(data);
          assert.equal((await receiver.next()).message.toString(), data);
          const expected = before + (isCompressed ? 1 : 0);
          assert.equal(receiver.compressed, expected, `${data.length} of ${threshold}`);
        }
      }
      raw.destroy();
    }
  });

  test('counters of a server and of a client', async (t) => {
    const server = await startServer(t, {
      compression: true,
      routes: { '/': { message: (peer, message) => void peer.send(message) } },
    });
    const inbox = new Mailbox<Message>();
    const options = { message: (_: unknown, message: Message) => inbox.put(message) };
    const client = await dialTo(t, server.url, options);
    const other = await dialTo(t, server.url, options);
    const none = { messages: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 };
    for (const { compression } of [server, client, other]) {
      assert.deepEqual(compression, { deflated: none, inflated: none });
    }
    const sizes = [1_024, 5_000, 200_000];
    for (const peer of [client, other]) {
      for (const size of sizes) {
        peer.send(numbered(size, size));
        assert.equal(await inbox.next(), numbered(size, size));
      }
      peer.send('short');
      await inbox.next();
    }
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const { deflated: out, inflated: back } = client.compression;
    assert.deepEqual([out.messages, out.bytesIn], [3, bytes]);
    assert.deepEqual([back.messages, back.bytesOut], [3, bytes]);
    assert.ok(out.bytesOut < bytes / 2 && out.bytesOut === back.bytesIn);
    assert.ok(out.milliseconds > 0 && back.milliseconds > 0);
    assert.deepEqual(
      [server.compression.inflated, server.compression.deflated].map((count) => [
        count.messages,
        count.bytesIn,
        count.bytesOut,
      ]),
      [
        [6, 2 * out.bytesOut, 2 * bytes],
        [6, 2 * bytes, 2 * out.bytesOut],
      ],
    );
  });
});
