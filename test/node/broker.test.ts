import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  attach,
  type Broker,
  MemoryEngine,
  type Message,
  type Peer,
  type ServeOptions,
  type Server,
  type ServerHealth,
  serve,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { FakeBroker } from '../topics/fake-broker.ts';
import { dialTo, expectFailureCode, Mailbox, startServer } from './connections.ts';

/** A server whose listener of `t` puts what it hears into a mailbox. */
async function startHearing(t: TestContext, options: Partial<ServeOptions<undefined>>) {
  const server = await startServer(t, { routes: { '/': {} }, ...options });
  const heard = new Mailbox<string>();
  const stop = server.subscribe('t', {
    message: (data) => heard.put(String(data)),
    gap: () => heard.put('gap'),
  });
  return { server, heard, stop };
}

async function startThree(t: TestContext) {
  const engine = new MemoryEngine();
  const nodes = [];
  for (let i = 0; i < 3; i++) nodes.push(await startHearing(t, { broker: engine.broker() }));
  for (const { server } of nodes) assert.equal(await within('t', server.subscribed('t')), true);
  return nodes as [(typeof nodes)[0], (typeof nodes)[0], (typeof nodes)[0]];
}

describe('several servers', () => {
  test('each hears each message once, those of one publisher in order', async (t) => {
    const nodes = await startThree(t);
    const count = 300;
    for (let i = 0; i < count; i++) {
      for (const [at, { server }] of nodes.entries())
        assert.equal(server.publish('t', `${at}:${i}`), true);
      if (i % 7 === 0) await turn();
    }
    for (const { heard, server } of nodes) {
      const all = await heard.take(3 * count);
      for (const at of [0, 1, 2]) {
        const those = all.filter((text) => text.startsWith(`${at}:`));
        assert.deepEqual(
          those,
          Array.from({ length: count }, (_, i) => `${at}:${i}`),
        );
      }
      assert.equal(server.health.gaps, 0);
      assert.equal(server.health.unpublished, 0);
    }
    await turn();
    for (const { heard } of nodes) assert.equal(heard.all.length, 3 * count);
  });

  test('texts, bytes, large and empty ones arrive as they were', async (t) => {
    const engine = new MemoryEngine();
    const [one, other] = [
      await startServer(t, { routes: {}, broker: engine.broker() }),
      await startServer(t, { routes: {}, broker: engine.broker() }),
    ];
    const heard = new Mailbox<Message>();
    other.subscribe('t', { message: heard.put });
    await other.subscribed('t');
    const sent = [
      '',
      'é\u{1f600}',
      '\ud800',
      new Uint8Array(0),
      Uint8Array.of(0, 255),
      'x'.repeat(200_000),
      new Uint8Array(70_000),
    ];
    for (const data of sent) one.publish('t', data);
    for (const data of sent) {
      const got = await heard.next();
      if (typeof data === 'string') assert.equal(got, data === '\ud800' ? '\ufffd' : data);
      else assert.deepEqual(Buffer.from(got as Uint8Array), Buffer.from(data));
    }
  });

  test('peers of all get it, but for the sender', async (t) => {
    const engine = new MemoryEngine();
    const opened = new Mailbox<Peer>();
    const inboxes: Mailbox<string>[] = [];
    const peers: Peer[] = [];
    for (let i = 0; i < 2; i++) {
      const server = await startServer(t, {
        broker: engine.broker(),
        compression: i === 1,
        routes: { '/': { open: opened.put } },
      });
      for (let j = 0; j < 2; j++) {
        const inbox = new Mailbox<string>();
        await dialTo(t, server.url, {
          compression: true,
          message: (_, data) => inbox.put(String(data)),
        });
        const peer = await opened.next();
        peer.subscribe('room');
        peers.push(peer);
        inboxes.push(inbox);
      }
      assert.equal(await server.subscribed('room'), true);
    }
    for (const [at, peer] of peers.entries()) peer.publish('room', `from ${at}`);
    for (const [at, inbox] of inboxes.entries()) {
      const got = await inbox.take(3);
      assert.deepEqual(
        got.sort(),
        [0, 1, 2, 3].filter((from) => from !== at).map((from) => `from ${from}`),
      );
    }
    await turn();
    assert.ok(inboxes.every(({ all }) => all.length === 3));
  });

  test('who publishes to what nobody here hears reaches the others', async (t) => {
    const [one, other] = await startThree(t);
    const heard = new Mailbox<string>();
    other.server.subscribe('u', { message: (data) => heard.put(String(data)) });
    await other.server.subscribed('u');
    assert.equal(one.server.subscriberCount('u'), 0);
    one.server.publish('u', 'x');
    assert.equal(await heard.next(), 'x');
  });

  test('who has left hears nothing', async (t) => {
    const [one, other, third] = await startThree(t);
    other.stop();
    one.server.publish('t', 'x');
    assert.equal(await third.heard.next(), 'x');
    await turn();
    assert.deepEqual(other.heard.all, []);
  });
});

