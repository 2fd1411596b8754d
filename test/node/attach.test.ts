import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AttachOptions, attach, type Route, type Server } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from './connections.ts';

const echo: Route<undefined> = {
  message(peer, message) {
    peer.send(message);
  },
};

const app: RequestListener = (request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end(`page ${request.url}`);
};

async function listening(t: TestContext, http: HttpServer): Promise<string> {
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    http.closeAllConnections();
    http.close();
  });
  return `127.0.0.1:${(http.address() as AddressInfo).port}`;
}

async function attached(
  t: TestContext,
  options: AttachOptions<undefined>,
  http: HttpServer = createServer(app),
): Promise<{ http: HttpServer; host: string; server: Server }> {
  const server = attach(http, options);
  t.after(() => server.close({ timeoutMs: 200 }));
  return { http, host: await listening(t, http), server };
}

test('WebSocket and pages share a server', async (t) => {
  const { host, server } = await attached(t, { routes: { '/chat': echo } });
  assert.equal(server.url, `ws://${host}`);
  const inbox = new Mailbox<unknown>();
  const peer = await dialTo(t, `ws://${host}/chat`, {
    message: (_, message) => inbox.put(message),
  });
  peer.send('hello');
  assert.equal(await inbox.next(), 'hello');
  assert.equal(await (await fetch(`http://${host}/index.html`)).text(), 'page /index.html');
  assert.equal(await (await fetch(`http://${host}/chat`)).text(), 'page /chat');
});

test('over TLS', async (t) => {
  const { cert, key } = await localCertificate();
  const { host, server } = await attached(
    t,
    { routes: { '/': echo } },
    createTlsServer({ cert, key }),
  );
  assert.equal(server.url, `wss://${host}`);
  const peer = await dialTo(t, server.url, { tls: { ca: cert } });
  assert.equal(peer.state, 'open');
});

test('over TLS, where a runtime tells by its properties alone', async (t) => {
  const { cert, key } = await localCertificate();
  const https = createTlsServer({ cert, key });
  // A server of node:https, but none of node:tls.
  const unlikeTls = new Proxy(https, {
    has: (target, name) => name !== 'setSecureContext' && Reflect.has(target, name),
  });
  const { server, host } = await attached(t, { routes: {} }, unlikeTls);
  assert.equal(server.url, `wss://${host}`);

  // A socket that is encrypted, but none of node:tls.
  const http = createServer();
  http.on('connection', (socket) => Object.assign(socket, { encrypted: true }));
  const { host: own } = await attached(t, { routes: { '/': echo } }, http);
  const peer = await dialTo(t, `ws://${own}/`, { headers: { Origin: `https://${own}` } });
  assert.equal(peer.state, 'open');
  await expectFailureCode(
    dialTo(t, `ws://${own}/`, { headers: { Origin: `http://${own}` } }),
    'STATUS_NOT_101',
  );
});

test('before the server listens it has no address', () => {
  const server = attach(createServer(), { routes: {} });
  assert.equal(server.port, 0);
  assert.equal(server.url, '');
});

test('a connection that is no network socket works as any other', async (t) => {
  const { http } = await attached(t, { routes: { '/': echo } });
  // As an in-memory pair in a test of the application's: what is written to one can be read from the other.
  class Half extends Duplex {
    other: Half | undefined = undefined;
    #resume: (() => void) | undefined = undefined;
    override _read(): void {
      const resume = this.#resume;
      this.#resume = undefined;
      resume?.();
    }
    override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
      const other = this.other as Half;
      if (other.push(chunk)) done();
      else other.#resume = done;
    }
    override _final(done: () => void): void {
      this.other?.push(null);
      done();
    }
  }
  const client = new Half();
  client.other = new Half();
  client.other.other = client;
  http.emit('connection', client.other);
  const { Agent } = await import('node:http');
  class PairAgent extends Agent {
    override createConnection(): Duplex {
      return client;
    }
  }
  const inbox = new Mailbox<unknown>();
  const peer = await dialTo(t, 'ws://in.memory/', {
    agent: new PairAgent(),
    message: (_, message) => inbox.put(message),
  });
  const messages = Array.from({ length: 50 }, (_, at) =>
    at % 2 === 0 ? `text ${at}` : Buffer.alloc(at * 1_000, at),
  );
  for (const message of messages) peer.send(message);
  const echoed = await inbox.take(messages.length);
  // Looked at only now: what the application keeps stays valid.
  assert.deepEqual(
    echoed.map((message) =>
      typeof message === 'string' ? message : Buffer.from(message as Uint8Array),
    ),
    messages,
  );
  peer.close(1000);
  assert.equal((await within('the end', peer.closed)).code, 1000);
});

