import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ClientPeer,
  type Message,
  type Peer,
  prepareMessage,
  type Route,
  type Sendable,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';
import { pair } from './pair.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('what can be sent', () => {
  const wide = new Uint16Array([1, 2, 3]);
  const cases: [name: string, data: Sendable, arrives: Message][] = [
    ['text', 'hello', 'hello'],
    ['empty text', '', ''],
    ['text that is no ASCII', 'h\u00e9llo \u{1f44b}', 'h\u00e9llo \u{1f44b}'],
    ['half a surrogate pair', 'a\ud800b', 'a\ufffdb'],
    ['a Uint8Array', bytes(1, 2, 3), bytes(1, 2, 3)],
    ['a Buffer', Buffer.from('abc'), new Uint8Array(Buffer.from('abc'))],
    ['a part of a buffer', bytes(0, 1, 2, 3).subarray(1, 3), bytes(1, 2)],
    ['an ArrayBuffer', bytes(9, 8).buffer as ArrayBuffer, bytes(9, 8)],
    ['a Uint16Array', wide, new Uint8Array(wide.buffer)],
    ['a DataView', new DataView(wide.buffer, 2, 2), new Uint8Array(wide.buffer, 2, 2)],
    ['no bytes', new Uint8Array(0), new Uint8Array(0)],
    ['prepared text', prepareMessage('pr\u00e9pared'), 'pr\u00e9pared'],
    ['prepared bytes', prepareMessage(bytes(4, 5)), bytes(4, 5)],
    ['prepared from a view', prepareMessage(wide), new Uint8Array(wide.buffer)],
    ['a long prepared one', prepareMessage('x'.repeat(70_000)), 'x'.repeat(70_000)],
  ];

  test('arrives, text as a string and all else as bytes, in both directions', async (t) => {
    const { client, server, atClient, atServer } = await pair(t);
    for (const [name, data, arrives] of cases) {
      assert.equal(client.send(data), true, name);
      assert.equal(server.send(data), true, name);
      for (const message of [await atServer.next(), await atClient.next()]) {
        assert.equal(typeof message, typeof arrives, name);
        if (typeof message === 'string') assert.equal(message, arrives, name);
        else assert.deepEqual(new Uint8Array(message), arrives, name);
      }
    }
  });

  test('sizes around every form of the length', async (t) => {
    const { client, server, atClient, atServer } = await pair(t);
    for (const size of [
      0, 1, 125, 126, 127, 4_095, 4_096, 16_383, 16_384, 65_535, 65_536, 1_048_576,
    ]) {
      const message = Buffer.alloc(size, size % 251);
      client.send(message);
      server.send(message);
      for (const arrived of [await atServer.next(), await atClient.next()]) {
        assert.ok(typeof arrived !== 'string' && message.equals(arrived), `${size}`);
      }
      const text = 'y'.repeat(size);
      client.send(text);
      server.send(text);
      assert.ok((await atServer.next()) === text && (await atClient.next()) === text, `${size}`);
    }
  });

  test('what was received stays as it is while others come', async (t) => {
    const { client, atServer } = await pair(t);
    for (let at = 0; at < 200; at++) client.send(Buffer.alloc(1 + ((at * 131) % 3_000), at));
    const messages = await atServer.take(200);
    for (const [at, message] of messages.entries()) {
      assert.ok(typeof message !== 'string' && message.every((byte) => byte === at), `${at}`);
    }
  });

  for (const [name, data] of Object.entries({
    undefined: undefined,
    null: null,
    number: 1,
    object: {},
    array: [1],
    'shared memory': new SharedArrayBuffer(1),
  })) {
    test(`${name} is misuse, also when the peer is closed`, async (t) => {
      const { client, server } = await pair(t);
      const send = (peer: ClientPeer) => () => peer.send(data as unknown as Sendable);
      assert.throws(send(client), { code: 'INVALID_DATA' });
      assert.throws(send(server), { code: 'INVALID_DATA' });
      assert.throws(() => prepareMessage(data as unknown as string), { code: 'INVALID_DATA' });
      assert.equal(client.state, 'open');
      client.close();
      await within('the end', client.closed);
      assert.throws(send(client), { code: 'INVALID_DATA' });
    });
  }
});

