import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import {
  ApertoError,
  type ClientPeer,
  type ConnectOptions,
  connect,
  type ErrorCode,
} from '../../dist/index.js';
import { shown } from './application.ts';
import { certificateFor, localCertificate } from './certificate.ts';
import { BINARY, CLOSE, closePayload, PING, PONG, serverFrame, TEXT } from './raw-frames.ts';
import { acceptOf, switching, withRawServer } from './raw-server.ts';
import { type Head, type RawSocket, within } from './raw-socket.ts';

/** Connects, which must fail with this code; no handler may be called. */
async function expectFailure(
  url: string,
  code: ErrorCode,
  options: ConnectOptions = {},
): Promise<ApertoError> {
  const called: string[] = [];
  const attempt = connect(url, {
    ...options,
    message: () => void called.push('message'),
    close: () => void called.push('close'),
  });
  const error = await within(
    'connect to fail',
    attempt.then(
      () => assert.fail('connect succeeded'),
      (reason: unknown) => reason,
    ),
  );
  assert.ok(error instanceof ApertoError, String(error));
  assert.equal(error.code, code, error.message);
  await turn();
  assert.deepEqual(called, []);
  return error;
}

/** The client leaves without a byte behind its request. */
async function expectSilence(raw: RawSocket): Promise<void> {
  assert.notEqual(await raw.ending(), undefined);
}

/** A server that answers so is refused by the client with this code, and gets no frame. */
async function expectRefused(
  answer: (request: Head) => string | Uint8Array,
  code: ErrorCode,
  options: ConnectOptions = {},
): Promise<ApertoError> {
  let error: ApertoError | undefined;
  await withRawServer(
    {
      async answer(raw, request) {
        // Frames that follow at once must not be delivered either.
        raw.write(answer(request), serverFrame(TEXT, 'hello'), serverFrame(PING, 'ping'));
        await expectSilence(raw);
      },
    },
    async (url) => {
      error = await expectFailure(url, code, options);
    },
  );
  assert.ok(error);
  return error;
}

