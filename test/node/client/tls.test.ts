import assert from 'node:assert/strict';
import type { LookupFunction } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { generate } from 'selfsigned';
import { connect } from '../../../dist/index.js';
import { planDial } from '../../../dist/node/client/dial.js';
import { certificateFor, localCertificate } from '../../faults/certificate.ts';
import { dialTo, expectFailureCode } from '../connections.ts';
import { checkEcho, gone, startRecorder } from './servers.ts';

describe("the client's certificate", () => {
  test('is presented to a server that insists on one', async (t) => {
    const { cert, key } = await localCertificate();
    const client = await certificateFor('client.example');
    const tls = { cert, key, ca: client.cert, requestCert: true, rejectUnauthorized: true };
    const { port, server, asked } = await startRecorder(t, { tls });
    const url = `wss://127.0.0.1:${port}/echo`;
    const names: unknown[] = [];
    server.on('secureConnection', (socket: TLSSocket) => {
      names.push(socket.getPeerCertificate().subject.CN);
    });
    await checkEcho(t, url, { tls: { ca: cert, cert: client.cert, key: client.key } });
    assert.deepEqual(names, ['client.example']);
    // None, and one that the server does not know.
    for (const own of [{}, { cert, key }]) {
      const error = await expectFailureCode(
        connect(url, { tls: { ca: cert, ...own } }),
        'CONNECT_FAILED',
      );
      assert.ok(error.cause instanceof Error);
    }
    assert.equal(asked.length, 1);
  });

  test('that cannot be read is told before anything is sent', async (t) => {
    const { port, sockets } = await startRecorder(t);
    const { cert, key } = await localCertificate();
    const other = await certificateFor('other.example');
    for (const tls of [{ cert: 'nonsense' }, { cert, key: other.key }]) {
      const url = `wss://127.0.0.1:${port}`;
      assert.throws(() => planDial(url, [], { tls }), { code: 'INVALID_OPTION', message: /tls: / });
      await expectFailureCode(connect(url, { tls }), 'INVALID_OPTION');
    }
    assert.throws(() => planDial('wss://h', [], { tls: { cert, key, servername: 5 as never } }), {
      code: 'INVALID_OPTION',
    });
    assert.equal(sockets.all.length, 0);
  });
});

/** A server that must never be asked anything. */
async function startUnasked(t: TestContext, tls: { cert: string; key: string }) {
  const server = await startRecorder(t, { tls });
  t.after(() => assert.equal(server.asked.length, 0));
  return server;
}

describe("a server's certificate that is refused", () => {
  test('for another name: which was wanted and which it has', async (t) => {
    const other = await certificateFor('other.example', '10.1.2.3');
    const { port, sockets } = await startUnasked(t, other);
    const headers = { Authorization: 'secret' };
    for (const [host, tls, wanted] of [
      ['127.0.0.1', {}, '127.0.0.1'],
      ['localhost', {}, 'localhost'],
      ['127.0.0.1', { servername: 'another.example' }, 'another.example'],
    ] as const) {
      const options = { headers, tls: { ca: other.cert, ...tls } };
      const failing = connect(`wss://${host}:${port}/echo`, options);
      const error = await expectFailureCode(failing, 'CERTIFICATE_NAME');
      assert.equal(error.side, 'peer');
      assert.ok(
        error.message.includes(`wanted ${wanted}, it is for other.example, 10.1.2.3`),
        error.message,
      );
      assert.ok(error.cause instanceof Error && 'code' in error.cause);
      assert.equal(error.cause.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
      await gone(await sockets.next());
    }
  });

  test('without alternative names: the common name is told', async (t) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'old.example' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: [{ name: 'basicConstraints', cA: true }],
    });
    const { port } = await startUnasked(t, { cert, key });
    const failing = connect(`wss://127.0.0.1:${port}`, { tls: { ca: cert } });
    const { message } = await expectFailureCode(failing, 'CERTIFICATE_NAME');
    assert.match(message, /wanted 127\.0\.0\.1, it is for old\.example/);
  });

  test('of nobody that is trusted', async (t) => {
    const { port, sockets } = await startUnasked(t, await localCertificate());
    const { message, cause } = await expectFailureCode(
      connect(`wss://127.0.0.1:${port}`),
      'CONNECT_FAILED',
    );
    assert.match(message, /self-signed certificate/);
    assert.ok(cause instanceof Error && 'code' in cause);
    assert.equal(cause.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
    await gone(await sockets.next());
  });

  test('that has expired', async (t) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date('2020-01-01'),
      notAfterDate: new Date('2020-02-01'),
    });
    const { port } = await startUnasked(t, { cert, key });
    const failing = connect(`wss://127.0.0.1:${port}`, { tls: { ca: cert } });
    assert.match(
      (await expectFailureCode(failing, 'CONNECT_FAILED')).message,
      /certificate has expired/,
    );
  });

  test('is taken where that is asked for', async (t) => {
    const other = await certificateFor('other.example');
    const { port } = await startRecorder(t, { tls: { ...other } });
    const url = `wss://127.0.0.1:${port}/echo`;
    await checkEcho(t, url, { tls: { rejectUnauthorized: false } });
    await checkEcho(t, url, { tls: { ca: other.cert, servername: 'other.example' } });
    await checkEcho(t, url, { tls: { ca: other.cert, checkServerIdentity: () => undefined } });
  });
});

test('a server is asked for by the name in the URL, whatever Host says; by none for an address', async (t) => {
  const { cert, key } = await localCertificate();
  const { port, server, asked } = await startRecorder(t, { tls: { cert, key } });
  const names: unknown[] = [];
  server.on('secureConnection', ({ servername, alpnProtocol }: TLSSocket) => {
    names.push(servername, alpnProtocol);
  });
  const lookup: LookupFunction = (_name, { all }, callback) => {
    if (all === true) callback(null, [{ address: '127.0.0.1', family: 4 }]);
    else callback(null, '127.0.0.1', 4);
  };
  const options = { lookup, tls: { ca: cert }, headers: { Host: 'other.example' } };
  for (const host of ['localhost', 'localhost.', '127.0.0.1']) {
    await dialTo(t, `wss://${host}:${port}/echo`, options);
  }
  const http = 'http/1.1';
  assert.deepEqual(names, ['localhost', http, 'localhost', http, false, http]);
  assert.deepEqual(
    asked.map(({ headers }) => headers.host),
    Array(3).fill('other.example'),
  );
});

test('what is no TLS is told in words', async (t) => {
  const { port } = await startRecorder(t);
  const { message } = await expectFailureCode(connect(`wss://127.0.0.1:${port}`), 'CONNECT_FAILED');
  assert.match(message, /could be made: TLS: wrong version number \(RFC/);
});
