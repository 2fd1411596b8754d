import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import { constants } from 'node:http2';
import { describe, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { type ConnectOptions, connect } from '../../../dist/index.js';
import { localCertificate } from '../../faults/certificate.ts';
import { within } from '../../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from '../connections.ts';
import { chooseHttp2, startHttp2 } from './http2-server.ts';
import { gone, silent, startRecorder } from './servers.ts';

const http2 = true;

test('options that exclude each other, and one that is none', async () => {
  const agent = new Agent();
  for (const options of [
    { http2, agent },
    { http2, tls: { ALPNProtocols: ['h2'] } },
    { http2: 'yes' as never },
  ] satisfies ConnectOptions[]) {
    await expectFailureCode(connect('ws://h.example', options), 'INVALID_OPTION');
  }
});

describe('a refusal', () => {
  test('is told with its status, headers and body', async (t) => {
    const server = await startHttp2(t);
    const failing = connect(server.url, { http2 });
    const raw = await server.streams.next();
    raw.refuse(401, { 'www-authenticate': 'Bearer', 'x-twice': ['a', 'b'] }, 'who are you?');
    const error = await expectFailureCode(failing, 'STATUS_NOT_101');
    assert.match(error.message, /status 401/);
    assert.equal(error.response?.status, 401);
    assert.equal(error.response.headers['www-authenticate'], 'Bearer');
    assert.equal(error.response.headers['x-twice'], 'a, b');
    assert.equal(error.response.headers[':status'], undefined);
    assert.equal(error.response.body, 'who are you?');
    assert.equal(server.sessions.all.length, 1);
  });

  test('of its body 64 KiB are read, though it never ends', async (t) => {
    const server = await startHttp2(t);
    const failing = connect(server.url, { http2, limits: { handshakeTimeoutMs: 60_000 } });
    const raw = await server.streams.next();
    raw.stream.respond({ ':status': 500 });
    const write = (): void => {
      while (!raw.stream.destroyed && raw.stream.write('0123456789abcdef'.repeat(1_000)));
    };
    raw.stream.on('drain', write);
    write();
    const error = await expectFailureCode(failing, 'STATUS_NOT_101');
    assert.equal(error.response?.body.length, 65_536);
    assert.equal(await within('the reset', raw.closed), constants.NGHTTP2_CANCEL);
  });

  test('whose body stops halfway is told as far as it came', async (t) => {
    const server = await startHttp2(t);
    const failing = connect(server.url, { http2 });
    const raw = await server.streams.next();
    raw.stream.respond({ ':status': 503 });
    raw.stream.write('half', () => setTimeout(() => raw.stream.close(2), 20));
    const error = await expectFailureCode(failing, 'STATUS_NOT_101');
    assert.equal(error.response?.body, 'half');
  });

  test('that redirects is followed where that is allowed, to HTTP/1.1 as well', async (t) => {
    const recorder = await startRecorder(t);
    const server = await startHttp2(t);
    const headers = { Authorization: 'secret', 'X-Open': 'yes' };
    const dialling = dialTo(t, `${server.url}/from`, { http2, headers, maxRedirects: 2 });
    const first = await server.streams.next();
    first.refuse(302, { location: '/to?query' });
    const second = await server.streams.next();
    assert.equal(second.headers[':path'], '/to?query');
    assert.equal(second.headers.authorization, 'secret');
    second.refuse(307, { location: `http://127.0.0.1:${recorder.port}/echo` });
    assert.equal((await dialling).transport, 'http/1.1');
    assert.equal(recorder.asked[0]?.headers.authorization, undefined);
    assert.equal(recorder.asked[0]?.headers['x-open'], 'yes');
    const failing = connect(server.url, { http2, maxRedirects: 1 });
    (await server.streams.next()).refuse(302, { location: 'ftp://elsewhere' });
    const error = await expectFailureCode(failing, 'REDIRECT_REFUSED');
    assert.equal(error.response?.status, 302);
    assert.equal(server.sessions.all.length, 1);
  });
});

describe('a stream that is reset before the answer', () => {
  for (const code of [
    constants.NGHTTP2_NO_ERROR,
    constants.NGHTTP2_CANCEL,
    constants.NGHTTP2_INTERNAL_ERROR,
  ]) {
    test(`with ${code}: CONNECT_FAILED, and only that`, async (t) => {
      const server = await startHttp2(t);
      const failing = connect(server.url, { http2 });
      (await server.streams.next()).stream.close(code);
      const error = await expectFailureCode(failing, 'CONNECT_FAILED');
      assert.ok(error.cause instanceof Error);
      assert.equal(server.streams.all.length, 1);
      const next = dialTo(t, server.url, { http2 });
      (await server.streams.next()).grant();
      await next;
      assert.equal(server.sessions.all.length, 1);
    });
  }

  test('since it is refused: asked again over another session, once', async (t) => {
    const server = await startHttp2(t);
    const dialling = dialTo(t, server.url, { http2 });
    (await server.streams.next()).stream.close(constants.NGHTTP2_REFUSED_STREAM);
    (await server.streams.next()).grant();
    assert.equal((await dialling).transport, 'h2');
    assert.equal(server.sessions.all.length, 2);
    const failing = connect(server.url, { http2 });
    (await server.streams.next()).stream.close(constants.NGHTTP2_REFUSED_STREAM);
    (await server.streams.next()).stream.close(constants.NGHTTP2_REFUSED_STREAM);
    const { cause } = await expectFailureCode(failing, 'CONNECT_FAILED');
    assert.ok(cause instanceof Error);
    assert.match(cause.message, /REFUSED_STREAM/);
  });

  test('with its session', async (t) => {
    const server = await startHttp2(t);
    const failing = connect(server.url, { http2 });
    await server.streams.next();
    (await server.sockets.next()).destroy();
    await expectFailureCode(failing, 'CONNECT_FAILED');
  });
});

describe('no session', () => {
  test('where nobody listens: all who waited for it are told', async (t) => {
    const { port, server } = await startHttp2(t);
    await new Promise((resolve) => server.close(resolve));
    const url = `ws://127.0.0.1:${port}`;
    for (const failing of [1, 2].map(() => connect(url, { http2 }))) {
      const { cause } = await expectFailureCode(failing, 'CONNECT_FAILED');
      assert.ok(cause instanceof Error && 'code' in cause);
      assert.equal(cause.code, 'ECONNREFUSED');
    }
  });

  test('where the certificate is for another name', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls });
    const options = { http2, tls: { ca: tls.cert, servername: 'other.example' } };
    await expectFailureCode(connect(server.url, options), 'CERTIFICATE_NAME');
    assert.equal(server.sessions.all.length, 0);
  });
});

