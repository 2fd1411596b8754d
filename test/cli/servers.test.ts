import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { connect as dial } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { connect } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { clientFrame, serverFrame } from '../faults/raw-frames.ts';
import { Command, startServer } from './command.ts';

/** Sends a request as it stands and resolves to the head of the answer. */
async function rawRequest(port: number, ...lines: readonly string[]): Promise<string> {
  const socket = dial(port, '127.0.0.1');
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  let head = '';
  for await (const chunk of socket) {
    head += String(chunk);
    if (head.includes('\r\n\r\n')) break;
  }
  return head;
}

const example = [
  'GET /chat HTTP/1.1',
  'Host: server.example.com',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Origin: http://example.com',
  'Sec-WebSocket-Protocol: chat, superchat',
  'Sec-WebSocket-Version: 13',
];

describe('aperto echo', { concurrency: 2 }, () => {
  test('returns each message in kind, at any path', async (t) => {
    const { url } = await startServer(t, 'echo');
    const peer = await connect(`${url}/any/path?x=1`);
    const messages = ['häh', Uint8Array.of(0, 1, 255), '', new Uint8Array(0)];
    for (const message of messages) peer.send(message);
    const back: unknown[] = [];
    for await (const message of peer) {
      back.push(message);
      if (back.length === messages.length) peer.close(1000);
    }
    assert.deepEqual(back, messages);
  });

  test("answers the RFC's example handshake as it is printed", async (t) => {
    const { port } = await startServer(t, 'echo');
    const head = await rawRequest(port, ...example);
    assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    assert.match(head, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
    assert.doesNotMatch(head, /Sec-WebSocket-Protocol/);
  });

  test('lets in the same origin, those listed, or all', async (t) => {
    const statusOf = async (port: number, origin: string): Promise<string> => {
      const lines = example.map((line) => (line.startsWith('Origin') ? `Origin: ${origin}` : line));
      return (await rawRequest(port, ...lines)).slice(9, 12);
    };
    const byDefault = await startServer(t, 'echo');
    assert.equal(await statusOf(byDefault.port, 'http://server.example.com'), '101');
    assert.equal(await statusOf(byDefault.port, 'http://evil.example'), '403');
    assert.equal(await statusOf(byDefault.port, 'null'), '403');
    const listed = await startServer(t, 'echo', '--origin', 'http://a.example', '--origin', 'null');
    assert.equal(await statusOf(listed.port, 'http://a.example'), '101');
    assert.equal(await statusOf(listed.port, 'null'), '101');
    assert.equal(await statusOf(listed.port, 'http://server.example.com'), '403');
    const all = await startServer(t, 'echo', '--origin', '*');
    assert.equal(await statusOf(all.port, 'http://evil.example'), '101');
  });

  test('speaks the subprotocols that it is told', async (t) => {
    const { url } = await startServer(t, 'echo', '--protocol', 'a', '--protocol', 'b');
    const peer = await connect(url, { protocols: ['x', 'b', 'a'], message() {} });
    assert.equal(peer.protocol, 'b');
    peer.close();
  });

  test('keeps the limits that it is told', async (t) => {
    const { url } = await startServer(t, 'echo', '--max-message', '10', '--max-fragments', '2');
    const large = await connect(url);
    large.send('x'.repeat(10));
    large.send('x'.repeat(11));
    const [first] = [await large[Symbol.asyncIterator]().next()];
    assert.equal(first?.value, 'x'.repeat(10));
    assert.equal((await large.closed).code, 1009);

    const socket = new WebSocket(url);
    await once(socket, 'open');
    socket.send('a', { fin: false });
    socket.send('b', { fin: true });
    const [echoed] = await once(socket, 'message');
    assert.equal(String(echoed), 'ab');
    for (const fin of [false, false, true]) socket.send('a', { fin });
    const [code] = await once(socket, 'close');
    assert.equal(code, 1008);
  });

  test('takes HTTP/2 without TLS where it is asked to', async (t) => {
    const { url } = await startServer(t, 'echo', '--h2c');
    const session = connectHttp2(url.replace('ws:', 'http:'));
    t.after(() => session.destroy());
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/',
      'sec-websocket-version': '13',
    });
    const [headers] = await once(stream, 'response');
    assert.equal(headers[':status'], 200);
    stream.write(clientFrame(0x81, 'over h2'));
    const [chunk] = await once(stream, 'data');
    assert.deepEqual(chunk, serverFrame(0x81, 'over h2'));
    const client = new Command('connect', url, '--http2', '--execute', 'hi', '--wait', '9');
    await client.printed(/^hi\n/);
    assert.equal(await client.signal('SIGTERM'), 0);
  });

  test('takes as many WebSockets over one connection of HTTP/2 as it is told', async (t) => {
    for (const [command, options, most] of [
      ['echo', [], 100],
      ['echo', ['--max-streams', '1000'], 1000],
      ['broadcast', ['--max-streams', '2'], 2],
    ] as const) {
      const { url } = await startServer(t, command, '--h2c', ...options);
      const session = connectHttp2(url.replace('ws:', 'http:'));
      t.after(() => session.destroy());
      const [{ maxConcurrentStreams }] = await once(session, 'remoteSettings');
      assert.equal(maxConcurrentStreams, most);
    }
  });

  test('speaks TLS with a certificate', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
    t.after(() => rm(folder, { recursive: true }));
    const { cert, key } = await localCertificate();
    await writeFile(join(folder, 'cert.pem'), cert);
    await writeFile(join(folder, 'key.pem'), key);
    const options = ['--tls-cert', join(folder, 'cert.pem'), '--tls-key', join(folder, 'key.pem')];
    const { url } = await startServer(t, 'echo', ...options);
    assert.match(url, /^wss:/);
    const client = new Command(
      'connect',
      url,
      '--ca',
      join(folder, 'cert.pem'),
      '--execute',
      'hi',
      '--wait',
      '9',
    );
    await client.printed(/^hi\n/);
    assert.equal(await client.signal('SIGTERM'), 0);
    const unchecked = new Command('connect', url, '--no-check', '--execute', 'hi', '--wait', '9');
    await unchecked.printed(/^hi\n/);
    assert.equal(await unchecked.signal('SIGINT'), 0);
    const untrusting = new Command('connect', url);
    assert.equal(await untrusting.end(), 1);
    assert.match(untrusting.stderr, /self-signed/);
  });
});

