import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { connect } from '../../../dist/index.js';
import { certificateFor, localCertificate } from '../../faults/certificate.ts';
import { dialTo, expectFailureCode } from '../connections.ts';
import {
  checkEcho,
  gone,
  listen,
  type Recorder,
  type RecorderOptions,
  silent,
  startRecorder,
} from './servers.ts';

type Locations = Readonly<Record<string, string | readonly string[]>>;

/** A server whose paths lead to locations; in those PORT is its own port. */
async function redirecting(
  t: TestContext,
  locations: Locations,
  options: RecorderOptions = {},
): Promise<Recorder> {
  const server: Recorder = await startRecorder(t, {
    ...options,
    redirect: (url) =>
      [locations[url] ?? []].flat().map((one) => one.replace('PORT', `${server.port}`)),
  });
  return server;
}

async function socketPath(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'test.sock');
}

const secrets = {
  AUTHORIZATION: 'Bearer secret',
  cookie: 'a=secret',
  'Proxy-authorization': 'Basic secret',
  hOST: 'secret.example',
};
const headers = { ...secrets, Origin: 'http://o.example', 'X-Other': 'x' };

/** Of a request, what could be a secret. */
function told({ asked }: Recorder, index = 0): Record<string, unknown> {
  const request = asked[index];
  assert.ok(request !== undefined, 'nothing was asked');
  const { authorization, cookie, host, origin } = request.headers;
  assert.equal(origin, 'http://o.example');
  assert.equal(request.headers['x-other'], 'x');
  return { authorization, cookie, host, proxy: request.headers['proxy-authorization'] };
}
const all = {
  authorization: 'Bearer secret',
  cookie: 'a=secret',
  host: 'secret.example',
  proxy: 'Basic secret',
};
const nothing = { authorization: undefined, cookie: undefined, proxy: undefined };

describe('a redirect is followed', () => {
  for (const status of [301, 302, 303, 307, 308]) {
    test(`of status ${status}`, async (t) => {
      const { port, asked } = await redirecting(t, { '/': '/echo' }, { status });
      await checkEcho(t, `ws://127.0.0.1:${port}`, { maxRedirects: 1 });
      assert.deepEqual(
        asked.map(({ method, url }) => `${method} ${url}`),
        ['GET /', 'GET /echo'],
      );
    });
  }

  for (const location of [
    '/echo',
    '../echo',
    './/../../echo#fragment',
    '//127.0.0.1:PORT/echo',
    'ws://127.0.0.1:PORT/echo',
    'http://127.0.0.1:PORT/echo',
    'HTTP://127.1:PORT/x/../echo#',
  ]) {
    test(`to ${location}, with all headers and a fresh key`, async (t) => {
      const { port, asked } = await redirecting(t, { '/a/b?c': location });
      const options = { maxRedirects: 1, headers, protocols: ['chat'] };
      const peer = await dialTo(t, `ws://127.0.0.1:${port}/a/b?c`, options);
      assert.equal(peer.protocol, 'chat');
      assert.equal(asked[1]?.url, '/echo');
      const { 'sec-websocket-key': firstKey = '', ...first } = asked[0]?.headers ?? {};
      const { 'sec-websocket-key': key = '', ...second } = asked[1].headers;
      assert.deepEqual(second, first);
      assert.equal(second.authorization, 'Bearer secret');
      assert.match(key, /^[\w+/]{22}==$/);
      assert.notEqual(key, firstKey);
    });
  }

  test('to a path that is not ASCII', async (t) => {
    const { port, asked } = await redirecting(t, {
      '/': '/\u00fc?\u20ac',
      '/%C3%BC?%E2%82%AC': '/echo',
    });
    await checkEcho(t, `ws://127.0.0.1:${port}`, { maxRedirects: 2 });
    assert.equal(asked[1]?.url, '/%C3%BC?%E2%82%AC');
  });

  test('as often as is allowed and no oftener', async (t) => {
    const { port, asked } = await redirecting(t, { '/': '/1', '/1': '/2', '/2': '/echo' });
    await checkEcho(t, `ws://127.0.0.1:${port}`, { maxRedirects: 3 });
    assert.equal(asked.length, 4);
    const failing = connect(`ws://127.0.0.1:${port}`, { maxRedirects: 2 });
    const error = await expectFailureCode(failing, 'REDIRECT_REFUSED');
    assert.match(error.message, /maxRedirects, 2/);
    assert.equal(error.response?.headers['location'], '/echo');
    assert.equal(error.response.body, 'moved');
    assert.equal(asked.length, 7);
  });

  test('by an agent', async (t) => {
    const agent = new Agent({ keepAlive: true });
    t.after(() => agent.destroy());
    const { port, asked } = await redirecting(t, { '/': '/echo' });
    await checkEcho(t, `ws://127.0.0.1:${port}`, { maxRedirects: 1, agent });
    assert.equal(asked.length, 2);
  });

  test('and its connection is closed, though its body never ends', async (t) => {
    const { port } = await startRecorder(t);
    const first = createServer((_, response) => {
      response.writeHead(302, { Location: `ws://127.0.0.1:${port}/echo` });
      response.write('more to come');
    });
    const left = new Promise<void>((resolve) => {
      first.on('connection', (socket) => resolve(gone(socket)));
    });
    const url = `ws://127.0.0.1:${await listen(t, first)}`;
    await checkEcho(t, url, { maxRedirects: 1 });
    await left;
  });
});

