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
import { capture, classify, dissect, noCapture, objections, type Packet } from './capture.ts';

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
      assert.deepEqual(await objections(file), []);
      for (const fromClient of [true, false]) {
        const frames = await framesIn(file, server.port, fromClient);
        checkConversation(frames, fromClient, compression);
      }
      const asked = await dissect(file, 'http.upgrade', ['http.upgrade', 'http.response.code']);
      assert.deepEqual(
        asked.map((packet) => [packet['http.upgrade'], packet['http.response.code']]),
        [
          [['websocket'], undefined],
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
    assert.deepEqual(await objections(file), []);
    const sent = await framesIn(file, server.port, true);
    assert.deepEqual(sent.opcodes, [1, 9, 0, 0, 8]);
    assert.deepEqual(sent.fins, [0, 1, 0, 1, 1]);
    assert.deepEqual(sent.closes, ['1001 away']);
    const answered = await framesIn(file, server.port, false);
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
    assert.match((await objections(file)).join(), /websocket: Decompression failed/);
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

    assert.deepEqual(await objections(file), []);
    assert.deepEqual(await dissect(file, 'websocket || http', ['frame.number']), []);
    assert.notDeepEqual(await dissect(file, 'tls.app_data', ['frame.number']), []);
    await checkClass(file, /proto: [\d.]+\/TLS/);

    const withKeys = ['-o', `tls.keylog_file:${keys}`];
    assert.deepEqual(await objections(file, withKeys), []);
    for (const fromClient of [true, false]) {
      const frames = await framesIn(file, server.port, fromClient, withKeys);
      checkConversation(frames, fromClient, true);
    }
  });

  test('HTTP/2 in cleartext', async (t) => {
    const server = await startServer(t, { http2: true });
    const file = join(folder, 'h2c.pcapng');
    await capture(file, server.port, () =>
      converse(server.url, { http2: true, compression: false }),
    );
    // At a port that is not its own it has to be told.
    const asHttp2 = ['-d', `tcp.port==${server.port},http2`];
    assert.deepEqual(await objections(file, asHttp2), []);
    const headers = ['http2.header.name', 'http2.header.value', 'tcp.dstport'];
    const [request, response, ...others] = await dissect(file, 'http2.header', headers, asHttp2);
    assert.deepEqual(others, []);
    const asked = headersOf(request);
    assert.deepEqual(
      [':method', ':protocol', ':path', ':scheme'].map((name) => asked.get(name)),
      ['CONNECT', 'websocket', '/', 'http'],
    );
    assert.equal(headersOf(response).get(':status'), '200');

    // tshark 4.0 leaves what is in DATA frames alone.
    const data = await dissect(
      file,
      'http2.data.data',
      ['http2.data.data', 'tcp.dstport'],
      asHttp2,
    );
    for (const fromClient of [true, false]) {
      let unread = Buffer.concat(
        data
          .filter((packet) => (packet['tcp.dstport']?.[0] === `${server.port}`) === fromClient)
          .flatMap((packet) => packet['http2.data.data'] ?? [])
          .map((part) => Buffer.from(part.replaceAll(':', ''), 'hex')),
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

interface Frames {
  readonly opcodes: number[];
  readonly fins: number[];
  readonly compressed: number[];
  readonly masks: number[];
  readonly lengths: number[];
  readonly texts: string[];
  readonly binaries: string[];
  readonly pings: string[];
  readonly pongs: string[];
  readonly closes: string[];
}

/** The frames that tshark sees in one direction, all that are in a file. */
async function framesIn(
  file: string,
  port: number,
  fromClient: boolean,
  options: readonly string[] = [],
): Promise<Frames> {
  const names = {
    opcode: 'websocket.opcode',
    fin: 'websocket.fin',
    compressed: 'websocket.pmc',
    mask: 'websocket.mask',
    length: 'websocket.payload_length',
    length16: 'websocket.payload_length_ext_16',
    length64: 'websocket.payload_length_ext_64',
    text: 'websocket.payload.text',
    binary: 'data.data',
    ping: 'websocket.payload.ping',
    pong: 'websocket.payload.pong',
    code: 'websocket.payload.close.status_code',
    reason: 'websocket.payload.close.reason',
  } as const;
  const filter = `websocket && tcp.${fromClient ? 'dstport' : 'srcport'} == ${port}`;
  const packets = await dissect(file, filter, Object.values(names), options);
  const all = (name: keyof typeof names): string[] =>
    packets.flatMap((packet) => packet[names[name]] ?? []);
  const bits = (name: keyof typeof names): number[] =>
    all(name).map((value) => (value === 'True' ? 1 : value === 'False' ? 0 : Number(value)));
  const longer = { 126: all('length16'), 127: all('length64') };
  const reasons = all('reason');
  return {
    opcodes: bits('opcode'),
    fins: bits('fin'),
    compressed: bits('compressed'),
    masks: bits('mask'),
    lengths: bits('length').map((length) =>
      length === 126 || length === 127 ? Number(longer[length].shift()) : length,
    ),
    texts: all('text'),
    binaries: all('binary').map(unhex),
    pings: all('ping').map(unhex),
    pongs: all('pong').map(unhex),
    closes: all('code').map((code) => `${code} ${reasons.shift() ?? ''}`),
  };
}

function unhex(text: string): string {
  return Buffer.from(text.replaceAll(':', ''), 'hex').toString('latin1');
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
  const values = packet?.['http2.header.value'] ?? [];
  return new Map(packet?.['http2.header.name']?.map((name, at) => [name, values[at] ?? '']));
}

async function checkClass(file: string, expected: RegExp): Promise<void> {
  const [flow = '', ...others] = await classify(file);
  assert.match(flow, expected);
  assert.doesNotMatch(flow, /Malformed/i);
  assert.deepEqual(others, []);
}
