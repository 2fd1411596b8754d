import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { type ChannelListener, channel, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { suite, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { promisify } from 'node:util';
import {
  type ClientPeer,
  createPair,
  type DiagnosticsMessages,
  type Peer,
  prepareMessage,
  RejectUpgrade,
  type Route,
} from '../../dist/index.js';
import { dialHttp2 } from '../faults/http2-peer.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox, startServer } from './connections.ts';
import { dropMessages } from './dropping-peer.ts';

type Name = keyof DiagnosticsMessages;
const names: readonly Name[] = [
  ...(['aperto:handshake', 'aperto:open', 'aperto:message'] as const),
  ...(['aperto:close', 'aperto:error', 'aperto:drop'] as const),
];

/** What is published on a channel until the test ends. */
function listen<N extends Name>(t: TestContext, name: N): Mailbox<DiagnosticsMessages[N]> {
  const heard = new Mailbox<DiagnosticsMessages[N]>();
  const listener: ChannelListener = (message, from) => {
    assert.equal(from, name);
    heard.put(message as DiagnosticsMessages[N]);
  };
  subscribe(name, listener);
  t.after(() => unsubscribe(name, listener));
  return heard;
}

const echo: Route<undefined> = {
  message(peer, message) {
    peer.send(message);
  },
};

suite('aperto:handshake', () => {
  test('granted, over both transports', async (t) => {
    const handshakes = listen(t, 'aperto:handshake');
    const server = await startServer(t, { http2: true, routes: { '*': echo } });
    await dialTo(t, `${server.url}/one?token=1`, { headers: { 'x-from': 'test' } });
    const { request, status, error } = await handshakes.next();
    assert.deepEqual([status, error], [101, undefined]);
    assert.equal(request.url, '/one?token=1');
    assert.equal(request.headers['x-from'], 'test');
    await (await dialHttp2(t, server.port, false)).open('/two');
    const second = await handshakes.next();
    assert.deepEqual(
      [second.status, second.request.method, second.request.url],
      [200, 'CONNECT', '/two'],
    );
    assert.equal(handshakes.all.length, 2);
  });

  test('refused, by a rule or by the application', async (t) => {
    const handshakes = listen(t, 'aperto:handshake');
    const server = await startServer(t, {
      routes: {
        '/401': {
          upgrade() {
            throw new RejectUpgrade(401);
          },
        },
        '/one': {},
      },
      limits: { maxConnections: 1 },
    });
    await dialTo(t, `${server.url}/one`);
    assert.equal((await handshakes.next()).status, 101);
    await expectFailureCode(dialTo(t, `${server.url}/one`), 'STATUS_NOT_101');
    const full = await handshakes.next();
    assert.deepEqual([full.status, full.error], [503, 'TOO_MANY_CONNECTIONS']);
    for (const peer of server.peers) peer.terminate();
    while (server.peers.size > 0) await nextTurn();
    await expectFailureCode(dialTo(t, `${server.url}/401`), 'STATUS_NOT_101');
    const rejected = await handshakes.next();
    assert.deepEqual([rejected.status, rejected.error], [401, undefined]);
    await expectFailureCode(dialTo(t, `${server.url}/none`), 'STATUS_NOT_101');
    const lost = await handshakes.next();
    assert.deepEqual([lost.status, lost.error, lost.request.url], [404, 'NO_ROUTE', '/none']);
  });
});

suite('aperto:open and aperto:close', () => {
  test('tell of both sides, with the peers that the application has', async (t) => {
    const opens = listen(t, 'aperto:open');
    const closes = listen(t, 'aperto:close');
    const opened = new Mailbox<Peer>();
    const server = await startServer(t, { routes: { '/': { open: opened.put } } });
    const client = await dialTo(t, server.url);
    const peer = await opened.next();
    assert.deepEqual(
      (await opens.take(2)).map((message) => message.peer),
      [peer, client],
    );
    client.close(4001, 'bye');
    const endOf = async (of: ClientPeer) => {
      for (;;) {
        // Clients of tests before may still end.
        const { peer: ended, info } = await closes.next();
        if (ended === of) return info;
      }
    };
    assert.deepEqual(await endOf(peer), { code: 4001, reason: 'bye', error: undefined });
    await within('the end', client.closed);
    const ofClient = closes.all.filter((end) => end.peer === client);
    assert.deepEqual(
      ofClient.map(({ info }) => info),
      [{ code: 4001, reason: '', error: undefined }],
    );
    assert.equal(closes.all.filter((end) => end.peer === peer).length, 1);
  });

  test('in memory, too', async (t) => {
    const opens = listen(t, 'aperto:open');
    const { client, server } = await createPair();
    assert.deepEqual(
      (await opens.take(2)).map(({ peer }) => peer),
      [server, client],
    );
    client.terminate();
    await client.closed;
  });

  test('a close comes before what the application hears of it, with the error', async (t) => {
    const order: string[] = [];
    const closes = listen(t, 'aperto:close');
    const ended = new Mailbox<Peer>();
    const isTold = (peer: Peer): boolean => closes.all.some((end) => end.peer === peer);
    const server = await startServer(t, {
      routes: {
        '/': {
          close(peer) {
            order.push(isTold(peer) ? 'told' : 'not told');
            ended.put(peer);
          },
        },
      },
    });
    const raw = await dial(server.port, false);
    raw.write(handshake());
    await raw.readHead();
    raw.socket.resetAndDestroy();
    const peer = await ended.next();
    assert.deepEqual(order, ['told']);
    const info = closes.all.find((end) => end.peer === peer)?.info;
    assert.equal(info?.code, 1006);
    assert.equal(info.error?.code, 'CONNECTION_LOST');
    assert.match(info.error.message, /it was reset/);
  });
});

suite('aperto:message', () => {
  test('each message on both sides, with what was handed over', async (t) => {
    const messages = listen(t, 'aperto:message');
    const opened = new Mailbox<Peer>();
    const route = { ...echo, open: opened.put };
    const server = await startServer(t, { routes: { '/': route }, compression: { threshold: 4 } });
    const client = await dialTo(t, server.url, { compression: true });
    const peer = await opened.next();
    for (const data of ['hello hello', 'a', new Uint8Array([1, 2, 3])]) {
      client.send(data);
      const four = await messages.take(4);
      assert.deepEqual(
        four.map((message) => [message.peer === client, message.direction, message.data]),
        [
          [true, 'sent', data],
          [false, 'received', data],
          [false, 'sent', data],
          [true, 'received', data],
        ],
      );
      assert.equal(four[1]?.peer, peer);
    }
  });

  test('published ones once for each subscriber, prepared ones as they are', async (t) => {
    const messages = listen(t, 'aperto:message');
    const opened = new Mailbox<Peer>();
    const server = await startServer(t, {
      routes: {
        '/': {
          open(peer) {
            peer.subscribe('news');
            opened.put(peer);
          },
        },
      },
    });
    const inbox = new Mailbox<unknown>();
    const clients: ClientPeer[] = [];
    for (let i = 0; i < 2; i++) {
      clients.push(await dialTo(t, server.url, { message: (_, message) => inbox.put(message) }));
    }
    const peers = await opened.take(2);
    server.publish('news', 'extra');
    await inbox.take(2);
    const published = messages.all.filter(({ direction }) => direction === 'sent');
    assert.deepEqual(new Set(published.map(({ peer }) => peer)), new Set(peers));
    const received = messages.all.filter(({ direction }) => direction === 'received');
    assert.deepEqual(
      received.map(({ data }) => data),
      ['extra', 'extra'],
    );
    const prepared = prepareMessage('prepared');
    peers[0]?.send(prepared);
    await inbox.next();
    assert.ok(messages.all.some(({ data }) => data === prepared));
  });

  test('what is not sent is not told', async (t) => {
    const messages = listen(t, 'aperto:message');
    const { client } = await createPair();
    client.close();
    assert.equal(client.send('too late'), false);
    await client.closed;
    assert.equal(client.send('much too late'), false);
    assert.deepEqual(messages.all, []);
  });
});

suite('aperto:error', () => {
  test('what a handler throws, on either side, also where `onError` takes it', async (t) => {
    const errors = listen(t, 'aperto:error');
    const onError = (): void => {};
    const throwing = (text: string) => ({
      message(): void {
        throw new Error(text);
      },
    });
    const server = await startServer(t, { routes: { '/': throwing('server') }, onError });
    const client = await dialTo(t, server.url);
    client.send('x');
    const ofServer = await errors.next();
    assert.match(String(ofServer.error), /server/);
    assert.ok(ofServer.peer !== undefined && ofServer.peer !== client);

    const greeting = { open: (peer: Peer) => void peer.send('hello') };
    const greeter = await startServer(t, { routes: { '/': greeting } });
    const failing = await dialTo(t, greeter.url, { ...throwing('client'), onError });
    const ofClient = await errors.next();
    assert.match(String(ofClient.error), /client/);
    assert.equal(ofClient.peer, failing);
    assert.equal(errors.all.length, 2);
  });

  test('of no peer, where there is none', async (t) => {
    const errors = listen(t, 'aperto:error');
    const route: Route<undefined> = {
      upgrade() {
        throw new Error('no');
      },
    };
    const server = await startServer(t, { routes: { '/': route }, onError() {} });
    await expectFailureCode(dialTo(t, server.url), 'STATUS_NOT_101');
    const { error, peer } = await errors.next();
    assert.match(String(error), /no/);
    assert.equal(peer, undefined);
  });
});

test('aperto:drop tells how many messages of whom', async (t) => {
  const drops = listen(t, 'aperto:drop');
  const messages = listen(t, 'aperto:message');
  const { peer, sent } = await dropMessages(t, 2);
  assert.deepEqual(drops.all, [
    { peer, messages: 1 },
    { peer, messages: 1 },
  ]);
  assert.equal(messages.all.length, sent - 2);
});

test('nothing is built nor published where nobody listens', async (t) => {
  const published: Name[] = [];
  for (const name of names) {
    // Without subscribers its `publish` does nothing, but would be called with something made for it.
    const publish = (): void => void published.push(name);
    Object.defineProperty(channel(name), 'publish', { value: publish, configurable: true });
    t.after(() => Reflect.deleteProperty(channel(name), 'publish'));
  }
  const server = await startServer(t, {
    routes: { '/': { ...echo, slowPeers: 'drop' } },
    onError() {},
  });
  const inbox = new Mailbox<unknown>();
  const client = await dialTo(t, server.url, {
    message(_, message) {
      inbox.put(message);
      if (message === 'throw') throw new Error('no');
    },
    onError() {},
  });
  client.send('x');
  assert.equal(await inbox.next(), 'x');
  await expectFailureCode(dialTo(t, `${server.url}/none`), 'STATUS_NOT_101');
  client.send('throw');
  assert.equal((await within('the end', client.closed)).code, 1011);
  assert.deepEqual(published, []);
});

test('who stops listening hears no more', async (t) => {
  const heard: unknown[] = [];
  const listener: ChannelListener = (message) => void heard.push(message);
  subscribe('aperto:open', listener);
  const server = await startServer(t, { routes: { '/': echo } });
  await dialTo(t, server.url);
  assert.equal(heard.length, 2);
  unsubscribe('aperto:open', listener);
  await dialTo(t, server.url);
  assert.equal(heard.length, 2);
});

test('a subscriber that throws harms no connection: Node tells of it as of any uncaught exception', async () => {
  const program = `
    import { subscribe } from 'node:diagnostics_channel';
    import { connect, serve } from '${new URL('../../dist/index.js', import.meta.url).href}';
    let uncaught = 0;
    process.on('uncaughtException', ({ message }) => {
      if (message !== 'subscriber') throw new Error('another');
      uncaught += 1;
    });
    for (const name of ${JSON.stringify(names)}) {
      subscribe(name, () => { throw new Error('subscriber'); });
    }
    const server = await serve({
      routes: { '/': { message(peer, message) { peer.send(message); } } },
      limits: { maxConnections: 2 },
    });
    for (let i = 0; i < 3; i++) {
      const client = await connect(server.url);
      client.send('x');
      for await (const message of client) {
        console.log(message);
        client.close(1000);
      }
      await client.closed;
    }
    while (server.peers.size > 0) await new Promise(setImmediate);
    await connect(server.url + '/none').catch(({ code }) => console.log(code));
    await server.close();
    console.log(server.metrics().connections.closed[1000], uncaught > 20);
  `;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { timeout: 30_000 },
  );
  assert.deepEqual(stdout.trim().split('\n'), ['x', 'x', 'x', 'STATUS_NOT_101', '3 true']);
});