test('aperto broadcast sends each message to every peer, the sender too', async (t) => {
  const { url } = await startServer(t, 'broadcast');
  const peers = await Promise.all([connect(url), connect(url), connect(url)]);
  const [sender] = peers;
  sender?.send('häh');
  sender?.send(Uint8Array.of(7));
  for (const peer of peers) {
    const messages = peer[Symbol.asyncIterator]();
    assert.equal((await messages.next()).value, 'häh');
    assert.deepEqual((await messages.next()).value, Uint8Array.of(7));
    peer.close();
  }
});

for (const command of ['echo', 'broadcast']) {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`aperto ${command} ends cleanly on ${signal}`, async (t) => {
      const { server, url } = await startServer(t, command);
      const peer = await connect(url, { message() {} });
      assert.equal(await server.signal(signal), 0);
      assert.equal((await peer.closed).code, 1001);
      assert.equal(server.stdout, `aperto ${command} listening on ${url}\n`);
      assert.equal(server.stderr, '');
    });
  }
}

test('a port that is in use is told, with exit code 1', async (t) => {
  const { port } = await startServer(t, 'echo');
  const second = new Command('echo', '--port', String(port));
  assert.equal(await second.end(), 1);
  assert.match(second.stderr, /^aperto: cannot listen on 127\.0\.0\.1:\d+: the port is in use/);
  assert.equal(second.stdout, '');
});
