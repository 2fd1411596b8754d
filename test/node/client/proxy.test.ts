import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { type ConnectOptions, connect } from '../../../dist/index.js';
import { planDial } from '../../../dist/node/client/dial.js';
import { certificateFor, localCertificate } from '../../faults/certificate.ts';
import { expectFailureCode } from '../connections.ts';
import { type ConnectProxy, type ConnectProxyOptions, startProxy } from './connect-proxy.ts';
import { checkEcho, gone, type Recorder, silent, startRecorder } from './servers.ts';

type Kind = 'http' | 'https';
const kinds: readonly Kind[] = ['http', 'https'];

/** A proxy, and what is needed to trust it. */
async function proxyOf(
  t: TestContext,
  kind: Kind,
  options: ConnectProxyOptions = {},
): Promise<{ proxy: ConnectProxy; trust: ConnectOptions }> {
  if (kind === 'http') return { proxy: await startProxy(t, options), trust: {} };
  const tls = await localCertificate();
  return { proxy: await startProxy(t, { ...options, tls }), trust: { proxyTls: { ca: tls.cert } } };
}

async function recorderOf(t: TestContext, scheme: 'ws' | 'wss') {
  const { cert, key } = await localCertificate();
  const server: Recorder = await startRecorder(t, scheme === 'wss' ? { tls: { cert, key } } : {});
  return {
    ...server,
    url: `${scheme}://127.0.0.1:${server.port}/echo`,
    tls: { ca: cert },
  };
}

const ESTABLISHED = 'HTTP/1.1 200 Connection Established\r\n\r\n';

for (const kind of kinds) {
  for (const scheme of ['ws', 'wss'] as const) {
    test(`${scheme} through a tunnel of an ${kind} proxy, with a password and without`, async (t) => {
      const { url, tls, port, asked } = await recorderOf(t, scheme);
      const { proxy, trust } = await proxyOf(t, kind);
      await checkEcho(t, url, { proxy: proxy.url(), tls, ...trust });
      await checkEcho(t, url, {
        proxy: new URL(proxy.url()),
        tls,
        ...trust,
        sharedReadBuffer: true,
      });
      const credentials = '\u00fcs@r:p:ss /%41';
      const guarded = await proxyOf(t, kind, { credentials });
      const encoded = credentials.replace(':', '\n').split('\n').map(encodeURIComponent).join(':');
      const options = { proxy: guarded.proxy.url(encoded), tls, ...trust };
      await checkEcho(t, url, { ...options, headers: { Authorization: 'Bearer x' } });
      for (const { requests } of [proxy, guarded.proxy]) {
        for (const { target, headers } of requests) {
          assert.equal(target, `127.0.0.1:${port}`);
          assert.equal(headers.host, target);
          assert.equal(headers.authorization, undefined);
        }
      }
      assert.deepEqual(
        proxy.requests.map(({ headers }) => headers['proxy-authorization']),
        [undefined, undefined],
      );
      assert.deepEqual(
        asked.map(({ headers }) => [headers['proxy-authorization'], headers.authorization]),
        [
          [undefined, undefined],
          [undefined, undefined],
          [undefined, 'Bearer x'],
        ],
      );
    });
  }

  test(`an ${kind} proxy refuses who has the wrong password, or none`, async (t) => {
    const { url, asked } = await recorderOf(t, 'ws');
    const { proxy, trust } = await proxyOf(t, kind, { credentials: 'user:password' });
    for (const credentials of ['', 'user:s3cret', 'user', ':password']) {
      const failing = connect(url, { proxy: proxy.url(credentials), ...trust });
      const error = await expectFailureCode(failing, 'PROXY_REFUSED');
      assert.match(error.message, /status 407/);
      assert.doesNotMatch(error.message, /s3cret/);
      assert.equal(error.response?.status, 407);
      assert.equal(error.response.headers['proxy-authenticate'], 'Basic realm="test"');
      assert.equal(error.response.body, 'who are you?');
      await gone(await proxy.clients.next());
    }
    assert.equal(asked.length, 0);
  });
}