describe('an upgrade that no route matches', () => {
  test('is left to the other listeners, in either order', async (t) => {
    for (const first of [true, false]) {
      const http = createServer(app);
      const asked: (string | undefined)[] = [];
      const other = (): void => {
        http.on('upgrade', (request, socket) => {
          if (!request.url?.startsWith('/other')) return;
          asked.push(request.url);
          socket.end('HTTP/1.1 418 Other\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
        });
      };
      if (first) other();
      const { host } = await attached(t, { routes: { '/chat': echo } }, http);
      if (!first) other();
      const error = await expectFailureCode(dialTo(t, `ws://${host}/other`), 'STATUS_NOT_101');
      assert.equal(error.response?.status, 418);
      const peer = await dialTo(t, `ws://${host}/chat`);
      assert.equal(peer.state, 'open');
      assert.deepEqual(asked, ['/other']);
    }
  });

  test('goes to the request handler where nobody else listens', async (t) => {
    const { host } = await attached(t, { routes: { '/chat': echo } });
    const error = await expectFailureCode(dialTo(t, `ws://${host}/other`), 'STATUS_NOT_101');
    assert.equal(error.response?.status, 200);
    assert.equal(error.response.body, 'page /other');
  });

  test('is refused where nobody else is there at all', async (t) => {
    const { host } = await attached(t, { routes: { '/chat': echo } }, createServer());
    const error = await expectFailureCode(dialTo(t, `ws://${host}/other`), 'STATUS_NOT_101');
    assert.equal(error.response?.status, 404);
  });

  test('two of ours share a server, each with its routes', async (t) => {
    const { http, host, server } = await attached(t, { routes: { '/one': echo } });
    const second = attach(http, { routes: { '/two': echo } });
    t.after(() => second.close());
    await dialTo(t, `ws://${host}/one`);
    await dialTo(t, `ws://${host}/two`);
    assert.equal(server.peers.size, 1);
    assert.equal(second.peers.size, 1);
  });
});

describe('the request', () => {
  test('is not retained by the peer, nor by the socket', async (t) => {
    const http = createServer(app);
    let request: WeakRef<object> | undefined;
    http.on('upgrade', (seen) => {
      request = new WeakRef(seen);
    });
    const { host, server } = await attached(t, { routes: { '/': echo } }, http);
    await dialTo(t, `ws://${host}`);
    const { setFlagsFromString } = await import('node:v8');
    const { runInNewContext } = await import('node:vm');
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    for (let at = 0; at < 20 && request?.deref() !== undefined; at++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      collect();
    }
    assert.equal(request?.deref(), undefined);
    assert.equal([...server.peers][0]?.request.url, '/');
  });
});

describe('close', () => {
  test('leaves the HTTP server as it was', async (t) => {
    const { http, host, server } = await attached(t, { routes: { '/': echo } });
    const peer = await dialTo(t, `ws://${host}`);
    await within('close', server.close());
    assert.equal((await peer.closed).code, 1001);
    assert.equal(http.listening, true);
    assert.equal(http.listenerCount('upgrade'), 0);
    assert.equal(await (await fetch(`http://${host}/`)).text(), 'page /');
    const error = await expectFailureCode(dialTo(t, `ws://${host}`), 'STATUS_NOT_101');
    assert.equal(error.response?.status, 200);
  });

  test('resolves only when no upgrade is being decided any more', async (t) => {
    let decide: (() => void) | undefined;
    const asked = new Mailbox<string>();
    const { host, server } = await attached(t, {
      routes: {
        '/': {
          upgrade() {
            asked.put('asked');
            return new Promise<undefined>((resolve) => {
              decide = () => resolve(undefined);
            });
          },
        },
      },
    });
    const dialled = expectFailureCode(dialTo(t, `ws://${host}`), 'STATUS_NOT_101');
    await asked.next();
    let isClosed = false;
    const closed = server.close().then(() => {
      isClosed = true;
    });
    await nextTurn();
    assert.equal(isClosed, false);
    decide?.();
    assert.equal((await dialled).response?.status, 503);
    await within('close', closed);
  });

  test('cuts off those that are never decided', async (t) => {
    const asked = new Mailbox<string>();
    const { host, server } = await attached(t, {
      routes: {
        '/': {
          upgrade() {
            asked.put('asked');
            return new Promise<undefined>(() => {});
          },
        },
      },
    });
    const dialled = dialTo(t, `ws://${host}`).then(
      () => 'open',
      () => 'failed',
    );
    await asked.next();
    await within('close', server.close({ timeoutMs: 30 }));
    assert.equal(await within('the client', dialled, 2_000), 'failed');
  });
});
