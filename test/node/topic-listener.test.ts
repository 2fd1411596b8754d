import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { type Message, type Server, serve } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, startServer } from './connections.ts';

async function startWithErrors(t: TestContext): Promise<{ server: Server; errors: unknown[] }> {
  const errors: unknown[] = [];
  const server = await serve({ routes: { '/': {} }, onError: (error) => errors.push(error) });
  t.after(() => within('close', server.close({ timeoutMs: 100 })));
  return { server, errors };
}

test('a listener hears texts and bytes in order, until it is stopped', async (t) => {
  const server = await startServer(t, { routes: {} });
  const heard: [Message, string][] = [];
  const stop = server.subscribe('t', { message: (data, topic) => heard.push([data, topic]) });
  assert.equal(server.subscriberCount('t'), 1);
  for (const data of [
    'é\u{1f600}',
    '',
    Uint8Array.of(1, 2),
    new Uint8Array(0),
    'x'.repeat(70_000),
  ]) {
    server.publish('t', data);
  }
  server.publish('other', 'x');
  await turn();
  assert.deepEqual(
    heard.map(([data]) => (typeof data === 'string' ? data : [...data])),
    ['é\u{1f600}', '', [1, 2], [], 'x'.repeat(70_000)],
  );
  assert.ok(heard.every(([, topic]) => topic === 't'));
  // As those of a peer's message are, and no Buffers.
  const bytes = heard.map(([data]) => data).filter((data) => typeof data !== 'string');
  assert.ok(bytes.every((data) => Object.getPrototypeOf(data) === Uint8Array.prototype));
  stop();
  stop();
  assert.equal(server.subscriberCount('t'), 0);
  server.publish('t', 'late');
  await turn();
  assert.equal(heard.length, 5);
});

test('what was published before it was stopped may be heard, nothing afterwards', async (t) => {
  const server = await startServer(t, { routes: {} });
  const heard: Message[] = [];
  const stop = server.subscribe('t', {
    message(data) {
      heard.push(data);
      stop();
    },
  });
  for (const text of ['1', '2', '3']) server.publish('t', text);
  await turn();
  assert.deepEqual(heard, ['1']);
});

test('stopping one of two leaves the other', async (t) => {
  const server = await startServer(t, { routes: {} });
  const heard: string[] = [];
  const listener = { message: (data: Message) => heard.push(String(data)) };
  const stop = server.subscribe('t', listener);
  const other = server.subscribe('t', listener);
  assert.equal(server.subscriberCount('t'), 2);
  stop();
  stop();
  server.publish('t', 'x');
  await turn();
  assert.deepEqual(heard, ['x']);
  other();
});

test('`this` is the listener', async (t) => {
  const server = await startServer(t, { routes: {} });
  class Counter {
    count = 0;
    message(): void {
      this.count += 1;
    }
  }
  const counter = new Counter();
  server.subscribe('t', counter);
  server.publish('t', 'x');
  await turn();
  assert.equal(counter.count, 1);
});

test('what it throws, at once or later, is told, and it goes on', async (t) => {
  const { server, errors } = await startWithErrors(t);
  const heard: Message[] = [];
  server.subscribe('t', {
    message(data) {
      heard.push(data);
      if (data === 'throw') throw new Error('at once');
      return data === 'reject' ? Promise.reject(new Error('later')) : undefined;
    },
  });
  for (const text of ['throw', 'reject', 'fine']) server.publish('t', text);
  await turn();
  assert.deepEqual(heard, ['throw', 'reject', 'fine']);
  assert.deepEqual(errors.map(String), ['Error: at once', 'Error: later']);
});

test('it may publish, to its own topic too', async (t) => {
  const server = await startServer(t, { routes: {} });
  const heard: string[] = [];
  server.subscribe('t', {
    message(data) {
      heard.push(String(data));
      if (heard.length < 5) server.publish('t', `${data}!`);
    },
  });
  server.publish('t', 'x');
  while (heard.length < 5) await turn();
  assert.deepEqual(heard, ['x', 'x!', 'x!!', 'x!!!', 'x!!!!']);
});

test('it hears what peers publish, and may answer by publishing', async (t) => {
  const server = await startServer(t, {
    routes: { '/': { message: (peer, message) => void peer.publish('t', message) } },
  });
  const heard = new Promise<Message>((resolve) => server.subscribe('t', { message: resolve }));
  const peer = await dialTo(t, server.url);
  peer.send('hello');
  assert.equal(await within('the message', heard), 'hello');
});

test('misuse is told', async (t) => {
  const server = await startServer(t, { routes: {}, limits: { maxTopicLength: 3 } });
  for (const listener of [undefined, null, {}, { message: 1 }, () => {}]) {
    assert.throws(() => server.subscribe('t', listener as never), { code: 'INVALID_OPTION' });
  }
  for (const topic of ['', 'long', 5, '\ud800']) {
    const listener = { message() {} };
    assert.throws(() => server.subscribe(topic as string, listener), { code: 'INVALID_TOPIC' });
  }
  assert.equal(server.subscriberCount('t'), 0);
});