describe('the proxy is asked for', () => {
  for (const [url, target] of [
    ['ws://h.example', 'h.example:80'],
    ['wss://h.example', 'h.example:443'],
    ['ws://h.example:443/path?query', 'h.example:443'],
    ['ws://[::1]', '[::1]:80'],
    ['wss://[2001:db8::1]:8080', '[2001:db8::1]:8080'],
  ] as const) {
    test(`${target}, for ${url}`, async (t) => {
      const answer = (client: Duplex) => client.end('HTTP/1.1 502 No\r\n\r\n');
      const proxy = await startProxy(t, { answer });
      await expectFailureCode(connect(url, { proxy: proxy.url() }), 'PROXY_REFUSED');
      const [request] = proxy.requests;
      assert.equal(request?.target, target);
      assert.equal(request.headers.host, target);
    });
  }
});

describe('what opens no tunnel', () => {
  const answers: [answer: string, status: number, body: string][] = [
    ['HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1/\r\n\r\n', 301, ''],
    ['HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n', 101, ''],
    ['HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy', 503, 'busy'],
    ['HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n', 503, ''],
    ['HTTP/1.0 403 Forbidden\r\n\r\nno', 403, 'no'],
    [
      `${ESTABLISHED}HTTP/1.1 101 Switching Protocols\r\n\r\n`,
      200,
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    ],
  ];
  for (const [text, status, body] of answers) {
    test(JSON.stringify(text.slice(0, 60)), async (t) => {
      const proxy = await startProxy(t, { answer: (client) => client.write(text) });
      const failing = connect('ws://h.example', { proxy: proxy.url() });
      const error = await expectFailureCode(failing, 'PROXY_REFUSED');
      assert.equal(error.side, 'peer');
      assert.equal(error.response?.status, status);
      assert.equal(error.response.body, body);
      await gone(await proxy.clients.next());
    });
  }

  test('but any 2xx does, whatever length it claims', async (t) => {
    const { url, port } = await recorderOf(t, 'ws');
    for (const head of [
      '201 Created',
      '200 OK\r\nContent-Length: 5',
      '200 OK\r\nTransfer-Encoding: chunked',
    ]) {
      const proxy = await startProxy(t, {
        answer(client) {
          const target = new Socket().connect(port, '127.0.0.1');
          target.on('error', () => {});
          client.on('close', () => target.destroy());
          client.write(`HTTP/1.1 ${head}\r\n\r\n`);
          target.pipe(client).pipe(target);
        },
      });
      await checkEcho(t, url, { proxy: proxy.url() });
    }
  });
});

