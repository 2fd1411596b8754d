import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type ClientPeer, type Message, type Peer, prepareMessage } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';

interface Member {
  readonly client: ClientPeer;
  readonly peer: Peer<string>;
  readonly inbox: Mailbox<Message>;
}

async function startRoom(t: TestContext, names: readonly string[]) {
  const opened = new Mailbox<Peer<string>>();
  const closed = new Mailbox<string>();
  const server = await startServer<string>(t, {
    routes: {
      '/*': {
        upgrade: ({ url }) => url.slice(1),
        open: opened.put,
        close: (peer) => closed.put(peer.data),
      },
    },
  });
  const members: Member[] = [];
  for (const name of names) {
    const inbox = new Mailbox<Message>();
    const client = await dialTo(t, `${server.url}/${name}`, {
      message: (_, message) => inbox.put(message),
    });
    members.push({ client, peer: await opened.next(), inbox });
  }
  const [a, b, c] = members as [Member, Member, Member];
  return { server, closed, a, b, c };
}

describe('topics', () => {
  test('peer.publish reaches all subscribers but the sender, in order', async (t) => {
    const { server, a, b, c } = await startRoom(t, ['a', 'b', 'c']);
    for (const { peer } of [a, b]) peer.subscribe('news');
    assert.equal(server.subscriberCount('news'), 2);
    a.peer.publish('news', 'one');
    a.peer.publish('news', Buffer.from('two'));
    assert.equal(await b.inbox.next(), 'one');
    assert.deepEqual(Buffer.from((await b.inbox.next()) as Uint8Array), Buffer.from('two'));
    // Who is no subscriber may publish.
    c.peer.publish('news', 'three');
    assert.equal(await a.inbox.next(), 'three');
    assert.equal(await b.inbox.next(), 'three');
    assert.deepEqual(c.inbox.all, []);
  });

  test('server.publish reaches all, with one prepared message too', async (t) => {
    const { server, a, b, c } = await startRoom(t, ['a', 'b', 'c']);
    for (const { peer } of [a, b, c]) peer.subscribe('all');
    const prepared = prepareMessage('x'.repeat(100_000));
    server.publish('all', 'text');
    server.publish('all', prepared);
    server.publish('all', prepared);
    for (const { inbox } of [a, b, c]) {
      const [text, ...large] = await inbox.take(3);
      assert.equal(text, 'text');
      for (const message of large) assert.equal(message.length, 100_000);
    }
  });

  test('subscribing twice is once; unsubscribing ends it', async (t) => {
    const { server, a } = await startRoom(t, ['a']);
    a.peer.subscribe('x');
    a.peer.subscribe('x');
    a.peer.subscribe('y');
    assert.equal(server.subscriberCount('x'), 1);
    server.publish('x', '1');
    a.peer.unsubscribe('x');
    a.peer.unsubscribe('x');
    a.peer.unsubscribe('never');
    server.publish('x', '2');
    server.publish('y', '3');
    assert.deepEqual(await a.inbox.take(2), ['1', '3']);
    assert.equal(server.subscriberCount('x'), 0);
  });

  test('a peer that goes leaves its topics, and joins none any more', async (t) => {
    const { server, closed, a, b } = await startRoom(t, ['a', 'b']);
    for (const { peer } of [a, b]) peer.subscribe('room');
    a.client.terminate();
    assert.equal(await closed.next(), 'a');
    assert.equal(server.subscriberCount('room'), 1);
    a.peer.subscribe('room');
    assert.equal(server.subscriberCount('room'), 1);
    a.peer.unsubscribe('room');
    a.peer.publish('room', 'from the dead');
    assert.equal(await b.inbox.next(), 'from the dead');
  });

  test('close says goodbye to the others', async (t) => {
    const inbox = new Mailbox<Message>();
    const server = await startServer(t, {
      routes: {
        '/': {
          open: (peer) => peer.subscribe('room'),
          close: (peer) => void peer.publish('room', 'gone'),
        },
      },
    });
    await dialTo(t, server.url, { message: (_, message) => inbox.put(message) });
    const leaver = await dialTo(t, server.url);
    leaver.close();
    assert.equal(await inbox.next(), 'gone');
  });

  test('misuse is told, also where nobody listens', async (t) => {
    const { server, a } = await startRoom(t, ['a']);
    for (const topic of ['', undefined, 1, {}] as string[]) {
      const expected = { code: 'INVALID_TOPIC' };
      assert.throws(() => a.peer.subscribe(topic), expected);
      assert.throws(() => a.peer.unsubscribe(topic), expected);
      assert.throws(() => a.peer.publish(topic, 'x'), expected);
      assert.throws(() => server.publish(topic, 'x'), expected);
    }
    a.peer.subscribe('t');
    assert.throws(() => server.publish('t', 1 as unknown as string), { code: 'INVALID_DATA' });
    assert.throws(() => server.publish('empty', 1 as unknown as string), { code: 'INVALID_DATA' });
  });

  test('names like those of objects are names', async (t) => {
    const { server, a } = await startRoom(t, ['a']);
    for (const topic of ['__proto__', 'constructor', 'hasOwnProperty']) {
      assert.equal(server.subscriberCount(topic), 0);
      a.peer.subscribe(topic);
      server.publish(topic, topic);
      assert.equal(await a.inbox.next(), topic);
    }
  });

  test('one slow subscriber does not hold up the others', async (t) => {
    const server = await startServer(t, {
      limits: { maxBufferedBytes: 200_000 },
      routes: { '/': { open: (peer) => peer.subscribe('feed'), slowPeers: 'latest' } },
    });
    await dialTo(t, server.url);
    const got = new Mailbox<number>();
    await dialTo(t, server.url, { message: (_, message) => got.put(message.length) });
    for (let round = 0; round < 200; round++) {
      server.publish('feed', 'x'.repeat(100_000));
      await got.next();
    }
    const [slow, fast] = [...server.peers] as [Peer, Peer];
    assert.ok(slow.dropped > 0, 'the slow one was not slow');
    assert.equal(fast.dropped, 0);
    assert.ok(slow.bufferedAmount < 600_000);
  });
});

test('a subscriber closed by its slowness is gone from the topic', async (t) => {
  const closes = new Mailbox<number>();
  const server = await startServer(t, {
    limits: { maxBufferedBytes: 100_000, closeTimeoutMs: 50 },
    routes: {
      '/': { open: (peer) => peer.subscribe('feed'), close: (_, code) => closes.put(code) },
    },
  });
  await dialTo(t, server.url);
  const publish = async (): Promise<void> => {
    while (server.subscriberCount('feed') > 0) {
      server.publish('feed', 'x'.repeat(90_000));
      await new Promise(setImmediate);
    }
  };
  await within('the slow one to go', publish());
  assert.equal(await closes.next(), 1013);
});
