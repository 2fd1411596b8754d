import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type Server } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { connect } from '../../../dist/index.js';
import { within } from '../../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox, makeGate, startServer } from '../connections.ts';
import { gone, listen, silent } from './servers.ts';

async function listening(t: TestContext, server: Server): Promise<string> {
  return `ws://127.0.0.1:${await listen(t, server)}`;
}

describe('a server that answers otherwise', () => {
  const answering = (t: TestContext, app: RequestListener): Promise<string> =>
    listening(t, createServer(app));

  test('status, headers and body are told', async (t) => {
    const url = await answering(t, (_, response) => {
      response.writeHead(401, { 'WWW-Authenticate': 'Bearer', 'X-Twice': ['a', 'b'] });
      response.end('who are \u00fcou?');
    });
    const error = await expectFailureCode(connect(url), 'STATUS_NOT_101');
    assert.match(error.message, /401/);
    assert.equal(error.response?.status, 401);
    assert.equal(error.response.headers['www-authenticate'], 'Bearer');
    assert.equal(error.response.headers['x-twice'], 'a, b');
    assert.equal(error.response.body, 'who are \u00fcou?');
  });

  test('of a body 64 KiB are read, though it never ends', async (t) => {
    const closed = makeGate();
    const url = await answering(t, (_, response) => {
      response.writeHead(500);
      const write = (): void => {
        while (response.write('0123456789abcdef'.repeat(1_000)));
      };
      response.on('drain', write);
      response.on('close', closed.open);
      write();
    });
    // It is not the timeout that ends it.
    const limits = { handshakeTimeoutMs: 60_000 };
    const error = await expectFailureCode(connect(url, { limits }), 'STATUS_NOT_101');
    assert.equal(error.response?.body.length, 65_536);
    await within('the connection to go', closed.opened);
  });

  test('a body that stops halfway is told as far as it came', async (t) => {
    const url = await answering(t, (_, response) => {
      response.writeHead(503, { 'Content-Length': 100 });
      response.write('half', () => response.destroy());
    });
    const error = await expectFailureCode(connect(url), 'STATUS_NOT_101');
    assert.equal(error.response?.status, 503);
    assert.equal(error.response.body, 'half');
  });

  test('a redirect is not followed', async (t) => {
    let asked = 0;
    const url = await answering(t, (_, response) => {
      asked++;
      response.writeHead(302, { Location: '/elsewhere' });
      response.end();
    });
    const error = await expectFailureCode(connect(url), 'STATUS_NOT_101');
    assert.equal(error.response?.headers['location'], '/elsewhere');
    assert.equal(asked, 1);
  });
});

describe('no connection', () => {
  test('where nobody listens', async (t) => {
    const { url } = await startServer(t, { routes: {} }).then(async (server) => {
      const { url } = server;
      await server.close();
      return { url };
    });
    const error = await expectFailureCode(connect(url), 'CONNECT_FAILED');
    assert.ok(error.cause instanceof Error && 'code' in error.cause);
    assert.equal(error.cause.code, 'ECONNREFUSED');
    assert.match(error.message, /ECONNREFUSED/);
  });

  test('where there is no such socket', async () => {
    const error = await expectFailureCode(connect('ws+unix:/no/such.sock'), 'CONNECT_FAILED');
    assert.match(error.message, /ENOENT/);
  });

  test('where the server goes away before it answers', async (t) => {
    const url = await listening(
      t,
      createTcpServer((socket) => {
        socket.once('data', () => socket.destroy());
      }),
    );
    await expectFailureCode(connect(url), 'CONNECT_FAILED');
  });

  test('where it does not answer in time', async (t) => {
    const { port, sockets } = await silent(t);
    const url = `ws://127.0.0.1:${port}`;
    const limits = { handshakeTimeoutMs: 40 };
    const error = await expectFailureCode(connect(url, { limits }), 'HANDSHAKE_TIMEOUT');
    assert.equal(error.side, 'network');
    await gone(await sockets.next());
  });

  test('where its head is too large', async (t) => {
    const url = await listening(
      t,
      createServer((_, response) => {
        response.setHeader('X-Long', 'x'.repeat(2_000));
        response.end();
      }),
    );
    const limits = { maxHeaderBytes: 1_000 };
    await expectFailureCode(connect(url, { limits }), 'CONNECT_FAILED');
    await expectFailureCode(connect(url), 'STATUS_NOT_101');
  });
});