describe('a proxy that fails', () => {
  test('is named, where nobody is there', async (t) => {
    const proxy = await startProxy(t);
    const proxyUrl = `http://user:s3cret@127.0.0.1:${proxy.port}`;
    proxy.close();
    const error = await expectFailureCode(
      connect('ws://h.example', { proxy: proxyUrl }),
      'CONNECT_FAILED',
    );
    assert.match(
      error.message,
      new RegExp(`the proxy 127\\.0\\.0\\.1:${proxy.port}: .*ECONNREFUSED`),
    );
    assert.doesNotMatch(error.message, /s3cret/);
    assert.ok(error.cause instanceof Error && 'code' in error.cause);
    assert.equal(error.cause.code, 'ECONNREFUSED');
  });

  test('is named, where its certificate is not trusted or for another name', async (t) => {
    const tls = await certificateFor('other.example');
    const proxy = await startProxy(t, { tls });
    const options = { proxy: proxy.url() };
    const { message } = await expectFailureCode(
      connect('ws://h.example', options),
      'CONNECT_FAILED',
    );
    assert.match(message, /the proxy 127\.0\.0\.1:\d+: self-signed certificate/);
    const proxyTls = { ca: tls.cert };
    const failing = connect('ws://h.example', { ...options, proxyTls });
    const wrong = await expectFailureCode(failing, 'CERTIFICATE_NAME');
    assert.match(
      wrong.message,
      /the proxy 127\.0\.0\.1:\d+: wanted 127\.0\.0\.1, it is for other\.example/,
    );
    await gone(await proxy.clients.next());
    await gone(await proxy.clients.next());
    assert.deepEqual(proxy.requests, []);
  });

  test('before it has answered', async (t) => {
    for (const answer of [
      (client: Duplex) => client.destroy(),
      (client: Duplex) => client.end('HTTP/1.1 2'),
      (client: Duplex) => client.end('SSH-2.0-OpenSSH\r\n'),
      (client: Duplex) => client.write(`HTTP/1.1 200 OK\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`),
    ]) {
      const proxy = await startProxy(t, { answer });
      const failing = connect('ws://h.example', { proxy: proxy.url() });
      assert.match((await expectFailureCode(failing, 'CONNECT_FAILED')).message, /the proxy/);
      await gone(await proxy.clients.next());
    }
  });

  for (const kind of kinds) {
    for (const scheme of ['ws', 'wss'] as const) {
      test(`${kind}, in the tunnel for ${scheme}`, async (t) => {
        for (const breaks of ['end', 'reset', 'nonsense'] as const) {
          const { proxy, trust }: Awaited<ReturnType<typeof proxyOf>> = await proxyOf(t, kind, {
            answer(client) {
              client.write(ESTABLISHED);
              client.once('data', () => {
                if (breaks === 'end') client.end();
                else if (breaks === 'nonsense') client.write('nonsense\r\n\r\n'.repeat(10));
                else proxy.clients.all[0]?.resetAndDestroy();
              });
            },
          });
          const failing = connect(`${scheme}://h.example`, { proxy: proxy.url(), ...trust });
          const { message } = await expectFailureCode(failing, 'CONNECT_FAILED');
          assert.doesNotMatch(message, /proxy/);
          await gone(await proxy.clients.next());
        }
      });
    }
  }
});

describe('TLS in the tunnel', () => {
  test('is for the server: its name, its certificate, the options in `tls`', async (t) => {
    const { url, tls, port, server } = await recorderOf(t, 'wss');
    const names: unknown[] = [];
    server.on('secureConnection', ({ servername }: { servername: unknown }) =>
      names.push(servername),
    );
    const { proxy, trust } = await proxyOf(t, 'https');
    const byName = `https://localhost:${proxy.port}`;
    await checkEcho(t, `wss://localhost:${port}/echo`, { proxy: proxy.url(), tls, ...trust });
    await checkEcho(t, url, { proxy: byName, tls, ...trust });
    assert.deepEqual(names, ['localhost', false]);
    assert.deepEqual(proxy.servernames, [false, 'localhost']);
    // What is trusted as a proxy is not therefore trusted as a server, nor the other way round.
    const untrusting = connect(url, { proxy: proxy.url(), ...trust });
    const { message } = await expectFailureCode(untrusting, 'CONNECT_FAILED');
    assert.match(message, /made: self-signed/);
    await expectFailureCode(connect(url, { proxy: proxy.url(), tls }), 'CONNECT_FAILED');
  });

  test('with a certificate for another name', async (t) => {
    const other = await certificateFor('other.example');
    const { port, asked } = await startRecorder(t, { tls: { ...other } });
    for (const kind of kinds) {
      const { proxy, trust } = await proxyOf(t, kind);
      const options = { proxy: proxy.url(), tls: { ca: other.cert }, ...trust };
      const failing = connect(`wss://127.0.0.1:${port}`, options);
      const { message } = await expectFailureCode(failing, 'CERTIFICATE_NAME');
      assert.match(message, /name: wanted 127\.0\.0\.1, it is for other\.example/);
      await gone(await proxy.clients.next());
    }
    assert.equal(asked.length, 0);
  });
});