test('fault 20: Sec-WebSocket-Accept wrong, absent or twice fails the client', async () => {
  for (const accept of [
    undefined,
    '',
    's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    (request: Head) => acceptOf(request).toLowerCase(),
    (request: Head) => `${acceptOf(request)}, ${acceptOf(request)}`,
    (request: Head) => [acceptOf(request), acceptOf(request)],
    (request: Head) => [acceptOf(request), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
  ]) {
    const error = await expectRefused(
      (request) =>
        switching(request, {
          'sec-websocket-accept': typeof accept === 'function' ? accept(request) : accept,
        }),
      'ACCEPT_INVALID',
    );
    assert.equal(error.response?.status, 101);
  }
});

test('fault 21: status 200 is an error that carries status, headers and body', async () => {
  await withRawServer(
    {
      async answer(raw) {
        raw.write('HTTP/1.1 200 OK\r\nX-Kind: page\r\nContent-Length: 5\r\n\r\nhello');
        await expectSilence(raw);
      },
    },
    async (url) => {
      const { response } = await expectFailure(url, 'STATUS_NOT_101');
      assert.equal(response?.status, 200);
      assert.equal(response.headers['x-kind'], 'page');
      assert.equal(response.body, 'hello');
    },
  );
  // Upgrade headers do not make an upgrade of it.
  await withRawServer(
    {
      async answer(raw, request) {
        const head = switching(request).replace('101 Switching Protocols', '200 OK');
        raw.write(head, serverFrame(TEXT, 'hello'));
        raw.end();
        await expectSilence(raw);
      },
    },
    async (url) => {
      const { response } = await expectFailure(url, 'STATUS_NOT_101');
      assert.equal(response?.status, 200);
    },
  );
});

test('fault 21: of a body without end at most 64 KiB are kept', async () => {
  await withRawServer(
    {
      async answer(raw) {
        raw.write('HTTP/1.1 403 Forbidden\r\n\r\n');
        while (!raw.socket.destroyed && raw.socket.writable) {
          raw.write(Buffer.alloc(16_384, 'x'));
          await turn();
        }
      },
    },
    async (url) => {
      const { response } = await expectFailure(url, 'STATUS_NOT_101');
      assert.equal(response?.status, 403);
      assert.equal(response.body, 'x'.repeat(65_536));
    },
  );
});

test('fault 21: a body that stops halfway, or breaks off, does not hide the status', async () => {
  const limits = { handshakeTimeoutMs: 50 };
  for (const breaksOff of [false, true]) {
    await withRawServer(
      {
        async answer(raw) {
          raw.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nhalf');
          if (breaksOff) raw.end();
          await expectSilence(raw);
        },
      },
      async (url) => {
        const { response } = await expectFailure(url, 'STATUS_NOT_101', { limits });
        assert.equal(response?.status, 401);
        assert.equal(response.body, 'half');
      },
    );
  }
});

test('fault 22: Upgrade missing or wrong fails the client', async () => {
  for (const upgrade of [undefined, 'h2c', 'websockets', 'h2c, websocket', ['websocket', 'h2c']]) {
    const error = await expectRefused(
      (request) => switching(request, { upgrade }),
      'RESPONSE_UPGRADE',
    );
    assert.equal(error.response?.status, 101);
  }
});

test('fault 22: Connection missing or wrong fails the client', async () => {
  for (const connection of [undefined, 'keep-alive', 'close', 'upgraded']) {
    const error = await expectRefused(
      (request) => switching(request, { connection }),
      'RESPONSE_CONNECTION',
    );
    assert.equal(error.response?.status, 101);
  }
});

test('fault 23: a subprotocol that was not asked for, or two, fails the client', async () => {
  const protocols = ['chat', 'superchat'];
  for (const chosen of ['soap', 'Chat', '', 'chat, superchat', ['chat', 'superchat']]) {
    const answer = (request: Head): string =>
      switching(request, { 'sec-websocket-protocol': chosen });
    await expectRefused(answer, 'RESPONSE_PROTOCOL', { protocols });
    await expectRefused(answer, 'RESPONSE_PROTOCOL');
  }
});

test('fault 24: an extension that was not offered fails the client', async () => {
  for (const extensions of [
    'permessage-deflate',
    'permessage-deflate; server_no_context_takeover',
    'x, y',
    ['x', 'y'],
    '__proto__',
  ]) {
    await expectRefused(
      (request) => switching(request, { 'sec-websocket-extensions': extensions }),
      'RESPONSE_EXTENSION',
      { compression: false },
    );
  }
});

test('fault 25: a redirect is not followed', async () => {
  let followed = 0;
  await withRawServer(
    {
      answer() {
        followed++;
      },
    },
    async (elsewhere) => {
      for (const status of [301, 302, 303, 307, 308]) {
        await withRawServer(
          {
            async answer(raw, request) {
              assert.equal(request.get('authorization'), 'Bearer secret');
              raw.write(`HTTP/1.1 ${status} Moved\r\nLocation: ${elsewhere}/\r\n`);
              raw.write('Content-Length: 0\r\n\r\n');
              await expectSilence(raw);
            },
          },
          async (url) => {
            const headers = { Authorization: 'Bearer secret' };
            const { response } = await expectFailure(url, 'STATUS_NOT_101', { headers });
            assert.equal(response?.status, status);
            assert.equal(response.headers['location'], `${elsewhere}/`);
          },
        );
      }
    },
  );
  assert.equal(followed, 0);
});

test('fault 25: one that is followed takes no credentials to another origin', async () => {
  await withRawServer(
    {
      answer(raw, request) {
        for (const name of ['authorization', 'cookie', 'proxy-authorization']) {
          assert.equal(request.get(name), undefined);
        }
        assert.notEqual(request.get('host'), 'secret.example');
        assert.equal(request.get('origin'), 'http://o.example');
        raw.write(switching(request));
      },
    },
    async (elsewhere) => {
      await withRawServer(
        {
          async answer(raw, request) {
            assert.equal(request.get('cookie'), 'secret');
            raw.write(`HTTP/1.1 302 Found\r\nLocation: ${elsewhere}/\r\n\r\n`);
            await expectSilence(raw);
          },
        },
        async (url) => {
          const peer = await connect(url, {
            maxRedirects: 1,
            headers: {
              Authorization: 'secret',
              Cookie: 'secret',
              'Proxy-Authorization': 'secret',
              Host: 'secret.example',
              Origin: 'http://o.example',
            },
          });
          peer.terminate();
        },
      );
    },
  );
});

test('fault 25: one from wss: to ws: is never followed', async () => {
  await withRawServer({ answer: () => assert.fail('a request came') }, async (elsewhere) => {
    await withRawServer(
      {
        tls: true,
        async answer(raw) {
          raw.write(`HTTP/1.1 302 Found\r\nLocation: ${elsewhere}/\r\n\r\nmoved`);
          raw.end();
          await expectSilence(raw);
        },
      },
      async (url) => {
        const { cert } = await localCertificate();
        const options = { maxRedirects: 20, tls: { ca: cert } };
        const { response } = await expectFailure(url, 'REDIRECT_REFUSED', options);
        assert.equal(response?.status, 302);
        assert.equal(response.body, 'moved');
      },
    );
  });
});

test('fault 26: endless response headers are stopped', async () => {
  let sent = 0;
  await withRawServer(
    {
      async answer(raw) {
        raw.write('HTTP/1.1 101 Switching Protocols\r\n');
        while (!raw.socket.destroyed && raw.socket.writable && sent < 100 * 1024 * 1024) {
          const lines = 'X-Endless: and so on\r\n'.repeat(50);
          sent += lines.length;
          raw.write(lines);
          await turn();
        }
      },
    },
    async (url) => {
      const error = await expectFailure(url, 'CONNECT_FAILED');
      assert.match(String(error.cause), /Header overflow/i);
    },
  );
  assert.ok(sent < 50 * 1024 * 1024, `${sent} bytes were taken`);
});

test('fault 26: response headers over the limit are refused, as many as fit are not', async () => {
  const limits = { maxHeaderBytes: 4096 };
  for (const [size, fits] of [
    [3000, true],
    [5000, false],
  ] as const) {
    await withRawServer(
      {
        answer(raw, request) {
          raw.write(switching(request, { 'x-large': 'x'.repeat(size) }));
        },
      },
      async (url) => {
        if (fits) (await connect(url, { limits })).terminate();
        else await expectFailure(url, 'CONNECT_FAILED', { limits });
      },
    );
  }
});

test('fault 26: a response that never comes to its end is given up', async () => {
  const limits = { handshakeTimeoutMs: 50 };
  const trickles: ((raw: RawSocket) => void)[] = [
    () => {},
    (raw) => raw.write('HTTP/1.1 101 Switching Protocols\r\nUpgr'),
    (raw) => {
      const timer = setInterval(() => raw.write('HTTP/1.1 103 Early Hints\r\n\r\n'), 10);
      raw.socket.on('close', () => clearInterval(timer));
      raw.socket.on('error', () => clearInterval(timer));
      raw.socket.on('end', () => clearInterval(timer));
    },
  ];
  for (const trickle of trickles) {
    await withRawServer(
      {
        async answer(raw) {
          trickle(raw);
          await expectSilence(raw);
        },
      },
      async (url) => {
        await expectFailure(url, 'HANDSHAKE_TIMEOUT', { limits });
      },
    );
  }
});

test('fault 26: an abort gives the handshake up with its reason', async () => {
  await withRawServer({ answer: expectSilence }, async (url) => {
    const reason = new Error('no more');
    const controller = new AbortController();
    const attempt = connect(url, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await within('connect to fail', assert.rejects(attempt, reason));
  });
});

const behind = [
  serverFrame(TEXT, 'one'),
  serverFrame(PING, 'ping'),
  serverFrame(BINARY, Uint8Array.of(2)),
];

test('fault 27: 101 and frames in one packet are delivered to the handler, after connect has resolved', async () => {
  for (const closes of [false, true]) {
    const events: string[] = [];
    await withRawServer(
      {
        async answer(raw, request) {
          const close = closes ? [serverFrame(CLOSE, closePayload(1001, 'bye'))] : [];
          raw.write(switching(request), ...behind, ...close);
          if (closes) raw.end();
          const pong = await raw.readFrame();
          assert.equal(pong.first, PONG);
          assert.equal(pong.isMasked, true);
          assert.equal(pong.payload.toString(), 'ping');
          if (closes) assert.equal((await raw.readFrame()).first, CLOSE);
          else raw.write(serverFrame(CLOSE, closePayload(1001, 'bye')));
          if (!closes) assert.equal((await raw.readFrame()).first, CLOSE);
          raw.end();
          await raw.expectEnd();
        },
      },
      async (url) => {
        const peer = await connect(url, {
          message: (_, message) => void events.push(shown(message)),
          ping: () => void events.push('ping'),
          close: (_, code, reason) => void events.push(`close ${code} ${reason}`),
        });
        events.push('connected');
        assert.equal(peer.state, 'open');
        await within('the end', peer.closed);
      },
    );
    assert.deepEqual(events, ['connected', 'text one', 'ping', 'binary 02', 'close 1001 bye']);
  }
});

test('fault 27: 101 and frames in one packet wait for the loop that reads', async () => {
  await withRawServer(
    {
      async answer(raw, request) {
        raw.write(switching(request), ...behind, serverFrame(CLOSE, closePayload(1000)));
        assert.equal((await raw.readFrame()).first, PONG);
        assert.equal((await raw.readFrame()).first, CLOSE);
        raw.end();
        await raw.expectEnd();
      },
    },
    async (url) => {
      const peer: ClientPeer = await connect(url);
      await turn();
      await turn();
      const messages: string[] = [];
      for await (const message of peer) messages.push(shown(message));
      assert.deepEqual(messages, ['text one', 'binary 02']);
      assert.equal((await peer.closed).code, 1000);
    },
  );
});

/** Connects over TLS, which must fail before any request is sent; returns the cause's code. */
async function tlsFailure(
  url: string,
  options: ConnectOptions,
  code: ErrorCode = 'CONNECT_FAILED',
): Promise<string | undefined> {
  const error = await expectFailure(url, code, options);
  return (error.cause as NodeJS.ErrnoException).code;
}

test('fault 28: a certificate for another name fails', async () => {
  const other = await certificateFor('other.example');
  await withRawServer(
    { tls: other, answer: () => assert.fail('a request came') },
    async (url, port) => {
      // Trusted: only the name is wrong.
      const tls = { ca: other.cert };
      const servername = 'another.example';
      for (const [dialled, options] of [
        [url, { tls }],
        [`wss://localhost:${port}`, { tls }],
        [url, { tls: { ...tls, servername } }],
      ] as const) {
        const reason = await tlsFailure(dialled, options, 'CERTIFICATE_NAME');
        assert.equal(reason, 'ERR_TLS_CERT_ALTNAME_INVALID');
      }
    },
  );
});

test('fault 28: a certificate that nobody trusts fails; the right name and CA connect', async () => {
  const { cert } = await localCertificate();
  await withRawServer({ tls: true, answer: () => assert.fail('a request came') }, async (url) => {
    assert.equal(await tlsFailure(url, {}), 'DEPTH_ZERO_SELF_SIGNED_CERT');
  });
  await withRawServer(
    {
      tls: true,
      async answer(raw, request) {
        raw.write(switching(request));
        assert.equal((await raw.readFrame()).payload.toString(), 'hello');
        raw.end();
      },
    },
    async (url) => {
      const peer = await connect(url, { tls: { ca: cert } });
      peer.send('hello');
      await within('the end', peer.closed);
    },
  );
});