/** What gives an attempt up, and what it is told as. */
const givingUp = {
  'a timeout': () => ({
    options: { limits: { handshakeTimeoutMs: 60 } },
    give() {},
    told: { code: 'HANDSHAKE_TIMEOUT' },
  }),
  'a signal': () => {
    const controller = new AbortController();
    return {
      options: { signal: controller.signal },
      give: () => controller.abort(),
      told: { name: 'AbortError' },
    };
  },
};

for (const [what, make] of Object.entries(givingUp)) {
  describe(`${what} gives up`, () => {
    test('while TLS is waited for', async (t) => {
      const { port, sockets } = await silent(t);
      const { options, give, told } = make();
      const failing = assert.rejects(
        connect(`wss://127.0.0.1:${port}`, { http2, ...options }),
        told,
      );
      const socket = await sockets.next();
      give();
      await within('the failure', failing);
      await gone(socket);
    });

    test('while the settings are waited for', async (t) => {
      const { port, sockets } = await silent(t);
      const { options, give, told } = make();
      const failing = assert.rejects(
        connect(`ws://127.0.0.1:${port}`, { http2, ...options }),
        told,
      );
      const socket = await sockets.next();
      give();
      await within('the failure', failing);
      await gone(socket);
    });

    test('while the settings are waited for, with TLS', async (t) => {
      const { cert } = await localCertificate();
      const chosen = new Mailbox<TLSSocket>();
      const { url } = await chooseHttp2(t, chosen.put);
      const { options, give, told } = make();
      const failing = assert.rejects(connect(url, { http2, tls: { ca: cert }, ...options }), told);
      const socket = await chosen.next();
      give();
      await within('the failure', failing);
      await gone(socket);
    });

    test('while the answer is waited for; the session is for others', async (t) => {
      const server = await startHttp2(t);
      const { options, give, told } = make();
      const others = dialTo(t, server.url, { http2 });
      (await server.streams.next()).grant();
      const failing = assert.rejects(connect(server.url, { http2, ...options }), told);
      const raw = await server.streams.next();
      give();
      await within('the failure', failing);
      assert.equal(await within('the reset', raw.closed), constants.NGHTTP2_CANCEL);
      const peer = await others;
      assert.equal(peer.transport, 'h2');
      assert.equal(server.sessions.all.length, 1);
    });

    test('while the body of a refusal is read', async (t) => {
      const server = await startHttp2(t);
      const { options, give } = make();
      const failing = connect(server.url, { http2, ...options }).catch((error: unknown) => error);
      const raw = await server.streams.next();
      raw.stream.respond({ ':status': 500 });
      raw.stream.write('begun');
      await new Promise((resolve) => setTimeout(resolve, 30));
      give();
      const error = await within('the failure', failing);
      assert.ok(error instanceof Error);
      assert.ok(
        ('code' in error && error.code === 'STATUS_NOT_101') || error.name === 'AbortError',
        String(error),
      );
      assert.equal(await within('the reset', raw.closed), constants.NGHTTP2_CANCEL);
    });

    test('but not for others who wait for the same session', async (t) => {
      const server = await startHttp2(t);
      // Who waits first opens it.
      const { options, give, told } = make();
      const failing = assert.rejects(connect(server.url, { http2, ...options }), told);
      const dialling = dialTo(t, server.url, { http2 });
      give();
      const raws = [await server.streams.next()];
      if (what === 'a timeout') raws.push(await server.streams.next());
      raws.at(-1)?.grant();
      await within('the failure', failing);
      assert.equal((await dialling).transport, 'h2');
      assert.equal(server.sessions.all.length, 1);
    });
  });
}