describe('time and signal are for all of it', () => {
  const limits = { handshakeTimeoutMs: 60 };
  /** Fails by time and by signal; in both cases the proxy is left alone. */
  async function checkGivesUp(
    url: string,
    options: ConnectOptions,
    next: () => Promise<Socket>,
    reached: () => Promise<unknown> = async () => {},
  ): Promise<void> {
    await expectFailureCode(connect(url, { ...options, limits }), 'HANDSHAKE_TIMEOUT');
    await reached();
    await gone(await next());
    const controller = new AbortController();
    const dialling = connect(url, { ...options, signal: controller.signal });
    dialling.catch(() => {});
    const socket = await next();
    await reached();
    controller.abort();
    await assert.rejects(dialling, { name: 'AbortError' });
    await gone(socket);
  }

  test('a proxy that does not answer', async (t) => {
    const { port, sockets } = await silent(t);
    for (const scheme of kinds) {
      const proxy = `${scheme}://127.0.0.1:${port}`;
      await checkGivesUp('ws://h.example', { proxy }, () => sockets.next());
    }
  });

  for (const kind of kinds) {
    for (const scheme of ['ws', 'wss']) {
      test(`a server that does not answer ${scheme} through an ${kind} proxy`, async (t) => {
        const { port, sockets } = await silent(t);
        const { proxy, trust } = await proxyOf(t, kind);
        const options = { proxy: proxy.url(), ...trust };
        const behind: Socket[] = [];
        await checkGivesUp(
          `${scheme}://127.0.0.1:${port}`,
          options,
          () => proxy.clients.next(),
          async () => behind.push(await sockets.next()),
        );
        assert.equal(behind.length, 2);
      });
    }
  }

  test('a signal that aborts when the tunnel has just opened', async (t) => {
    const controller = new AbortController();
    const proxy = await startProxy(t, {
      answer(client) {
        client.write(ESTABLISHED, () => controller.abort());
      },
    });
    const { signal } = controller;
    const dialling = connect('wss://h.example', { proxy: proxy.url(), signal });
    await assert.rejects(dialling, { name: 'AbortError' });
    await gone(await proxy.clients.next());
  });
});

test('redirects go through the proxy too, each through a tunnel of its own', async (t) => {
  const secure = await recorderOf(t, 'wss');
  const first = await startRecorder(t, {
    redirect: (url) => (url === '/' ? '/2' : secure.url.replace('wss:', 'https:')),
  });
  const proxy = await startProxy(t, { credentials: 'user:password' });
  await checkEcho(t, `ws://127.0.0.1:${first.port}`, {
    proxy: proxy.url('user:password'),
    maxRedirects: 2,
    tls: secure.tls,
  });
  assert.deepEqual(
    proxy.requests.map(({ target }) => target),
    [first.port, first.port, secure.port].map((port) => `127.0.0.1:${port}`),
  );
});

