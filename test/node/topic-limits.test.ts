import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { defaultLimits, type Limits, type Peer, type Server } from '../../dist/index.js';
import { dialTo, Mailbox, startServer } from './connections.ts';

async function startWithPeer(
  t: TestContext,
  limits: Partial<Limits> = {},
  ofRoute: Partial<Limits> = {},
): Promise<{ server: Server; peer: Peer }> {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, {
    limits,
    routes: { '/': { open: opened.put, limits: ofRoute } },
  });
  await dialTo(t, server.url);
  return { server, peer: await opened.next() };
}

const invalid = { code: 'INVALID_TOPIC' };

/** All that takes a topic from the application. */
function uses(server: Server, peer: Peer): Record<string, (topic: string) => void> {
  return {
    'peer.subscribe': (topic) => peer.subscribe(topic),
    'peer.unsubscribe': (topic) => peer.unsubscribe(topic),
    'peer.publish': (topic) => peer.publish(topic, 'x'),
    'server.publish': (topic) => server.publish(topic, 'x'),
    'server.subscribe': (topic) => server.subscribe(topic, { message() {} })(),
  };
}

test('so many topics a peer, and not one more', async (t) => {
  const { server, peer } = await startWithPeer(t, { maxTopics: 3 });
  for (const topic of ['a', 'b', 'c']) peer.subscribe(topic);
  assert.throws(() => peer.subscribe('d'), { code: 'TOO_MANY_TOPICS' });
  assert.deepEqual([...peer.topics], ['a', 'b', 'c']);
  assert.equal(server.subscriberCount('d'), 0);
  // One that it has is none more.
  peer.subscribe('a');
  peer.unsubscribe('a');
  peer.subscribe('d');
  assert.throws(() => peer.subscribe('a'), { code: 'TOO_MANY_TOPICS' });
  assert.equal(peer.state, 'open');
});

test('the limit is each peer’s own, and none of the server’s listeners', async (t) => {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, {
    limits: { maxTopics: 1 },
    routes: { '/': { open: opened.put } },
  });
  for (let i = 0; i < 3; i++) await dialTo(t, server.url);
  for (const peer of await opened.take(3)) peer.subscribe('t');
  for (const topic of ['a', 'b', 'c']) server.subscribe(topic, { message() {} });
  assert.equal(server.subscriberCount('t'), 3);
});

test('the default, up to it and one past', async (t) => {
  const { peer } = await startWithPeer(t);
  for (let i = 0; i < defaultLimits.maxTopics; i++) peer.subscribe(`t${i}`);
  assert.throws(() => peer.subscribe('more'), { code: 'TOO_MANY_TOPICS' });
});

test('limits may be Infinity, and a route’s own', async (t) => {
  const { server, peer } = await startWithPeer(
    t,
    { maxTopics: 1 },
    { maxTopics: Infinity, maxTopicLength: Infinity },
  );
  for (let i = 0; i < 2_000; i++) peer.subscribe(`t${i}`);
  peer.subscribe('x'.repeat(10_000));
  assert.equal(peer.topics.size, 2_001);
  assert.throws(() => server.publish('x'.repeat(10_000), 'x'), invalid);
});

test('a name as long as it may be, and one character longer', async (t) => {
  const { server, peer } = await startWithPeer(t, { maxTopicLength: 10 });
  for (const [name, use] of Object.entries(uses(server, peer))) {
    for (const topic of [
      'x'.repeat(10),
      'é'.repeat(10),
      '\u{1f600}'.repeat(5),
      '\0',
      ' ',
      '*',
      'a/b c.>#',
    ]) {
      assert.doesNotThrow(() => use(topic), `${name} ${topic}`);
    }
    for (const topic of ['', 'x'.repeat(11), '\u{1f600}'.repeat(6)]) {
      assert.throws(() => use(topic), invalid, `${name} ${topic}`);
    }
  }
});

test('the default length, up to it and one past', async (t) => {
  const { server, peer } = await startWithPeer(t);
  for (const use of Object.values(uses(server, peer))) {
    use('x'.repeat(defaultLimits.maxTopicLength));
    assert.throws(() => use('x'.repeat(defaultLimits.maxTopicLength + 1)), invalid);
  }
});

test('half of a surrogate pair is in no name', async (t) => {
  const { server, peer } = await startWithPeer(t);
  for (const [name, use] of Object.entries(uses(server, peer))) {
    for (const topic of [
      '\ud800',
      '\udc00',
      'a\ud83d',
      '\ude00a',
      '\ude00\ud83d',
      '\u{1f600}\ud83d',
    ]) {
      assert.throws(() => use(topic), invalid, `${name} ${JSON.stringify(topic)}`);
    }
    assert.doesNotThrow(() => use('\ud83d\ude00'), name);
    assert.doesNotThrow(() => use('\ufffd\uffff'), name);
  }
});

test('what is no string is told, without being called or converted', async (t) => {
  const { server, peer } = await startWithPeer(t);
  const strange = {
    toString: () => assert.fail('it was converted'),
    length: 1,
  };
  const values = [
    undefined,
    null,
    0,
    1,
    true,
    Symbol('t'),
    [],
    ['t'],
    {},
    strange,
    () => 't',
    Buffer.from('t'),
  ];
  for (const [name, use] of Object.entries(uses(server, peer))) {
    for (const value of values) assert.throws(() => use(value as string), invalid, name);
  }
  await assert.rejects(server.subscribed(undefined as unknown as string), invalid);
  await assert.rejects(server.subscribed('\ud800'), invalid);
  assert.equal(peer.topics.size, 0);
});

test('a peer that is closed is told of misuse, and joins nothing', async (t) => {
  const { server, peer } = await startWithPeer(t, { maxTopicLength: 3 });
  peer.terminate();
  await peer.closed;
  peer.subscribe('t');
  assert.equal(server.subscriberCount('t'), 0);
  assert.throws(() => peer.subscribe('long'), invalid);
  assert.throws(() => peer.publish('long', 'x'), invalid);
});

test('limits that are none are told', async (t) => {
  for (const limits of [
    { maxTopics: 0 },
    { maxTopics: 1.5 },
    { maxTopicLength: -1 },
    { maxTopicLength: Number.NaN },
  ]) {
    await assert.rejects(startServer(t, { limits, routes: {} }), { code: 'INVALID_OPTION' });
  }
});