describe('to another origin no credentials are taken', () => {
  test('to another port; nor back to the first', async (t) => {
    const first: Recorder = await startRecorder(t, {
      redirect: () => `http://127.0.0.1:${second.port}/`,
    });
    const second: Recorder = await startRecorder(t, {
      redirect: () => `http://127.0.0.1:${first.port}/echo`,
    });
    await dialTo(t, `ws://127.0.0.1:${first.port}/`, { maxRedirects: 2, headers });
    assert.deepEqual(told(first), all);
    assert.deepEqual(told(second), { ...nothing, host: `127.0.0.1:${second.port}` });
    assert.deepEqual(told(first, 1), { ...nothing, host: `127.0.0.1:${first.port}` });
  });

  test('to another name of the same host', async (t) => {
    const server = await redirecting(t, { '/': '//localhost:PORT/echo' });
    await dialTo(t, `ws://127.0.0.1:${server.port}/`, { maxRedirects: 1, headers });
    assert.deepEqual(told(server, 1), { ...nothing, host: `localhost:${server.port}` });
  });

  test('to another scheme, from ws: to wss:', async (t) => {
    const { cert, key } = await localCertificate();
    const secure = await startRecorder(t, { tls: { cert, key } });
    const plain = await redirecting(t, { '/': `https://127.0.0.1:${secure.port}/echo` });
    const url = `ws://127.0.0.1:${plain.port}/`;
    await dialTo(t, url, { maxRedirects: 1, headers, tls: { ca: cert } });
    assert.deepEqual(told(secure), { ...nothing, host: `127.0.0.1:${secure.port}` });
    await expectFailureCode(connect(url, { maxRedirects: 1 }), 'CONNECT_FAILED');
  });

  test('no client certificate, and no servername', async (t) => {
    const { cert, key } = await localCertificate();
    const client = await certificateFor('client.example');
    const tls = { cert, key, requestCert: true, rejectUnauthorized: false };
    const second = await startRecorder(t, { tls });
    const first = await redirecting(
      t,
      { '/': '/2', '/2': `//localhost:${second.port}/echo` },
      { tls },
    );
    const presented: unknown[] = [];
    for (const { server } of [first, second]) {
      server.on('secureConnection', (socket: TLSSocket) => {
        presented.push(socket.getPeerCertificate().subject?.CN, String(socket.servername));
      });
    }
    await dialTo(t, `wss://127.0.0.1:${first.port}/`, {
      maxRedirects: 2,
      tls: { ca: cert, servername: '', cert: client.cert, key: client.key },
    });
    const known = ['client.example', 'false'];
    assert.deepEqual(presented, [...known, ...known, undefined, 'localhost']);
  });

  test('from a Unix socket, which is localhost to its server', async (t) => {
    const path = await socketPath(t);
    const tcp = await startRecorder(t);
    const unix = await redirecting(
      t,
      { '/a/b': 'c', '/a/c': 'http://localhost/d', '/d': `http://127.0.0.1:${tcp.port}/echo` },
      { path },
    );
    await dialTo(t, `ws+unix:${path}:/a/b`, { maxRedirects: 3, headers });
    assert.equal(unix.asked.length, 3);
    assert.deepEqual(told(unix, 2), all);
    assert.deepEqual(told(tcp), { ...nothing, host: `127.0.0.1:${tcp.port}` });
  });
});

