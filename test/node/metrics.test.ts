import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import {
  type Peer,
  RejectUpgrade,
  type Route,
  type Server,
  type ServerMetrics,
} from '../../dist/index.js';
import { dialHttp2 } from '../faults/http2-peer.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, closePayload, PING, PONG, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox, startServer } from './connections.ts';
import { dropMessages } from './dropping-peer.ts';
import { until } from './ways-of-reading.ts';

const echo: Route<undefined> = {
  message(peer, message) {
    peer.send(message);
  },
};

test('of a server that has done nothing, all are 0', async (t) => {
  const server = await startServer(t, { routes: { '/': echo } });
  const none = { messages: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 };
  assert.deepEqual(server.metrics(), {
    connections: { open: 0, opened: 0, refused: {}, closed: {} },
    messages: { received: 0, sent: 0, dropped: 0, unpublished: 0 },
    bytes: { received: 0, sent: 0 },
    gaps: 0,
    compression: { deflated: none, inflated: none },
    errors: 0,
  } satisfies ServerMetrics);
});

test('bytes are those of frames, to the byte; messages are counted apart from control frames', async (t) => {
  const server = await startServer(t, { routes: { '/': echo } });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  const answer = server.metrics().bytes.sent;
  assert.ok(answer > 0, 'the answer to the handshake went the same way');
  const frames = [clientFrame(TEXT, 'hello'), clientFrame(PING, 'x'), clientFrame(TEXT, '')];
  raw.write(...frames);
  await raw.expectFrame(TEXT, 'hello');
  await raw.expectFrame(PONG, 'x');
  await raw.expectFrame(TEXT, '');
  const { bytes, messages } = server.metrics();
  assert.equal(bytes.received, Buffer.concat(frames).length);
  assert.equal(bytes.sent - answer, 2 + 5 + 2 + 1 + 2);
  assert.deepEqual([messages.received, messages.sent], [2, 2]);
});

test('a published message is sent once for each subscriber, compressed or not', async (t) => {
  for (const compression of [false, { threshold: 0 }]) {
    const opened = new Mailbox<Peer>();
    const route: Route<undefined> = {
      open(peer) {
        peer.subscribe('news');
        opened.put(peer);
      },
    };
    const server = await startServer(t, { routes: { '/': route }, compression });
    const inbox = new Mailbox<unknown>();
    for (let i = 0; i < 3; i++) {
      await dialTo(t, server.url, { message: (_, message) => inbox.put(message) });
    }
    await opened.take(3);
    server.publish('news', 'one');
    server.publish('news', 'two');
    await inbox.take(6);
    assert.equal(server.metrics().messages.sent, 6);
    const { messages } = server.metrics().compression.deflated;
    assert.equal(messages > 0, compression !== false);
  }
});

test('those that are dropped are counted, and not as sent', async (t) => {
  const { server, sent } = await dropMessages(t, 3);
  const { messages } = server.metrics();
  assert.deepEqual([messages.dropped, messages.sent], [3, sent - 3]);
  assert.equal(server.dropped, 3);
});

suite('connections', () => {
  async function closeWith(t: TestContext, server: Server, code?: number): Promise<void> {
    const client = await dialTo(t, server.url);
    client.close(code);
    await within('the end', client.closed);
  }

  test('that have ended, by close code', async (t) => {
    const server = await startServer(t, { routes: { '/': echo } });
    await closeWith(t, server, 1000);
    await closeWith(t, server, 1000);
    await closeWith(t, server, 4321);
    await closeWith(t, server);
    const lost = await dialTo(t, server.url);
    await until('it to be there', () => server.peers.size === 1);
    const { connections: before } = server.metrics();
    assert.deepEqual([before.open, before.opened], [1, 5]);
    lost.terminate();
    await until('its end', () => server.peers.size === 0);
    const { connections } = server.metrics();
    assert.deepEqual(connections, {
      open: 0,
      opened: 5,
      refused: {},
      closed: { 1000: 2, 1005: 1, 1006: 1, 4321: 1 },
    });
  });

  test('that were refused, by why', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/401': {
          upgrade() {
            throw new RejectUpgrade(401);
          },
        },
        '/500': {
          upgrade() {
            throw new Error('no');
          },
        },
        '/foreign': { origins: ['https://own.example'] },
      },
      onError() {},
      http2: true,
    });
    const session = await dialHttp2(t, server.port, false);
    const expected = { '/401': 401, '/500': 500, '/foreign': 403, '/none': 404 };
    for (const [path, status] of Object.entries(expected)) {
      const headers = { origin: 'https://other.example' };
      const { response } = await expectFailureCode(
        dialTo(t, `${server.url}${path}`, path === '/foreign' ? { headers } : {}),
        'STATUS_NOT_101',
      );
      assert.equal(response?.status, status);
      await session.connect(path, path === '/foreign' ? headers : {}).expectStatus(status);
    }
    const { connections, errors } = server.metrics();
    assert.deepEqual(connections.refused, {
      'status 401': 2,
      UPGRADE_FAILED: 2,
      ORIGIN_FORBIDDEN: 2,
      NO_ROUTE: 2,
    });
    assert.deepEqual([connections.opened, connections.open], [0, 0]);
    assert.equal(errors, 2);
  });
});

test('errors are counted whoever takes them, also where that throws', async (t) => {
  t.mock.method(console, 'error', () => {});
  let told = 0;
  const route: Route<undefined> = {
    message() {
      throw new Error('no');
    },
  };
  const server = await startServer(t, {
    routes: { '/': route },
    onError() {
      told += 1;
      throw new Error('neither');
    },
  });
  const client = await dialTo(t, server.url);
  client.send('x');
  assert.equal((await within('the end', client.closed)).code, 1011);
  assert.deepEqual([server.metrics().errors, told], [1, 1]);
});

test('what was returned does not change any more, and changing it changes nothing', async (t) => {
  const server = await startServer(t, { routes: { '/': echo }, compression: { threshold: 0 } });
  const before = server.metrics();
  const copy = structuredClone(before);
  const inbox = new Mailbox<unknown>();
  const client = await dialTo(t, server.url, { message: (_, message) => inbox.put(message) });
  client.send('hello hello hello');
  await inbox.next();
  assert.deepEqual(before, copy);
  Object.assign(server.metrics().compression.deflated, { messages: 999 });
  Object.assign(server.metrics().connections.closed, { 1000: 999 });
  assert.equal(server.metrics().compression.deflated.messages, 1);
  assert.deepEqual(server.metrics().connections.closed, {});
});

test('servers of one process count apart', async (t) => {
  const one = await startServer(t, { routes: { '/': echo } });
  const other = await startServer(t, { routes: { '/': echo } });
  const raw = await dial(one.port, false);
  raw.write(handshake());
  await raw.readHead();
  raw.write(clientFrame(TEXT, 'x'), clientFrame(CLOSE, closePayload(1000)));
  await raw.expectFrame(TEXT, 'x');
  await raw.expectClose(1000);
  raw.destroy();
  assert.equal(one.metrics().messages.received, 1);
  assert.deepEqual(other.metrics().bytes, { received: 0, sent: 0 });
});

test('what comes behind the handshake in the same packet is counted', async (t) => {
  const server = await startServer(t, { routes: { '/': echo } });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  const frame = clientFrame(TEXT, 'early');
  raw.write(handshake(), frame);
  await raw.readHead();
  await raw.expectFrame(TEXT, 'early');
  assert.equal(server.metrics().bytes.received, frame.length);
});