describe("proxy: 'environment'", () => {
  /** Sets variables until the test ends. */
  function setEnvironment(t: TestContext, variables: Readonly<Record<string, string>>): void {
    const before = { ...process.env };
    for (const name of Object.keys(before)) {
      if (/_proxy$/i.test(name) || name === 'REQUEST_METHOD') delete process.env[name];
    }
    Object.assign(process.env, variables);
    t.after(() => {
      for (const name of Object.keys(variables)) delete process.env[name];
      Object.assign(process.env, before);
    });
  }

  test('each target has its own', async (t) => {
    const secure = await recorderOf(t, 'wss');
    const plain = await startRecorder(t, {
      redirect: (url) => (url === '/' ? `//localhost:${plain.port}/2` : secure.url),
    });
    const forWs = await startProxy(t, { credentials: 'user:password' });
    const forWss = await startProxy(t);
    setEnvironment(t, {
      http_proxy: forWs.url('user:password'),
      wss_proxy: forWss.url(),
      no_proxy: 'localhost',
    });
    await checkEcho(t, `ws://127.0.0.1:${plain.port}/`, {
      proxy: 'environment',
      maxRedirects: 2,
      tls: secure.tls,
    });
    assert.equal(plain.asked.length, 2);
    assert.equal(forWs.requests.length, 1);
    assert.equal(forWss.requests.length, 1);
  });

  test('is read only where it is asked for', async (t) => {
    const { url } = await recorderOf(t, 'ws');
    setEnvironment(t, { all_proxy: 'http://127.0.0.1:1' });
    await checkEcho(t, url, {});
    await expectFailureCode(connect(url, { proxy: 'environment' }), 'CONNECT_FAILED');
  });

  test('means nothing to a Unix socket', async (t) => {
    setEnvironment(t, { all_proxy: 'http://127.0.0.1:1' });
    const failing = connect('ws+unix:/no/such.sock', { proxy: 'environment' });
    assert.match((await expectFailureCode(failing, 'CONNECT_FAILED')).message, /ENOENT/);
  });

  test('that cannot be used is misuse', (t) => {
    setEnvironment(t, { HTTPS_PROXY: 'socks5://user:s3cret@p' });
    const proxy = 'environment';
    assert.throws(() => planDial('wss://h', [], { proxy }), {
      code: 'INVALID_OPTION',
      message: /HTTPS_PROXY is not the URL of an HTTP or HTTPS proxy/,
    });
    planDial('ws://h', [], { proxy });
  });
});

describe('misuse', () => {
  const wrong: unknown[] = [
    '',
    'proxy:3128',
    '127.0.0.1:3128',
    'socks5://u:s3cret@p',
    'http://u:s3cret@p/path',
    'http://u:s3cret@p:99999',
    'http://u:s3cret%zz@p',
    new URL('ftp://u:s3cret@p'),
    null,
    true,
    { host: 'p' },
  ];
  for (const proxy of wrong) {
    test(`proxy is ${String(proxy)}`, () => {
      assert.throws(
        () => planDial('ws://h', [], { proxy: proxy as string }),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'INVALID_OPTION');
          assert.match(error.message, /: proxy /);
          assert.doesNotMatch(error.message + String(error.cause), /s3cret/);
          return true;
        },
      );
    });
  }

  test('a proxy with an agent, or for a Unix socket', () => {
    const agent = new Agent();
    const invalid = { code: 'INVALID_OPTION' };
    for (const proxy of ['http://p', 'environment']) {
      assert.throws(() => planDial('ws://h', [], { proxy, agent }), invalid);
    }
    assert.throws(() => planDial('ws+unix:/run/a.sock', [], { proxy: 'http://p' }), invalid);
  });

  test('a certificate for the proxy that cannot be read', () => {
    const proxyTls = { cert: 'nonsense' };
    assert.throws(() => planDial('ws://h', [], { proxy: 'https://p', proxyTls }), {
      code: 'INVALID_OPTION',
      message: /proxyTls: /,
    });
  });

  test('what node:tls refuses when the tunnel is open', async (t) => {
    const { url, port } = await recorderOf(t, 'wss');
    const proxy = await startProxy(t);
    const tls = { checkServerIdentity: 'none' as never };
    const options = { proxy: proxy.url(), tls };
    await expectFailureCode(connect(url, options), 'INVALID_OPTION');
    assert.equal(proxy.requests[0]?.target, `127.0.0.1:${port}`);
    await gone(await proxy.clients.next());
  });

  test('an agent for another scheme', async () => {
    const failing = connect('wss://127.0.0.1:1', { agent: new Agent() });
    assert.match((await expectFailureCode(failing, 'INVALID_OPTION')).message, /agent: .*https:/);
  });
});