/** A server over an engine that the test plays. */
async function startFake(t: TestContext, options: Partial<ServeOptions<undefined>> = {}) {
  const broker = new FakeBroker();
  broker.answers = true;
  const errors: unknown[] = [];
  const healths: ServerHealth[] = [];
  const server = await serve({
    routes: { '/': {} },
    broker,
    onError: (error) => errors.push(error),
    onHealth: (health) => healths.push(health),
    ...options,
  });
  t.after(() => within('close', server.close({ timeoutMs: 100 })));
  return { broker, errors, healths, server };
}

describe('the engine', () => {
  test('is asked for topics that have subscribers, and for no others', async (t) => {
    const opened = new Mailbox<Peer>();
    const closed = new Mailbox<Peer>();
    const { broker, server } = await startFake(t, {
      routes: { '/': { open: opened.put, close: closed.put } },
    });
    server.publish('published', 'x');
    const client = await dialTo(t, server.url);
    const peer = await opened.next();
    for (const topic of ['a', 'b']) peer.subscribe(topic);
    const stop = server.subscribe('b', { message() {} });
    assert.equal(await server.subscribed('b'), true);
    assert.deepEqual([...broker.subscribed], ['a', 'b']);
    client.terminate();
    await closed.next();
    await turn();
    assert.deepEqual([...broker.subscribed], ['b']);
    stop();
    await turn();
    assert.deepEqual([...broker.subscribed], []);
    assert.deepEqual(broker.log, ['subscribe a,b', 'unsubscribe a', 'unsubscribe b']);
  });

  test('that is away: publish says so, peers here hear it, health tells, gap follows', async (t) => {
    const gaps = new Mailbox<string>();
    const inbox = new Mailbox<string>();
    const { broker, server, healths, errors } = await startFake(t, {
      routes: {
        '/': {
          open: (peer) => peer.subscribe('t'),
          gap(peer, topic) {
            gaps.put(topic);
            peer.send('gap');
          },
        },
      },
    });
    await dialTo(t, server.url, { message: (_, data) => inbox.put(String(data)) });
    assert.equal(await server.subscribed('t'), true);
    assert.equal(server.publish('t', '1'), true);
    broker.goDown();
    assert.equal(server.health.status, 'degraded');
    assert.equal(server.health.ready, true, 'its peers are served');
    assert.equal(server.publish('t', '2'), false);
    assert.equal(await server.subscribed('t'), false);
    assert.deepEqual(gaps.all, [], 'not before it is over');
    broker.goUp();
    assert.equal(await server.subscribed('t'), true);
    assert.equal(await gaps.next(), 't');
    assert.equal(server.publish('t', '3'), true);
    assert.deepEqual(await inbox.take(4), ['1', '2', 'gap', '3']);
    const { status, unpublished, gaps: counted } = server.health;
    assert.deepEqual(
      { status, unpublished, counted },
      { status: 'ok', unpublished: 1, counted: 1 },
    );
    assert.deepEqual(healths.map((health) => health.status).slice(-2), ['degraded', 'ok']);
    assert.deepEqual(
      errors.map((error) => (error as { code: string }).code),
      ['ENGINE_AWAY'],
    );
  });

  test('that takes nothing more: publish says so', async (t) => {
    const { broker, server } = await startFake(t, { maxUnpublishedBytes: 10_000 });
    broker.answers = false;
    assert.equal(server.publish('t', 'x'.repeat(8_000)), true);
    assert.equal(server.publish('t', 'x'.repeat(8_000)), false);
    await turn();
    for (const { resolve } of broker.publications) resolve();
    await turn();
    broker.answers = true;
    assert.equal(server.publish('t', 'x'.repeat(8_000)), true);
    assert.equal(server.health.unpublished, 1);
  });

  test('a gap handler that throws ends its peer alone, one that rejects too', async (t) => {
    const closes = new Mailbox<number>();
    const { broker, server, errors } = await startFake(t, {
      routes: {
        '/throws': {
          open: (peer) => peer.subscribe('t'),
          gap() {
            throw new Error('at once');
          },
          close: (_, code) => closes.put(code),
        },
        '/rejects': {
          open: (peer) => peer.subscribe('t'),
          gap: () => Promise.reject(new Error('later')),
          close: (_, code) => closes.put(code),
        },
        '/fine': { open: (peer) => peer.subscribe('t') },
      },
    });
    for (const path of ['throws', 'rejects', 'fine']) await dialTo(t, `${server.url}/${path}`);
    broker.host.gap();
    assert.deepEqual(await closes.take(2), [1011, 1011]);
    assert.equal(server.peers.size, 1);
    assert.deepEqual(errors.map(String).sort(), ['Error: at once', 'Error: later']);
  });

  test('health is told when its status changes, not otherwise', async (t) => {
    const { broker, server, healths } = await startFake(t);
    const begun = healths.length;
    assert.ok(begun <= 1, 'at the start');
    broker.goDown();
    broker.goDown();
    broker.goUp();
    void server.close({ noticeMs: 1 });
    broker.goDown();
    broker.goUp();
    assert.deepEqual(
      healths.slice(begun).map(({ status }) => status),
      ['degraded', 'ok', 'closing'],
    );
  });

  test('an onHealth that throws is told, and harms nothing', async (t) => {
    const { broker, server, errors } = await startFake(t, {
      onHealth() {
        throw new Error('handler');
      },
    });
    broker.goDown();
    broker.goUp();
    assert.ok(errors.map(String).includes('Error: handler'));
    assert.equal(server.publish('t', 'x'), true);
  });
});

