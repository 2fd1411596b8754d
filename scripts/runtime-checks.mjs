// Small programs that use Aperto as its users do, with nothing of a test runner: scripts/test-on-runtimes.mjs runs each
// in a process of its own on every runtime. By hand: `bun scripts/runtime-checks.mjs NAME`; without a name it lists them.
import assert from 'node:assert/strict';
import diagnostics from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

const aperto = new URL('../dist/index.js', import.meta.url).href;
const { connect, createPair, prometheusHandler, reconnect, serve, WebSocket, WebSocketStream } =
  await import(aperto);

const tls = { cert: process.env.APERTO_CERT, key: process.env.APERTO_KEY };
const echo = { '/*': { message: (peer, data) => peer.send(data) } };

const checks = {
  async 'serve and connect'() {
    const server = await serve({ routes: echo });
    await exchange(await connect(`${server.url}/`), server);
  },
  async 'a Unix socket'() {
    const unix = join(tmpdir(), `aperto-${process.pid}.sock`);
    const server = await serve({ unix, routes: echo });
    await exchange(await connect(`ws+unix:${unix}:/`), server);
  },
  async 'attach beside HTTP'() {
    const http = createServer((_request, response) => response.end('a page'));
    const { attach } = await import(aperto);
    const server = attach(http, { routes: echo });
    await new Promise((listening) => http.listen(0, '127.0.0.1', listening));
    const host = `127.0.0.1:${http.address().port}`;
    assert.equal(await (await fetch(`http://${host}/`)).text(), 'a page');
    await exchange(await connect(`ws://${host}/`));
    await server.close();
    http.closeAllConnections();
    await new Promise((closed) => http.close(closed));
  },
  async TLS() {
    const server = await serve({ tls, http2: false, routes: echo });
    const peer = await connect(`${server.url}/`, { tls: { ca: tls.cert } });
    assert.equal(peer.transport, 'http/1.1');
    await exchange(peer, server);
  },
  async 'TLS where HTTP/2 is offered too, client over HTTP/1.1'() {
    const server = await serve({ tls, routes: echo });
    const peer = await connect(`${server.url}/`, { tls: { ca: tls.cert } });
    assert.equal(peer.transport, 'http/1.1');
    await exchange(peer, server);
  },
  async 'HTTP/2 over TLS'() {
    const server = await serve({ tls, routes: echo });
    const peer = await connect(`${server.url}/`, { http2: true, tls: { ca: tls.cert } });
    assert.equal(peer.transport, 'h2');
    await exchange(peer, server);
  },
  async 'HTTP/2 with prior knowledge'() {
    const server = await serve({ http2: true, routes: echo });
    const peer = await connect(`${server.url}/`, { http2: true });
    assert.equal(peer.transport, 'h2');
    await exchange(peer, server);
  },
  async 'HTTP/1.1 on a port that takes HTTP/2 without TLS'() {
    const server = await serve({ http2: true, routes: echo });
    await exchange(await connect(`${server.url}/`), server);
  },
  async 'HTTP/1.1 where HTTP/2 is for other things'() {
    const { createServer: createHttp2Server } = await import('node:http2');
    const http = createHttp2Server();
    await new Promise((listening) => http.listen(0, '127.0.0.1', listening));
    const { port } = http.address();
    await assert.rejects(connect(`ws://127.0.0.1:${port}/`, { http2: true }), /RFC/);
    await new Promise((closed) => http.close(closed));
  },
  async compression() {
    const server = await serve({ compression: true, routes: echo });
    await exchange(await connect(`${server.url}/`, { compression: true }), server, 20);
    assert.ok(server.compression.deflated.messages > 0, 'nothing was compressed');
  },
  async 'compression with takeover'() {
    const server = await serve({ compression: { takeover: true }, routes: echo });
    const peer = await connect(`${server.url}/`, { compression: { takeover: true } });
    await exchange(peer, server, 20);
    assert.ok(server.compression.deflated.messages > 0, 'nothing was compressed');
  },
  async topics() {
    const server = await serve({
      routes: { '/': { open: (peer) => peer.subscribe('news') } },
    });
    const peers = await Promise.all(Array.from({ length: 50 }, () => connect(`${server.url}/`)));
    await until(() => server.peers.size === 50);
    server.publish('news', 'hello');
    for (const peer of peers) assert.equal(await next(peer), 'hello');
    for (const peer of peers) peer.close(1000);
    await server.close();
  },
  async 'the class WebSocket'() {
    const server = await serve({ routes: echo });
    const socket = new WebSocket(`${server.url}/`);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    socket.binaryType = 'arraybuffer';
    const answer = new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(data);
    });
    socket.send(new Blob(['blob']));
    assert.equal(Buffer.from(await answer).toString(), 'blob');
    const closed = new Promise((resolve) => {
      socket.onclose = resolve;
    });
    socket.close(3000, 'bye');
    const { code, wasClean } = await closed;
    assert.deepEqual({ code, wasClean }, { code: 3000, wasClean: true });
    await server.close();
  },
  async 'the class WebSocketStream'() {
    const server = await serve({ routes: echo });
    const stream = new WebSocketStream(`${server.url}/`);
    const { readable, writable } = await stream.opened;
    const reader = readable.getReader();
    const writer = writable.getWriter();
    await writer.write('text');
    assert.equal((await reader.read()).value, 'text');
    stream.close({ closeCode: 1000 });
    assert.equal((await stream.closed).closeCode, 1000);
    await server.close();
  },
  async reconnect() {
    const first = await serve({ routes: echo });
    const { port } = first;
    const opened = [];
    const messages = [];
    const client = reconnect(`${first.url}/`, {
      backoff: { firstMs: 10, maxMs: 50 },
      open: () => opened.push('open'),
      message: (_client, data) => messages.push(data),
    });
    client.send('one');
    await until(() => messages.length === 1);
    await first.close({ code: 1012 });
    await until(() => client.state === 'waiting');
    client.send('two');
    const second = await serve({ port, routes: echo });
    await until(() => messages.length === 2);
    assert.deepEqual([opened.length, messages], [2, ['one', 'two']]);
    client.close();
    assert.equal((await client.closed).wasClean, true);
    await second.close();
  },
  async createPair() {
    const { client, server } = await createPair({ route: echo['/*'] });
    await exchange(client);
    assert.equal((await server.closed).code, 1000);
  },
  async "the runtime's own WebSocket as the client"() {
    // Node has one from 22 on.
    if (globalThis.WebSocket === undefined) return;
    const server = await serve({ compression: true, routes: echo });
    const socket = new globalThis.WebSocket(`${server.url}/`);
    const text = 'hello '.repeat(1000);
    const data = await new Promise((resolve, reject) => {
      socket.onopen = () => socket.send(text);
      socket.onerror = reject;
      socket.onmessage = (event) => resolve(event.data);
    });
    assert.equal(data, text);
    const closed = new Promise((resolve) => {
      socket.onclose = resolve;
    });
    socket.close(1000);
    assert.equal((await closed).code, 1000);
    await server.close();
  },
  async 'backpressure: a slow reader'() {
    let accepted = 0;
    const server = await serve({
      routes: {
        '/': {
          async open(peer) {
            const piece = Buffer.alloc(64 * 1024);
            while (peer.send(piece)) accepted++;
          },
        },
      },
    });
    const peer = await connect(`${server.url}/`);
    await until(() => accepted > 0);
    const before = accepted;
    let received = 0;
    for await (const _ of peer) {
      received++;
      if (received > before) break;
    }
    peer.terminate();
    await server.close();
  },
  async 'a refusal before the handshake'() {
    const { RejectUpgrade } = await import(aperto);
    const server = await serve({
      routes: {
        '/': {
          upgrade() {
            throw new RejectUpgrade(401, { body: 'Who are you?\n' });
          },
        },
      },
    });
    await assert.rejects(connect(`${server.url}/`), (error) => {
      assert.equal(error.code, 'STATUS_NOT_101');
      assert.equal(error.response.status, 401);
      return true;
    });
    await server.close();
  },
  async 'a connection that is lost is 1006'() {
    const server = await serve({ routes: { '/': { open: (peer) => peer.terminate() } } });
    const peer = await connect(`${server.url}/`);
    assert.equal((await peer.closed).code, 1006);
    await server.close();
  },
  async 'metrics and diagnostics channels'() {
    const told = [];
    const listen = (_message, name) => told.push(name);
    const names = ['aperto:open', 'aperto:message', 'aperto:close'];
    for (const name of names) diagnostics.subscribe(name, listen);
    const server = await serve({
      routes: echo,
      request: (request, response) => handler(request, response),
    });
    const handler = prometheusHandler(server);
    const peer = await connect(`${server.url}/`);
    peer.send('hello');
    await next(peer);
    const { port } = server;
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(text, /^aperto_/m);
    peer.close(1000);
    await peer.closed;
    await server.close();
    for (const name of names) assert.ok(told.includes(name), `${name} told nothing`);
  },
  async 'shared reads pass their trial'() {
    const { trySharedReads, canBeTakenOver } = await import(
      new URL('../dist/node/shared-read-buffer.js', import.meta.url).href
    );
    const { Socket } = await import('node:net');
    await trySharedReads();
    assert.ok(canBeTakenOver(new Socket()), 'they do not; sockets are read by data events');
  },
  async 'kept compression contexts pass their trial'() {
    const { keptContextsWork } = await import(
      new URL('../dist/node/compression/kept-context-trial.js', import.meta.url).href
    );
    const works = keptContextsWork(await import('node:zlib'));
    assert.ok(works, 'they do not; each message has a stream of its own');
  },
};

/** Texts and bytes of several sizes there and back, then a clean close. */
async function exchange(peer, server, rounds = 2) {
  for (let round = 0; round < rounds; round++) {
    for (const size of [0, 5, 200, 70_000, 500_000]) {
      const text = 'Grüße '.repeat(size).slice(0, size);
      peer.send(text);
      assert.ok((await next(peer)) === text, `a text of ${size} comes back as another`);
      const bytes = Buffer.alloc(size, 'abcdefg');
      peer.send(bytes);
      assert.ok(bytes.equals(await next(peer)), `${size} bytes come back as others`);
    }
  }
  peer.close(1000, 'done');
  assert.equal((await peer.closed).code, 1000);
  await server?.close();
}

async function next(peer) {
  for await (const message of peer) return message;
  throw new Error('closed before a message came');
}

async function until(isSo) {
  for (const start = performance.now(); !isSo(); ) {
    if (performance.now() - start > 10_000) throw new Error(`waited in vain for ${isSo}`);
    await new Promise((turn) => setTimeout(turn, 5));
  }
}

const [, , name] = process.argv;
if (name === undefined) {
  for (const each of Object.keys(checks)) console.log(each);
} else {
  await checks[name]();
  console.log('works');
}
