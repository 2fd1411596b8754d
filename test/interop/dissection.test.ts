import assert from 'node:assert/strict';
import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import {
  type ConnectOptions,
  connect,
  type Message,
  type Server,
  serve,
} from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { checkSwitched, dial, handshake } from '../faults/raw-client.ts';
import {
  BINARY,
  CLOSE,
  CONTINUED,
  clientFrame,
  closePayload,
  FINISHED,
  PING,
  PONG,
  readFrame,
  TEXT,
  TEXT_BEGUN,
} from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from '../node/connections.ts';
import { capture, classify, noCapture } from './capture.ts';
import { bytesOf, Dissection, type Frames, type Packet } from './dissection.ts';

const COMPRESSED_TEXT = 0xc1;
/** One text for each form of the length. */
const texts = ['hello', 'medium '.repeat(100), 'long '.repeat(20_000)] as const;
const bytes = Buffer.from('not text \u0000\u00ff', 'latin1');

describe('what tshark and nDPI see on the wire', {
  skip: noCapture,
  concurrency: 3,
  timeout: 120_000,
}, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aperto-capture-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** Text, bytes, ping, close; each of these is answered. */
  async function converse(url: string, options: ConnectOptions): Promise<void> {
    const messages = new Mailbox<Message>();
    const pongs = new Mailbox<string>();
    const peer = await connect(url, {
      limits: { maxInflationRatio: Number.POSITIVE_INFINITY },
      message: (_, message) => messages.put(message),
      pong: (_, payload) => pongs.put(String(Buffer.from(payload))),
      ...options,
    });
    for (const message of [...texts, bytes]) {
      peer.send(message);
      await messages.next();
    }
    peer.ping('there?');
    assert.equal(await pongs.next(), 'there?');
    peer.close(4000, 'r\u00e9ason');
    await within('the end', peer.closed);
  }

  for (const compression of [false, true]) {
    test(`a conversation, ${compression ? '' : 'not '}compressed`, async (t) => {
      const server = await startServer(t);
      const file = join(folder, `plain-${compression}.pcapng`);
      await capture(file, server.port, () => converse(server.url, { compression }));
      const seen = await Dissection.of(file, server.port);
      assert.deepEqual(seen.objections(), []);
      for (const fromClient of [true, false]) {
        checkConversation(seen.frames(fromClient), fromClient, compression);
      }
      const http = seen.packets.filter((packet) => packet.has('http') && !packet.has('websocket'));
      assert.deepEqual(
        http.map((packet) => [packet.all('upgrade'), packet.all('status')]),
        [
          [['websocket'], []],
          [['websocket'], ['101']],
        ],
      );
      await checkClass(file, /proto: \d+(\.\d+)?\/(HTTP\.)?(HTTP|WebSocket)\]/);
    });
  }

  test('fragments with a ping between them, sent by hand', async (t) => {
    const server = await startServer(t);
    const file = join(folder, 'fragments.pcapng');
    await capture(file, server.port, async () => {
      const raw = await dial(server.port, false);
      raw.write(handshake());
      checkSwitched(await raw.readHead());
      raw.write(
        clientFrame(TEXT_BEGUN, 'one '),
        clientFrame(PING, 'between'),
        clientFrame(CONTINUED, 'two '),
        clientFrame(FINISHED, 'three'),
      );
      await raw.expectFrame(PONG, 'between');
      await raw.expectFrame(TEXT, 'one two three');
      raw.write(clientFrame(CLOSE, closePayload(1001, 'away')));
      await raw.expectClose(1001);
      await raw.drain();
      raw.destroy();
    });
    const seen = await Dissection.of(file, server.port);
    assert.deepEqual(seen.objections(), []);
    const sent = seen.frames(true);
    assert.deepEqual(sent.opcodes, [1, 9, 0, 0, 8]);
    assert.deepEqual(sent.fins, [0, 1, 0, 1, 1]);
    assert.deepEqual(sent.closes, ['1001 away']);
    const answered = seen.frames(false);
    assert.deepEqual(answered.opcodes, [10, 1, 8]);
    assert.deepEqual(answered.fins, [1, 1, 1]);
    assert.deepEqual(answered.texts, ['one two three']);
    assert.deepEqual(answered.closes, ['1001 ']);
  });

  test('what is wrong, which tshark objects to', async (t) => {
    const server = await startServer(t);
    const file = join(folder, 'wrong.pcapng');
    await capture(file, server.port, async () => {
      const raw = await dial(server.port, false);
      raw.write(handshake({ fields: { 'sec-websocket-extensions': 'permessage-deflate' } }));
      assert.equal((await raw.readHead()).status, 101);
      raw.write(clientFrame(COMPRESSED_TEXT, 'not compressed'));
      await raw.expectClose(1007);
      raw.destroy();
    });
    const seen = await Dissection.of(file, server.port);
    assert.match(seen.objections().join(), /websocket: Decompression failed/);
  });

  test('TLS, which shows nothing but to who has the keys', async (t) => {
    const server = await startServer(t, { tls: true });
    const file = join(folder, 'tls.pcapng');
    const keys = join(folder, 'keys.log');
    const agent = new Agent({ ca: (await localCertificate()).cert });
    t.after(() => agent.destroy());
    const lines: Buffer[] = [];
    agent.on('keylog', (line: Buffer) => lines.push(line));
    await capture(file, server.port, () => converse(server.url, { agent, compression: true }));
    for (const line of lines) await appendFile(keys, line);

    const without = await Dissection.of(file, server.port);
    assert.deepEqual(without.objections(), []);
    const kinds = ['tls', 'http', 'websocket'].map((protocol) =>
      without.packets.some((packet) => packet.has(protocol)),
    );
    assert.deepEqual(kinds, [true, false, false]);
    await checkClass(file, /proto: [\d.]+\/TLS/);

    const seen = await Dissection.of(file, server.port, ['-o', `tls.keylog_file:${keys}`]);
    assert.deepEqual(seen.objections(), []);
    for (const fromClient of [true, false]) {
      checkConversation(seen.frames(fromClient), fromClient, true);
    }
  });

  test('HTTP/2 in cleartext', async (t) => {
    const server = await startServer(t, { http2: true });
    const file = join(folder, 'h2c.pcapng');
    await capture(file, server.port, () =>
      converse(server.url, { http2: true, compression: false }),
    );
    // At a port that is not its own it has to be told.
    const seen = await Dissection.of(file, server.port, ['-d', `tcp.port==${server.port},http2`]);
    assert.deepEqual(seen.objections(), []);
    const withHeaders = seen.packets.filter((packet) => packet.all('http2Name').length > 0);
    const [request, response, ...others] = withHeaders;
    assert.deepEqual(others, []);
    const asked = headersOf(request);
    assert.deepEqual(
      [':method', ':protocol', ':path', ':scheme'].map((name) => asked.get(name)),
      ['CONNECT', 'websocket', '/', 'http'],
    );
    assert.equal(headersOf(response).get(':status'), '200');

    // tshark 4.0 leaves what is in DATA frames alone.
    for (const fromClient of [true, false]) {
      let unread = Buffer.concat(
        seen.packets
          .filter((packet) => seen.isFromClient(packet) === fromClient)
          .flatMap((packet) => packet.all('http2Data').map(bytesOf)),
      );
      const frames: [number, boolean, Buffer][] = [];
      for (let frame = readFrame(unread); frame !== undefined; frame = readFrame(unread)) {
        frames.push([frame.first, frame.isMasked, frame.payload]);
        unread = unread.subarray(frame.size);
      }
      assert.equal(unread.length, 0);
      assert.deepEqual(frames, [
        ...texts.map((text) => [TEXT, fromClient, Buffer.from(text)]),
        [BINARY, fromClient, bytes],
        [fromClient ? PING : PONG, fromClient, Buffer.from('there?')],
        [CLOSE, fromClient, closePayload(4000, fromClient ? 'r\u00e9ason' : '')],
      ]);
    }
  });
});