describe('starting', () => {
  test('waits until the broker has told, and a server over an engine that is away is degraded', async (t) => {
    const broker = new FakeBroker();
    broker.startsWith = 'down';
    const { server, errors } = await startFake(t, { broker });
    assert.equal(server.health.status, 'degraded');
    assert.equal(server.publish('t', 'x'), false);
    assert.equal(errors.length, 1);
    broker.answers = true;
    broker.goUp();
    assert.equal(server.health.status, 'ok');
  });

  test('a broker that would not start fails serve, with its error', async () => {
    const broker = new FakeBroker();
    broker.start = () => Promise.reject(new Error('no such engine'));
    await assert.rejects(within('serve', serve({ routes: {}, broker })), /no such engine/);
  });

  test('attach tells such an error, and its topics go on', async (t) => {
    const broker = new FakeBroker();
    broker.start = () => Promise.reject(new Error('no such engine'));
    const http = createServer();
    const errors = new Mailbox<unknown>();
    const server = attach(http, { routes: {}, broker, onError: errors.put });
    t.after(() => server.close());
    assert.match(String(await errors.next()), /no such engine/);
    const heard = new Mailbox<Message>();
    server.subscribe('t', { message: heard.put });
    assert.equal(server.publish('t', 'x'), false);
    assert.equal(await heard.next(), 'x');
    assert.equal(server.health.status, 'degraded');
  });

  test('a port that is taken closes the broker', async (t) => {
    const taken = await startServer(t, { routes: {} });
    const broker = new FakeBroker();
    await assert.rejects(serve({ routes: {}, broker, port: taken.port }), { code: 'EADDRINUSE' });
    assert.equal(broker.isClosed, true);
  });

  test('a broker that a server has is no second one’s, and the first goes on', async (t) => {
    const engine = new MemoryEngine();
    const broker = engine.broker();
    const one = await startHearing(t, { broker });
    await expectFailureCode(serve({ routes: {}, broker }), 'INVALID_OPTION');
    const other = await startServer(t, { routes: {}, broker: engine.broker() });
    assert.equal(await one.server.subscribed('t'), true);
    other.publish('t', 'still there');
    assert.equal(await within('the message', one.heard.next()), 'still there');
  });

  test('options that are none reject, and do not throw', async () => {
    const bad: Partial<ServeOptions<undefined>>[] = [
      { broker: {} as Broker },
      { broker: null as unknown as Broker },
      { topics: 5 as never },
      { topics: { t: { slowPeers: 'newest' as never } } },
      { broker: new MemoryEngine().broker(), maxUnpublishedBytes: 0 },
    ];
    for (const options of bad) {
      let starting: Promise<Server> | undefined;
      assert.doesNotThrow(() => {
        starting = serve({ routes: {}, ...options });
      });
      await expectFailureCode(starting ?? assert.fail(), 'INVALID_OPTION');
    }
  });

  test('attach carries topics too', async (t) => {
    const engine = new MemoryEngine();
    const http = createServer();
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    const attached = attach(http, {
      broker: engine.broker(),
      routes: { '/': { open: (peer) => peer.subscribe('t') } },
    });
    t.after(async () => {
      await attached.close({ timeoutMs: 100 });
      http.close();
    });
    const other = await startServer(t, { routes: {}, broker: engine.broker() });
    const inbox = new Mailbox<string>();
    const { port } = http.address() as AddressInfo;
    await dialTo(t, `ws://127.0.0.1:${port}`, { message: (_, data) => inbox.put(String(data)) });
    assert.equal(await attached.subscribed('t'), true);
    other.publish('t', 'x');
    assert.equal(await inbox.next(), 'x');
    assert.equal(attached.health.status, 'ok');
  });
});

