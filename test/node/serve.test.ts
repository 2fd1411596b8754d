import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { get, request as httpRequest, type IncomingMessage } from 'node:http';
import { get as getTls } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import { type CloseOptions, type Route, serve } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { dialTo, expectFailureCode, Mailbox, startServer } from './connections.ts';

const echo: Route<undefined> = {
  message(peer, message) {
    peer.send(message);
  },
};

async function fetchText(url: string): Promise<{ response: IncomingMessage; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { agent: false }, resolve).on('error', reject);
  });
  return { response, body: await text(response) };
}

describe('where it listens', () => {
  test('on a free port of this machine alone, unless told otherwise', async (t) => {
    const server = await startServer(t, { routes: { '/': echo } });
    assert.ok(server.port > 0);
    assert.equal(server.url, `ws://127.0.0.1:${server.port}`);
    const peer = await dialTo(t, server.url);
    assert.equal(peer.remoteAddress, '127.0.0.1');
  });

  test('on the port it is told; not where somebody listens already', async (t) => {
    const first = await startServer(t, { routes: {} });
    await assert.rejects(serve({ port: first.port, routes: {} }), { code: 'EADDRINUSE' });
    const { port } = first;
    await first.close();
    const second = await startServer(t, { port, host: '127.0.0.1', routes: {} });
    assert.equal(second.port, port);
  });

  test('on a Unix socket, whatever its name', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
    t.after(() => rm(folder, { recursive: true }));
    for (const name of ['plain.sock', 'a b:c?d#e%f.sock']) {
      const unix = join(folder, name);
      const server = await serve({ unix, routes: { '/deep/er': echo } });
      assert.equal(server.port, 0);
      assert.ok((await stat(unix)).isSocket());
      const inbox = new Mailbox<unknown>();
      const peer = await dialTo(t, `${server.url}:/deep/er?x=1`, {
        message: (_, message) => inbox.put(message),
      });
      assert.equal(peer.remoteAddress, undefined);
      peer.send('over unix');
      assert.equal(await inbox.next(), 'over unix');
      await expectFailureCode(dialTo(t, server.url), 'STATUS_NOT_101');
      await server.close();
      await assert.rejects(stat(unix), { code: 'ENOENT' });
    }
  });

  test('with TLS', async (t) => {
    const { cert, key } = await localCertificate();
    const server = await startServer(t, { tls: { cert, key }, routes: { '/': echo } });
    assert.equal(server.url, `wss://127.0.0.1:${server.port}`);
    const inbox = new Mailbox<unknown>();
    const peer = await dialTo(t, server.url, {
      tls: { ca: cert },
      message: (_, message) => inbox.put(message),
    });
    const sizes: unknown[] = [];
    const { write } = TLSSocket.prototype;
    Reflect.set(TLSSocket.prototype, 'write', function (this: TLSSocket, ...args: unknown[]) {
      const [bytes] = args;
      if (bytes instanceof Uint8Array) sizes.push(bytes.length);
      return Reflect.apply(write, this, args);
    });
    t.after(() => Reflect.deleteProperty(TLSSocket.prototype, 'write'));
    for (const message of ['over TLS', 'x'.repeat(300_000)]) {
      peer.send(message);
      assert.equal(await inbox.next(), message);
    }
    assert.equal(peer.bufferedAmount, 0);
    assert.ok(sizes.length > 3, `${sizes.length} writes`);
    assert.ok(!sizes.includes(0), 'an empty write, with which the TLS of some runtimes fails');
    const error = await expectFailureCode(dialTo(t, server.url), 'CONNECT_FAILED');
    assert.ok(error.cause instanceof Error);
    const plain = await new Promise<IncomingMessage>((resolve, reject) => {
      getTls(server.url.replace('wss', 'https'), { agent: false, ca: cert }, resolve).on(
        'error',
        reject,
      );
    });
    assert.equal(plain.statusCode, 426);
    plain.resume();
  });
});

