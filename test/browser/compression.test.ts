import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { type CompressionOptions, type Peer, type Server, serve } from '../../dist/index.js';
import { Mailbox } from '../node/connections.ts';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';

/** The page: sends each message when the one before has come back, or all at once; says what was wrong. */
const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Compression</title><script>
let state = 1;
const random = () => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) >>> 24;
const json = (size) => {
  let text = '';
  for (let at = 0; text.length < size; at++) text += '{"id":' + at * 7919 + ',"name":"caf\\u00e9 ' + at % 13 + '"},';
  return text.slice(0, size);
};
const kinds = [
  json,
  (size) => new TextEncoder().encode(json(size)).slice(0, size),
  (size) => Uint8Array.from({ length: size }, random),
  (size) => new Uint8Array(size),
];
const same = (sent, came) => typeof sent === 'string' ? sent === came
  : came instanceof ArrayBuffer && came.byteLength === sent.length
    && new Uint8Array(came).every((byte, at) => byte === sent[at]);
const exchange = (url, sizes, atOnce) => new Promise((resolve) => {
  const sent = sizes.flatMap((size) => kinds.map((kind) => kind(size)));
  const socket = new WebSocket(url);
  const wrong = [];
  let came = 0;
  socket.binaryType = 'arraybuffer';
  const sendNext = () => { if (came < sent.length) socket.send(sent[came]); else socket.close(1000); };
  socket.onopen = () => { if (atOnce) for (const message of sent) socket.send(message); else sendNext(); };
  socket.onmessage = ({ data }) => {
    if (!same(sent[came], data)) wrong.push(came);
    came++;
    if (!atOnce || came === sent.length) sendNext();
  };
  socket.onclose = ({ code }) =>
    resolve({ code, wrong, came, sent: sent.length, extensions: socket.extensions });
});
</script>`;

const sizes = [0, 1, 60, 61, 500, 1_023, 1_024, 5_000, 70_000, 150_000];

interface Configuration {
  readonly path: string;
  readonly compression: Required<
    Pick<CompressionOptions, 'takeover' | 'windowBits' | 'peerWindowBits'>
  >;
}

/** With takeover every size of the server's window and of the one that it asks for, without it the outermost. */
const windows = [
  [15, 15],
  [9, 9],
  [15, 8],
  [10, 11],
  [11, 10],
  [12, 14],
  [13, 12],
  [14, 13],
] as const;
const configurations: readonly Configuration[] = [false, true].flatMap((takeover) =>
  windows.slice(0, takeover ? undefined : 3).map(([windowBits, peerWindowBits]) => ({
    path: `/${takeover ? 'takeover' : 'none'}-${windowBits}-${peerWindowBits}`,
    compression: { takeover, windowBits, peerWindowBits },
  })),
);

/** What each browser offers, whether a window can be asked of it then, and whether its page is told parameters. */
const browsers = [
  { kind: chromium, offer: 'permessage-deflate; client_max_window_bits', obeys: true, tells: true },
  { kind: firefox, offer: 'permessage-deflate', obeys: false, tells: false },
] as const;

for (const { kind, offer, obeys, tells } of browsers) {
  describe(`permessage-deflate of ${kind.name}`, { skip: kind.skip }, () => {
    let browser: Browser;
    let window: BrowserWindow;
    let server: Server;
    const opened = new Mailbox<Peer>();

    before(async () => {
      const echo = (compression: CompressionOptions | false) => ({
        compression,
        open: opened.put,
        message: (peer: Peer, message: string | Uint8Array) => void peer.send(message),
      });
      server = await serve<undefined>({
        limits: { maxBufferedBytes: Infinity, maxInflationRatio: 2_000 },
        request(_request, response) {
          response.setHeader('Content-Type', 'text/html').end(page);
        },
        routes: {
          '/off': echo(false),
          ...Object.fromEntries(
            configurations.map(({ path, compression }) => [
              path,
              echo({ ...compression, threshold: 0 }),
            ]),
          ),
        },
      });
      browser = await kind.launch();
      window = await browser.open();
      await window.goto(`http://127.0.0.1:${server.port}/`);
    });
    after(async () => {
      await browser?.[Symbol.asyncDispose]();
      await server?.close();
    });
    afterEach(() => assert.deepEqual(window.errors, []));

    /** Has the page exchange messages; returns what was agreed on. */
    async function exchange(path: string, atOnce: boolean): Promise<string> {
      const url = `ws://127.0.0.1:${server.port}${path}`;
      const result = await window.evaluate(
        `exchange(${JSON.stringify(url)}, ${JSON.stringify(sizes)}, ${atOnce})`,
      );
      const { extensions, request } = await opened.next();
      const count = sizes.length * 4;
      assert.deepEqual(result, {
        code: 1000,
        wrong: [],
        came: count,
        sent: count,
        extensions: tells ? extensions : extensions.replace(/;.*/, ''),
      });
      assert.equal(request.headers['sec-websocket-extensions'], offer);
      return extensions;
    }

    test('declined: nothing is compressed', async () => {
      assert.equal(await exchange('/off', true), '');
      assert.equal(server.compression.inflated.messages, 0);
      assert.equal(server.compression.deflated.messages, 0);
    });

    for (const { path, compression } of configurations) {
      const { takeover, windowBits, peerWindowBits } = compression;
      const name = `takeover ${takeover}, our window ${windowBits}, theirs ${peerWindowBits}`;
      test(`${name}: messages of every size come back`, async () => {
        const before = structuredClone(server.compression);
        const agreed = await exchange(path, false);
        assert.equal(
          agreed,
          [
            'permessage-deflate',
            ...(takeover ? [] : ['server_no_context_takeover', 'client_no_context_takeover']),
            ...(obeys && peerWindowBits < 15 ? [`client_max_window_bits=${peerWindowBits}`] : []),
          ].join('; '),
        );
        assert.equal(await exchange(path, true), agreed);
        // RSV1 was set on what they sent: on all of it, or on what it makes shorter, which is at least the text
        // and the bytes of it from 60 on, and the zeros.
        const inflated = server.compression.inflated.messages - before.inflated.messages;
        assert.ok(inflated >= 2 * (sizes.length - 2) * 3, `${inflated}`);
        const deflated = server.compression.deflated.messages - before.deflated.messages;
        assert.equal(deflated, 2 * (sizes.length - 1) * 4);
      });
    }
  });
}