async function startServer(
  t: TestContext,
  { tls = false, http2 = false }: { readonly tls?: boolean; readonly http2?: boolean } = {},
): Promise<Server> {
  const server = await serve({
    ...(tls ? { tls: await localCertificate() } : {}),
    ...(http2 ? { http2: true } : {}),
    compression: true,
    limits: { maxInflationRatio: Number.POSITIVE_INFINITY },
    routes: { '/': { message: (peer, message) => void peer.send(message) } },
  });
  t.after(() => server.close({ timeoutMs: 200 }));
  return server;
}

function checkConversation(frames: Frames, fromClient: boolean, compression: boolean): void {
  assert.deepEqual(frames.opcodes, [1, 1, 1, 2, fromClient ? 9 : 10, 8]);
  assert.ok(frames.fins.every((fin) => fin === 1));
  assert.ok(frames.masks.every((mask) => mask === (fromClient ? 1 : 0)));
  const sizes = [...texts, bytes].map(({ length }) => length);
  if (compression) {
    // What is short stays as it is; what is long shrinks.
    assert.equal(frames.compressed[2], 1);
    assert.ok((frames.lengths[2] ?? 0) < 10_000);
  } else {
    assert.ok(frames.compressed.every((bit) => bit === 0));
    assert.deepEqual(frames.lengths.slice(0, 4), sizes);
  }
  assert.deepEqual(frames.texts, texts);
  assert.deepEqual(frames.binaries, [bytes.toString('latin1')]);
  assert.deepEqual(fromClient ? frames.pings : frames.pongs, ['there?']);
  assert.deepEqual(frames.closes, [fromClient ? '4000 r\u00e9ason' : '4000 ']);
}

function headersOf(packet: Packet | undefined): Map<string, string> {
  const values = packet?.all('http2Value') ?? [];
  return new Map(packet?.all('http2Name').map((name, at) => [name, values[at] ?? '']));
}

async function checkClass(file: string, expected: RegExp): Promise<void> {
  const [flow = '', ...others] = await classify(file);
  assert.match(flow, expected);
  assert.doesNotMatch(flow, /Malformed/i);
  assert.deepEqual(others, []);
}