describe('requests that are no upgrade', () => {
  test('404, and 426 where a route is', async (t) => {
    const server = await startServer(t, { routes: { '/chat': echo } });
    const base = `http://127.0.0.1:${server.port}`;
    const missing = await fetchText(`${base}/other`);
    assert.equal(missing.response.statusCode, 404);
    const upgrade = await fetchText(`${base}/chat?x`);
    assert.equal(upgrade.response.statusCode, 426);
    assert.equal(upgrade.response.headers.upgrade, 'websocket');
    assert.match(upgrade.body, /websocket/);
  });

  test('go to the request handler, on a route too', async (t) => {
    const server = await startServer(t, {
      routes: { '/chat': echo },
      request: (request, response) => response.end(`page ${request.url}`),
    });
    const base = `http://127.0.0.1:${server.port}`;
    assert.equal((await fetchText(`${base}/`)).body, 'page /');
    assert.equal((await fetchText(`${base}/chat`)).body, 'page /chat');
    const peer = await dialTo(t, `${server.url}/chat`);
    assert.equal(peer.state, 'open');
  });

  test('an upgrade to another protocol is answered as if it were none', async (t) => {
    const big = Buffer.alloc(5_000_000, 'b');
    const server = await startServer(t, {
      routes: { '/chat': echo },
      async request(request, response) {
        assert.equal(await text(request), '');
        if (request.url !== '/big') {
          response.setHeader('X-Page', 'yes');
          response.end(`page ${request.url}`);
          return;
        }
        // As a file would be sent: as fast as the client takes it.
        for (let at = 0; at < big.length; at += 50_000) {
          if (!response.write(big.subarray(at, at + 50_000))) {
            await new Promise((resolve) => response.once('drain', resolve));
          }
        }
        response.end();
      },
    });
    const ask = async (path: string): Promise<IncomingMessage> =>
      await new Promise((resolve, reject) => {
        httpRequest({
          port: server.port,
          path,
          agent: false,
          headers: { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': '' },
        })
          .on('response', resolve)
          .on('error', reject)
          .end();
      });
    for (const path of ['/', '/chat']) {
      const response = await ask(path);
      assert.equal(response.statusCode, 200);
      assert.equal(response.headers['x-page'], 'yes');
      assert.equal(response.headers.connection, 'close');
      assert.equal(await text(response), `page ${path}`);
    }
    const response = await ask('/big');
    assert.equal((await text(response)).length, big.length);
  });
});

describe('what the server tells', () => {
  test('its peers, until they are gone', async (t) => {
    const closes = new Mailbox<number>();
    const server = await startServer<{ name: string }>(t, {
      routes: {
        '/*': {
          upgrade: ({ url }) => ({ name: url.slice(1) }),
          close: (_, code) => closes.put(code),
        },
      },
    });
    assert.equal(server.peers.size, 0);
    const one = await dialTo(t, `${server.url}/one`);
    await dialTo(t, `${server.url}/two`);
    assert.deepEqual([...server.peers].map(({ data }) => data.name).sort(), ['one', 'two']);
    one.close(4000);
    assert.equal(await closes.next(), 4000);
    assert.deepEqual(
      [...server.peers].map(({ data }) => data.name),
      ['two'],
    );
  });

  test('a server of another origin is refused, of none it is not; hosts are checked', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/same': {},
        '/any': { origins: '*' },
        '/list': { origins: ['https://a.example', 'null'] },
      },
      hosts: ['127.0.0.1', 'ours.example'],
    });
    const cases: [path: string, headers: Record<string, string>, status: number][] = [
      ['/same', {}, 101],
      ['/same', { Origin: `http://127.0.0.1:${server.port}` }, 101],
      ['/same', { Origin: 'http://evil.example' }, 403],
      ['/same', { Origin: 'null' }, 403],
      ['/any', { Origin: 'http://evil.example' }, 101],
      ['/list', { Origin: 'https://a.example' }, 101],
      ['/list', { Origin: 'https://A.example:443' }, 101],
      ['/list', { Origin: 'null' }, 101],
      ['/list', { Origin: 'https://b.example' }, 403],
      ['/any', { Host: 'ours.example' }, 101],
      ['/any', { Host: 'evil.example' }, 421],
    ];
    for (const [path, headers, status] of cases) {
      const dialled = dialTo(t, server.url + path, { headers });
      if (status === 101) assert.equal((await dialled).state, 'open');
      else {
        const error = await expectFailureCode(dialled, 'STATUS_NOT_101');
        assert.equal(error.response?.status, status, `${path} ${JSON.stringify(headers)}`);
      }
    }
  });

  test('the subprotocol that the client prefers among those spoken', async (t) => {
    const server = await startServer(t, {
      routes: { '/': { protocols: ['chat', 'superchat'] }, '/none': {} },
    });
    const cases: [path: string, offered: string[], chosen: string][] = [
      ['/', ['chat', 'superchat'], 'chat'],
      ['/', ['superchat', 'chat'], 'superchat'],
      ['/', ['other', 'superchat'], 'superchat'],
      ['/', ['other'], ''],
      ['/', [], ''],
      ['/none', ['chat'], ''],
    ];
    for (const [path, protocols, chosen] of cases) {
      const peer = await dialTo(t, server.url + path, { protocols });
      assert.equal(peer.protocol, chosen);
      const [served] = [...server.peers].slice(-1);
      assert.equal(served?.protocol, chosen);
    }
  });
});

test('await using closes', async () => {
  const server = await serve({ routes: { '/': echo } });
  let given: CloseOptions | undefined = { code: 1 };
  const close = server.close.bind(server);
  server.close = (options) => {
    given = options;
    return close(options);
  };
  await server[Symbol.asyncDispose]();
  assert.equal(given, undefined);
});
