import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type ClientPeer, connect, type ErrorCode, type Message } from '../../../dist/index.js';
import { localCertificate } from '../../faults/certificate.ts';
import { CLOSE, closePayload, serverFrame, TEXT } from '../../faults/raw-frames.ts';
import { within } from '../../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from '../connections.ts';
import { startProxy } from './connect-proxy.ts';
import { type RawHttp2Server, type RawStream, startHttp2 } from './http2-server.ts';

const http2 = true;

/** A connection whose request is granted. */
async function granted(
  t: TestContext,
  server: RawHttp2Server,
  options: Parameters<typeof connect>[1] = { http2 },
  fields = {},
): Promise<{ peer: ClientPeer; raw: RawStream }> {
  const dialling = dialTo(t, server.url, options);
  const raw = (await server.streams.next()).grant(fields);
  return { peer: await dialling, raw };
}

/** Says something in both directions, and closes. */
async function converse({ peer, raw }: { peer: ClientPeer; raw: RawStream }): Promise<void> {
  peer.send('to you');
  const { first, isMasked, payload } = await raw.frames.next();
  assert.deepEqual([first, isMasked, String(payload)], [TEXT, true, 'to you']);
  raw.stream.write(serverFrame(TEXT, 'to me'));
  for await (const message of peer) {
    assert.equal(message, 'to me');
    break;
  }
  peer.close(4000);
  assert.equal((await raw.frames.next()).first, CLOSE);
  raw.stream.end(serverFrame(CLOSE, closePayload(4000)));
  assert.equal((await within('the end', peer.closed)).code, 4000);
  assert.equal(await within('the end of the stream', raw.closed), 0);
}

describe('a socket over HTTP/2', () => {
  test('with TLS: what is asked, and what comes of it', async (t) => {
    const tls = await localCertificate();
    const server = await startHttp2(t, { tls });
    const headers = { Origin: 'https://example.org', 'Keep-Alive': '5', TE: 'gzip' };
    const options = { http2, headers, protocols: ['a', 'b'], tls: { ca: tls.cert } };
    const dialling = dialTo(t, `${server.url}/path?query`, options);
    const raw = await server.streams.next();
    assert.deepEqual(Object.fromEntries(Object.entries(raw.headers)), {
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':scheme': 'https',
      ':path': '/path?query',
      ':authority': `127.0.0.1:${server.port}`,
      origin: 'https://example.org',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'a, b',
      'sec-websocket-extensions':
        'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits',
    });
    const accepted = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
    raw.grant({ 'sec-websocket-protocol': 'b', 'sec-websocket-extensions': accepted });
    const peer = await dialling;
    assert.equal(peer.transport, 'h2');
    assert.equal(peer.protocol, 'b');
    assert.equal(peer.extensions, accepted);
    assert.equal(peer.remoteAddress, '127.0.0.1');
    // Long enough to be compressed: RSV1 is set.
    peer.send('long '.repeat(500));
    const { first, size } = await raw.frames.next();
    assert.equal(first, TEXT | 0x40);
    assert.ok(size < 500);
    await converse({ peer, raw });
    const [session] = server.sessions.all;
    assert.equal(session?.alpnProtocol, 'h2');
    assert.equal(server.sessions.all.length, 1);
  });

  test('in the clear', async (t) => {
    const server = await startHttp2(t);
    const dialled = await granted(t, server);
    assert.equal(dialled.peer.transport, 'h2');
    assert.equal(dialled.raw.headers[':scheme'], 'http');
    await converse(dialled);
  });

  test('over a Unix socket, which is asked as localhost', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
    t.after(() => rm(folder, { recursive: true }));
    const server = await startHttp2(t, { path: join(folder, 'socket') });
    const dialled = await granted(t, server);
    assert.equal(dialled.raw.headers[':authority'], 'localhost');
    assert.equal(dialled.raw.headers[':path'], '/');
    await converse(dialled);
  });

  for (const [kind, proxyTls] of [
    ['http:', false],
    ['https:', true],
  ] as const) {
    test(`in the tunnel of an ${kind} proxy, with TLS and without`, async (t) => {
      const tls = await localCertificate();
      const proxy = await startProxy(t, proxyTls ? { tls } : {});
      const trust = { tls: { ca: tls.cert }, proxyTls: { ca: tls.cert } };
      for (const server of [await startHttp2(t, { tls }), await startHttp2(t)]) {
        const options = { http2, proxy: proxy.url(), ...trust };
        await converse(await granted(t, server, options));
        // The second goes through the same tunnel; without the proxy, none of that is shared.
        await converse(await granted(t, server, options));
        await converse(await granted(t, server, { http2, ...trust }));
        assert.equal(server.sessions.all.length, 2);
      }
      assert.equal(proxy.requests.length, 2);
    });
  }

  test('Host becomes the authority', async (t) => {
    const server = await startHttp2(t);
    const { raw } = await granted(t, server, { http2, headers: { Host: 'other.example:81' } });
    assert.equal(raw.headers[':authority'], 'other.example:81');
    assert.equal(raw.headers.host, undefined);
  });

  test('frames that come with the answer are heard, also where the stream ends with them', async (t) => {
    const server = await startHttp2(t);
    const inbox = new Mailbox<Message>();
    const dialling = dialTo(t, server.url, { http2, message: (_, data) => inbox.put(data) });
    const raw = (await server.streams.next()).grant();
    raw.stream.write(serverFrame(TEXT, 'one'));
    raw.stream.end(serverFrame(TEXT, 'two'));
    const peer = await dialling;
    assert.deepEqual(await inbox.take(2), ['one', 'two']);
    assert.equal((await within('the end', peer.closed)).code, 1006);
  });

  test('an answer that ends the stream at once, and one that resets it', async (t) => {
    const server = await startHttp2(t);
    for (const end of [
      (raw: RawStream) => raw.stream.respond({ ':status': 200 }, { endStream: true }),
      (raw: RawStream) => {
        raw.grant();
        raw.stream.close(8);
      },
    ]) {
      const dialling = connect(server.url, { http2 });
      end(await server.streams.next());
      // Whether the reset comes before the answer is told or behind it is a matter of packets.
      const code = await within(
        'the end',
        dialling.then(
          async (peer) => (await peer.closed).code,
          ({ code }) => code,
        ),
      );
      assert.ok(code === 1006 || code === 'CONNECT_FAILED', String(code));
    }
    assert.equal(server.sessions.all.length, 1);
  });

  test('any 2xx grants it', async (t) => {
    const server = await startHttp2(t);
    await converse(await granted(t, server, { http2 }, { ':status': 201 }));
  });
});