describe('an AbortSignal', () => {
  test('that was aborted before: nothing is dialled', async (t) => {
    const { port, sockets } = await silent(t);
    const url = `ws://127.0.0.1:${port}`;
    const reason = new Error('not wanted');
    const signal = AbortSignal.abort(reason);
    await assert.rejects(connect(url, { signal }), (error) => error === reason);
    await assert.rejects(connect('nonsense', { signal }), { code: 'INVALID_URL' });
    assert.equal(sockets.all.length, 0);
  });

  test('that aborts while waiting', async (t) => {
    const { port, sockets } = await silent(t);
    const url = `ws://127.0.0.1:${port}`;
    const controller = new AbortController();
    const dialling = connect(url, { signal: controller.signal });
    const socket = await sockets.next();
    controller.abort();
    await assert.rejects(dialling, { name: 'AbortError' });
    await gone(socket);
  });

  test('that times out', async (t) => {
    const url = `ws://127.0.0.1:${(await silent(t)).port}`;
    await assert.rejects(connect(url, { signal: AbortSignal.timeout(20) }), {
      name: 'TimeoutError',
    });
  });

  test('does nothing afterwards, and nothing is left listening to it', async (t) => {
    const server = await startServer(t, { routes: { '/': {} } });
    const controller = new AbortController();
    const removed: string[] = [];
    const { signal } = controller;
    const remove = signal.removeEventListener.bind(signal);
    signal.removeEventListener = (type: string, listener: () => void) => {
      removed.push(type);
      remove(type, listener);
    };
    const peer = await dialTo(t, server.url, { signal });
    controller.abort();
    assert.equal(peer.state, 'open');
    peer.ping();
    assert.deepEqual(removed, ['abort']);
  });

  test('may be shared by many: each hears of it, and Node does not warn of a leak', async (t) => {
    const { port, sockets } = await silent(t);
    const warnings: Error[] = [];
    const onWarning = (warning: Error): void => void warnings.push(warning);
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    const server = await startServer(t, { routes: { '/': {} } });
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = Array.from({ length: 20 }, () => connect(`ws://127.0.0.1:${port}`, { signal }));
    const failed = Promise.allSettled(waiting);
    const done = await Promise.all(
      Array.from({ length: 20 }, () => dialTo(t, server.url, { signal })),
    );
    const clients = await sockets.take(20);
    const reason = new Error('enough');
    controller.abort(reason);
    for (const outcome of await within('all to fail', failed)) {
      assert.deepEqual(outcome, { status: 'rejected', reason });
    }
    for (const socket of clients) await gone(socket);
    for (const peer of done) assert.equal(peer.state, 'open');
    assert.deepEqual(warnings, []);
  });
});

test('headers are sent as they are, Host too', async (t) => {
  const asked = new Mailbox<Record<string, unknown>>();
  const server = await startServer(t, {
    routes: {
      '/': {
        upgrade({ headers }) {
          asked.put(headers);
          return undefined;
        },
      },
    },
  });
  await dialTo(t, server.url, {
    headers: {
      Cookie: 'a=b',
      Authorization: 'Bearer x',
      Host: 'ours.example',
      'User-Agent': 'test',
    },
  });
  const headers = await asked.next();
  assert.equal(headers['cookie'], 'a=b');
  assert.equal(headers['authorization'], 'Bearer x');
  assert.equal(headers['host'], 'ours.example');
  assert.equal(headers['user-agent'], 'test');
  assert.equal(headers['connection'], 'Upgrade');
  assert.equal(
    headers['sec-websocket-extensions'],
    'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits',
  );
  await dialTo(t, server.url);
  assert.equal((await asked.next())['host'], server.url.slice('ws://'.length));
});

describe('a dead connection', () => {
  test('is pinged by the client, then given up', async (t) => {
    const pings = makeGate();
    const url = await listening(
      t,
      createServer().on('upgrade', async (request, socket) => {
        const { createHash } = await import('node:crypto');
        const accept = createHash('sha1')
          .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
          .digest('base64');
        socket.on('data', (chunk: Buffer) => {
          if (chunk[0] === 0x89) pings.open();
        });
        socket.write(
          `HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
      }),
    );
    const peer = await dialTo(t, url, { limits: { pingAfterMs: 20, pingTimeoutMs: 20 } });
    await within('a ping', pings.opened);
    const { code, error } = await within('the end', peer.closed);
    assert.deepEqual([code, error?.code], [1006, 'PING_TIMEOUT']);
  });

  test('one that answers stays', async (t) => {
    let pings = 0;
    const many = makeGate();
    const server = await startServer(t, {
      routes: {
        '/': {
          ping() {
            if (++pings === 2) many.open();
          },
        },
      },
    });
    const peer = await dialTo(t, server.url, { limits: { pingAfterMs: 20, pingTimeoutMs: 400 } });
    await within('two pings', many.opened);
    assert.equal(peer.state, 'open');
  });
});