describe('ping and pong', () => {
  test('a ping is answered with its payload, and told to both sides', async (t) => {
    const log = new Mailbox<string>();
    const { url } = await startServer(t, {
      routes: {
        '/': {
          ping: (_, payload) => log.put(`server pinged ${Buffer.from(payload)}`),
          pong: (_, payload) => log.put(`server ponged ${Buffer.from(payload)}`),
          open: (peer) => void peer.ping('from server'),
        },
      },
    });
    const client = await dialTo(t, url, {
      ping: (_, payload) => log.put(`client pinged ${Buffer.from(payload)}`),
      pong: (_, payload) => log.put(`client ponged ${Buffer.from(payload)}`),
    });
    assert.deepEqual(await log.take(2), ['client pinged from server', 'server ponged from server']);
    assert.equal(client.ping(Buffer.from('from client')), true);
    assert.deepEqual(await log.take(2), ['server pinged from client', 'client ponged from client']);
    assert.equal(client.pong('unasked'), true);
    assert.equal(await log.next(), 'server ponged unasked');
    client.ping();
    assert.deepEqual(await log.take(2), ['server pinged ', 'client ponged ']);
    client.ping('x'.repeat(125));
    assert.deepEqual(await log.take(2), [
      `server pinged ${'x'.repeat(125)}`,
      `client ponged ${'x'.repeat(125)}`,
    ]);
  });

  test('more than 125 bytes are misuse', async (t) => {
    const { client } = await pair(t);
    const long = '\u00e9'.repeat(63);
    assert.throws(() => client.ping(long), { code: 'INVALID_CONTROL_PAYLOAD' });
    assert.throws(() => client.pong(Buffer.alloc(126)), { code: 'INVALID_CONTROL_PAYLOAD' });
    assert.throws(() => client.ping(1 as unknown as string), { code: 'INVALID_DATA' });
    assert.equal(client.state, 'open');
  });
});

describe('handlers', () => {
  test('belong to one object, which is their this', async (t) => {
    const log = new Mailbox<string>();
    class Chat implements Route<string> {
      readonly name = 'chat';
      upgrade(): string {
        return `${this.name} data`;
      }
      open(peer: Peer<string>): void {
        log.put(`${this.name} open ${peer.data}`);
      }
      message(_: Peer<string>, message: Message): void {
        log.put(`${this.name} ${message}`);
      }
      close(): void {
        log.put(`${this.name} close`);
      }
    }
    const { url } = await startServer<string>(t, { routes: { '/': new Chat() } });
    const client = await dialTo(t, url);
    client.send('hello');
    client.close();
    assert.deepEqual(await log.take(3), ['chat open chat data', 'chat hello', 'chat close']);
  });

  test('data is the application\u2019s to change', async (t) => {
    const counts = new Mailbox<number>();
    const { url } = await startServer<{ count: number }>(t, {
      routes: {
        '/': {
          upgrade: () => ({ count: 0 }),
          message(peer) {
            peer.data = { count: peer.data.count + 1 };
            counts.put(peer.data.count);
          },
        },
      },
    });
    const client = await dialTo(t, url);
    for (const text of ['a', 'b', 'c']) client.send(text);
    assert.deepEqual(await counts.take(3), [1, 2, 3]);
  });

  test('onError is told which peer', async (t) => {
    const told = new Mailbox<[unknown, unknown]>();
    const { url } = await startServer<string>(t, {
      onError: (error, peer) => told.put([error, peer?.data]),
      routes: {
        '/': {
          upgrade: () => 'mine',
          async message() {
            throw new TypeError('oops');
          },
        },
      },
    });
    const client = await dialTo(t, url);
    client.send('x');
    const [error, data] = await told.next();
    assert.ok(error instanceof TypeError);
    assert.equal(data, 'mine');
    const { code, reason } = await within('the end', client.closed);
    assert.equal(code, 1011);
    assert.doesNotMatch(reason, /oops/);
  });

  test('those of a client too', async (t) => {
    const told = new Mailbox<unknown>();
    const { url } = await startServer(t, {
      routes: { '/': { open: (peer) => void peer.send('x') } },
    });
    const client = await dialTo(t, url, {
      onError: told.put,
      message() {
        throw new Error('client');
      },
    });
    assert.match(String(await told.next()), /client/);
    const { code, error } = await within('the end', client.closed);
    assert.deepEqual([code, error?.code], [1011, 'HANDLER_FAILED']);
  });
});

test('server.dropped counts those of all peers', async (t) => {
  const server = await startServer(t, {
    limits: { highWaterMarkBytes: 1_000, maxBufferedBytes: 100_000 },
    routes: { '/': { slowPeers: 'drop' } },
  });
  // Nobody reads, so that the socket fills up.
  await Promise.all([dialTo(t, server.url), dialTo(t, server.url)]);
  for (const peer of server.peers) {
    peer.send('held here, and with it all that follows');
    for (let at = 0; at < 1_000 && peer.dropped < 3; at++) peer.send('x'.repeat(90_000));
    assert.equal(peer.dropped, 3);
  }
  assert.equal(server.dropped, 6);
});
