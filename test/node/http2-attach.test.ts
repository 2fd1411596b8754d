import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { type AttachOptions, attach, type Peer, type Server } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { bareConnect, dialWire, HEADERS, RST_STREAM, statusBytes } from '../faults/http2-frames.ts';
import { dialHttp2 } from '../faults/http2-peer.ts';
import { checkSwitched, dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, closePayload, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from './connections.ts';

const { NGHTTP2_NO_ERROR } = constants;

interface Attached {
  readonly http: Http2Server | Http2SecureServer;
  readonly server: Server;
  readonly port: number;
}

/** A server of node:http2 with one of ours on it; both end with the test. */
async function attached(
  t: TestContext,
  tls: boolean,
  options: AttachOptions<undefined>,
  before: (http: Http2Server | Http2SecureServer) => void = () => {},
): Promise<Attached> {
  const http = tls
    ? createSecureServer({ ...(await localCertificate()), allowHTTP1: true })
    : createServer();
  before(http);
  const server = attach(http, options);
  await once(http.listen(0, '127.0.0.1'), 'listening');
  t.after(async () => {
    await within('server.close()', server.close({ timeoutMs: 200 }));
    http.close();
  });
  return { http, server, port: (http.address() as AddressInfo).port };
}

for (const tls of [false, true]) {
  describe(`attach to ${tls ? 'a secure server' : 'a server'} of node:http2`, () => {
    test('new sessions are told that extended CONNECT can be used, and use it', async (t) => {
      const opened = new Mailbox<Peer>();
      const route = {
        open: opened.put,
        message: (peer: Peer, message: string | Uint8Array) => void peer.send(message),
      };
      const { port } = await attached(t, tls, { routes: { '/': route } });
      const session = await dialHttp2(t, port, tls);
      assert.equal(session.session.remoteSettings.enableConnectProtocol, true);
      const stream = await session.open();
      const peer = await opened.next();
      assert.equal(peer.transport, 'h2');
      stream.write(clientFrame(TEXT, 'hello'));
      await stream.expectFrame(TEXT, 'hello');
      if (!tls) return;
      const raw = await dial(port, true);
      t.after(() => raw.destroy());
      raw.write(handshake());
      checkSwitched(await raw.readHead());
      raw.write(clientFrame(TEXT, 'over 1.1'));
      await raw.expectFrame(TEXT, 'over 1.1');
    });

    test('closing cuts peers off, and leaves the sessions to the server', async (t) => {
      const opened = new Mailbox<Peer>();
      const routes = { '/': { open: opened.put } };
      const { port, server } = await attached(t, tls, { routes }, (http) => {
        http.on('request', (_, response) => response.end('page'));
      });
      const client = await dialHttp2(t, port, tls);
      await client.open();
      const peer = await opened.next();
      // The client never answers the close frame.
      await within('close', server.close({ timeoutMs: 50 }));
      assert.equal(peer.state, 'closed');
      const request = client.session.request({ ':path': '/' });
      const [headers] = await within('the answer', once(request, 'response'));
      assert.equal(headers[':status'], 200);
    });

    test('what is no extended CONNECT stays with the server', async (t) => {
      const { port } = await attached(t, tls, { routes: { '/': {} } }, (http) => {
        http.on('request', (_, response) => response.end('page'));
      });
      const session = await dialHttp2(t, port, tls);
      for (const path of ['/', '/page']) {
        const page = session.request({ ':path': path });
        await page.expectStatus(200);
        assert.equal(await page.text(), 'page');
      }
      const wire = await dialWire(t, port, tls);
      wire.sendHeaders(1, bareConnect);
      assert.ok((await wire.next(HEADERS, RST_STREAM)).payload.includes(statusBytes[405]));
      assert.equal((await wire.next(RST_STREAM)).payload.readUInt32BE(), NGHTTP2_NO_ERROR);
      const nowhere = session.connect('/nowhere');
      await nowhere.expectStatus(404);
      assert.equal(await nowhere.closed(), NGHTTP2_NO_ERROR);
      await session.open();
    });

    test('streams and CONNECTs of others are left to them', async (t) => {
      const { port, http } = await attached(t, tls, { routes: { '/': {} } });
      http.on('stream', (stream, headers) => {
        if (headers[':method'] !== 'CONNECT' || headers[':path'] !== '/theirs') return;
        stream.respond({ ':status': 204 }, { endStream: true });
      });
      http.on('connect', (request, response) => {
        if (request.headers[':protocol'] !== undefined) return;
        response.writeHead(502);
        response.end();
      });
      const session = await dialHttp2(t, port, tls);
      await session.connect('/theirs').expectStatus(204);
      const wire = await dialWire(t, port, tls);
      wire.sendHeaders(1, bareConnect);
      assert.ok((await wire.next(HEADERS, RST_STREAM)).payload.includes(statusBytes[502]));
      const ours = await session.open();
      ours.write(clientFrame(CLOSE, closePayload(1000)));
      await ours.expectClose(1000);
    });

    test('close leaves server and sessions to their owner', async (t) => {
      const { port, server } = await attached(t, tls, { routes: { '/': {} } }, (http) => {
        http.on('request', (_, response) => response.end('page'));
      });
      const session = await dialHttp2(t, port, tls);
      const stream = await session.open();
      const closing = server.close({ timeoutMs: 60_000 });
      await stream.expectClose(1001);
      stream.write(clientFrame(CLOSE, closePayload(1001)));
      await stream.expectEnd();
      stream.end();
      await within('close', closing);
      await delay(10);
      assert.equal(session.goaway, undefined);
      const page = session.request({ ':path': '/page' });
      assert.equal(await page.text(), 'page');
      const late = session.connect();
      await late.headers();
      assert.notEqual((await late.headers())[':status'], 200);
    });
  });
}

test('a server of node:http has nothing of it', async (t) => {
  const http = createHttpServer();
  const server = attach(http, { routes: { '/': {} } });
  await once(http.listen(0, '127.0.0.1'), 'listening');
  const { port } = http.address() as AddressInfo;
  t.after(() => http.close());
  await assert.rejects(dialHttp2(t, port, false));
  const raw = await dial(port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  checkSwitched(await raw.readHead());
  await within('close', server.close({ timeoutMs: 20 }));
});