describe('closing', () => {
  test('what peers say when they go still reaches the others, then the broker closes', async (t) => {
    const engine = new MemoryEngine();
    const leaving = await serve({
      broker: engine.broker(),
      routes: { '/': { close: (peer) => void peer.publish('t', 'gone') } },
    });
    const { heard, server } = await startHearing(t, { broker: engine.broker() });
    assert.equal(await server.subscribed('t'), true);
    await dialTo(t, leaving.url);
    await within('close', leaving.close());
    assert.equal(await heard.next(), 'gone');
    assert.equal(leaving.publish('t', 'late'), false);
    await turn();
    assert.deepEqual(heard.all, ['gone']);
  });

  test('the broker is closed once, after the peers have gone', async (t) => {
    const { broker, server } = await startFake(t, {
      routes: { '/': { close: () => assert.equal(broker.isClosed, false) } },
    });
    await dialTo(t, server.url);
    await Promise.all([server.close(), server.close()]);
    assert.equal(broker.isClosed, true);
  });

  test('who waits for a topic is told that it does not come', async (t) => {
    const { broker, server } = await startFake(t);
    broker.answers = false;
    server.subscribe('t', { message() {} });
    const waiting = server.subscribed('t');
    await within('close', server.close());
    assert.equal(await within('subscribed', waiting), false);
  });
});

test('without a broker all is this server’s, and always there', async (t) => {
  const { server, heard } = await startHearing(t, {});
  assert.equal(await server.subscribed('t'), true);
  assert.equal(server.publish('t', 'x'), true);
  assert.equal(server.publish('nobody', 'x'), true);
  assert.equal(await heard.next(), 'x');
  const { status, ready, unpublished, gaps } = server.health;
  assert.deepEqual(
    { status, ready, unpublished, gaps },
    { status: 'ok', ready: true, unpublished: 0, gaps: 0 },
  );
});