describe('a redirect is refused', () => {
  test('from wss: to ws:, whatever the host', async (t) => {
    const { cert, key } = await localCertificate();
    const plain = await startRecorder(t);
    for (const location of [
      `http://127.0.0.1:${plain.port}/echo`,
      `ws://127.0.0.1:${plain.port}/echo`,
      'http://127.0.0.1:PORT/echo',
    ]) {
      const { port, asked, sockets } = await redirecting(
        t,
        { '/': location },
        { tls: { cert, key } },
      );
      const options = { maxRedirects: 9, tls: { ca: cert } };
      const failing = connect(`wss://127.0.0.1:${port}`, options);
      const error = await expectFailureCode(failing, 'REDIRECT_REFUSED');
      assert.match(error.message, /from wss: to ws:/);
      assert.equal(error.response?.status, 302);
      assert.equal(error.response.body, 'moved');
      assert.equal(asked.length, 1);
      await gone(await sockets.next());
    }
    assert.equal(plain.asked.length, 0);
  });

  const wrong: [location: string | string[], says: RegExp][] = [
    ['ftp://127.0.0.1/echo', /scheme ftp:/],
    ['file:///etc/passwd', /scheme file:/],
    ['ws+unix:/run/docker.sock:/x', /scheme ws\+unix:/],
    ['javascript:alert(1)', /scheme javascript:/],
    ['http://[/', /no URL/],
    ['http://127.0.0.1:99999/', /no URL/],
    ['ws://user@127.0.0.1:PORT/echo', /user or password/],
    ['http://:s3cret@127.0.0.1:PORT/echo', /user or password/],
    [['/echo', '/echo'], /two locations/],
  ];
  for (const [location, says] of wrong) {
    test(`to ${String(location)}`, async (t) => {
      const { port, asked, sockets } = await redirecting(t, { '/': location });
      const failing = connect(`ws://127.0.0.1:${port}`, { maxRedirects: 9 });
      const error = await expectFailureCode(failing, 'REDIRECT_REFUSED');
      assert.match(error.message, says);
      assert.doesNotMatch(error.message, /s3cret/);
      assert.equal(error.response?.status, 302);
      assert.equal(asked.length, 1);
      await gone(await sockets.next());
    });
  }
});

describe('what is no redirect is told as it is', () => {
  for (const status of [200, 300, 304, 305, 306, 401]) {
    test(`a Location with status ${status}`, async (t) => {
      const { port, sockets } = await redirecting(t, { '/': '/echo' }, { status });
      const failing = connect(`ws://127.0.0.1:${port}`, { maxRedirects: 9 });
      const error = await expectFailureCode(failing, 'STATUS_NOT_101');
      assert.equal(error.response?.status, status);
      await gone(await sockets.next());
    });
  }

  test('a redirect without a Location', async (t) => {
    const { port } = await startRecorder(t);
    const failing = connect(`ws://127.0.0.1:${port}`, { maxRedirects: 9 });
    assert.equal((await expectFailureCode(failing, 'STATUS_NOT_101')).response?.body, 'moved');
  });
});

describe('one time and one signal for all of them', () => {
  test('redirects without end', async (t) => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      setTimeout(() => {
        response.writeHead(302, { Location: '/' });
        response.end();
      }, 5);
    });
    const url = `ws://127.0.0.1:${await listen(t, server)}`;
    const limits = { handshakeTimeoutMs: 60 };
    const failing = connect(url, { maxRedirects: 1e9, limits });
    await expectFailureCode(failing, 'HANDSHAKE_TIMEOUT');
    assert.ok(asked > 1);
  });

  test('a second server that never answers', async (t) => {
    const { port, sockets } = await silent(t);
    const first = await redirecting(t, { '/': `ws://127.0.0.1:${port}` });
    const url = `ws://127.0.0.1:${first.port}`;
    const limits = { handshakeTimeoutMs: 60 };
    await expectFailureCode(connect(url, { maxRedirects: 1, limits }), 'HANDSHAKE_TIMEOUT');
    await gone(await sockets.next());

    const controller = new AbortController();
    const dialling = connect(url, { maxRedirects: 1, signal: controller.signal });
    const socket = await sockets.next();
    controller.abort();
    await assert.rejects(dialling, { name: 'AbortError' });
    await gone(socket);
    await gone(await first.sockets.next());
    await gone(await first.sockets.next());
  });

  test('the body of a refused redirect that stops halfway', async (t) => {
    const server = createServer((_, response) => {
      response.writeHead(302, { Location: 'ftp://x', 'Content-Length': 100 });
      response.write('half');
    });
    const url = `ws://127.0.0.1:${await listen(t, server)}`;
    const limits = { handshakeTimeoutMs: 60 };
    const failing = connect(url, { maxRedirects: 1, limits });
    const error = await expectFailureCode(failing, 'REDIRECT_REFUSED');
    assert.equal(error.response?.body, 'half');
    const signal = AbortSignal.timeout(60);
    await assert.rejects(connect(url, { maxRedirects: 1, signal }), { name: 'TimeoutError' });
  });
});

test('maxRedirects is a whole number', async () => {
  for (const maxRedirects of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await expectFailureCode(connect('ws://127.0.0.1:1', { maxRedirects }), 'INVALID_OPTION');
  }
});