describe('an answer that is wrong', () => {
  test('two subprotocols, one that was not offered, an extension', async (t) => {
    const server = await startHttp2(t);
    const offered = { http2, protocols: ['a', 'b'], compression: false };
    const wrong: [OutgoingHttpHeaders, ErrorCode][] = [
      [{ 'sec-websocket-protocol': ['a', 'b'] }, 'RESPONSE_PROTOCOL'],
      [{ 'sec-websocket-protocol': ['a', 'a'] }, 'RESPONSE_PROTOCOL'],
      [{ 'sec-websocket-protocol': 'c' }, 'RESPONSE_PROTOCOL'],
      [{ 'sec-websocket-extensions': 'permessage-deflate' }, 'RESPONSE_EXTENSION'],
    ];
    for (const [fields, code] of wrong) {
      const failing = connect(server.url, offered);
      const raw = (await server.streams.next()).grant(fields);
      const { response } = await expectFailureCode(failing, code);
      assert.equal(response?.status, 200);
      assert.equal(
        Object.keys(response.headers).some((name) => name.startsWith(':')),
        false,
      );
      assert.equal(await within('the reset', raw.closed), 8);
    }
    assert.equal(server.sessions.all.length, 1);
  });

  test('a head that is larger than the limit', async (t) => {
    const server = await startHttp2(t);
    const limits = { maxHeaderBytes: 1_000 };
    const failing = connect(server.url, { http2, limits });
    const raw = (await server.streams.next()).grant({ 'x-long': 'x'.repeat(2_000) });
    await expectFailureCode(failing, 'CONNECT_FAILED');
    assert.notEqual(await within('the reset', raw.closed), 0);
    // Another limit, another session.
    await converse(await granted(t, server, { http2 }, { 'x-long': 'x'.repeat(2_000) }));
    assert.equal(server.sessions.all.length, 2);
  });
});
