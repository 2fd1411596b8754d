import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { type Server, serve } from '../../dist/index.js';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';
import { ServedProgram } from './served-program.ts';

const MiB = 1024 * 1024;

/** The page: what a browser's own WebSocket does with the library, told as JSON. */
const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>WebSocket</title><script>
let messages = 0;
const bytes = (length) => Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8)) & 255);
const describe = (data) => typeof data === 'string'
  ? { text: data.length < 100 ? data : data.length }
  : { binary: data.byteLength, equal: new Uint8Array(data).every((byte, index) => byte === bytesOf(data)[index]) };
const kept = new Map();
const bytesOf = ({ byteLength }) => kept.get(byteLength) ?? kept.set(byteLength, bytes(byteLength)).get(byteLength);
/** Connects, sends all, and closes once as many messages have come back. */
const exchange = (url, { protocols = [], send = [], close = [1000] }) => new Promise((resolve) => {
  const socket = new WebSocket(url, protocols);
  const received = [];
  let opened = false;
  socket.binaryType = 'arraybuffer';
  const closeIfDone = () => { if (received.length === send.length && close) socket.close(...close); };
  socket.onopen = () => {
    opened = true;
    for (const { text, binary } of send) socket.send(text ?? bytes(binary));
    closeIfDone();
  };
  socket.onmessage = ({ data }) => { messages += 1; received.push(describe(data)); closeIfDone(); };
  socket.onclose = ({ code, reason, wasClean }) =>
    resolve({ opened, received, code, reason, wasClean, protocol: socket.protocol });
});
</script>`;

interface Exchange {
  readonly opened: boolean;
  readonly received: readonly unknown[];
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  readonly protocol: string;
}

interface Plan {
  readonly protocols?: readonly string[];
  readonly send?: readonly ({ text: string } | { binary: number })[];
  /** Code and reason; false to let the server close. */
  readonly close?: readonly [code?: number, reason?: string] | false;
}

async function exchange(window: BrowserWindow, url: string, plan: Plan): Promise<Exchange> {
  return asExchange(
    await window.evaluate(`exchange(${JSON.stringify(url)}, ${JSON.stringify(plan)})`),
  );
}

function asExchange(value: unknown): Exchange {
  assert.ok(typeof value === 'object' && value !== null && 'wasClean' in value);
  return value as Exchange;
}

/** Serves the page at an origin of its own. */
function servePage(): Promise<Server> {
  return serve({
    port: 0,
    request(_request, response) {
      response.setHeader('Content-Type', 'text/html').end(page);
    },
    routes: {},
  });
}

for (const kind of [chromium, firefox]) {
  describe(`the WebSocket of ${kind.name}`, { skip: kind.skip }, () => {
    let browser: Browser;
    let pages: Server;
    let origin: string;

    before(async () => {
      pages = await servePage();
      origin = `http://127.0.0.1:${pages.port}`;
      browser = await kind.launch();
    });
    after(async () => {
      await browser?.[Symbol.asyncDispose]();
      await pages?.close();
    });
    afterEach(() => browser.closeWindows());

    async function openPage(at = origin): Promise<BrowserWindow> {
      const window = await browser.open();
      await window.goto(`${at}/`);
      return window;
    }

    /** `aperto echo`, and where it listens. */
    async function serveEcho(...args: string[]) {
      const echo = await ServedProgram.start('dist/cli/main.js', [
        'echo',
        '--port',
        '0',
        '--origin',
        origin,
        ...args,
      ]);
      return { echo, url: `ws://127.0.0.1:${echo.port}/` };
    }

    test('text and binary come back in kind, the empty message too', async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const window = await openPage();
      const send = [{ text: 'Olá, 你好 👋' }, { text: '' }, { binary: 0 }, { binary: 256 }];
      assert.deepEqual(await exchange(window, url, { send }), {
        opened: true,
        received: [
          { text: 'Olá, 你好 👋' },
          { text: '' },
          { binary: 0, equal: true },
          { binary: 256, equal: true },
        ],
        code: 1000,
        reason: '',
        wasClean: true,
        protocol: '',
      });
    });

    test('every form of the length, up to the limit of 1 MiB', async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const sizes = [125, 126, 127, 65_535, 65_536, MiB];
      const text = 'a'.repeat(MiB);
      const result = await exchange(await openPage(), url, {
        send: [...sizes.map((binary) => ({ binary })), { text }],
      });
      assert.deepEqual(result.received, [
        ...sizes.map((binary) => ({ binary, equal: true })),
        { text: MiB },
      ]);
      assert.equal(result.wasClean, true);
    });

    test('one byte more is refused with 1009', async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const result = await exchange(await openPage(), url, {
        send: [{ binary: MiB + 1 }],
        close: false,
      });
      assert.equal(result.code, 1009);
      assert.deepEqual(result.received, []);
    });

    test('a thousand messages come back in order', async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const send = Array.from({ length: 1000 }, (_each, index) => ({ text: `message ${index}` }));
      const result = await exchange(await openPage(), url, { send });
      assert.deepEqual(result.received, send);
    });

    test("a close code comes back, and without one it is the browser's 1005", async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const window = await openPage();
      for (const code of [1000, 3000, 4999]) {
        const result = await exchange(window, url, { close: [code] });
        assert.equal(result.code, code);
        assert.equal(result.wasClean, true);
      }
      const without = await exchange(window, url, { close: [] });
      assert.equal(without.code, 1005);
      assert.equal(without.wasClean, true);
    });

    test('close codes and reasons arrive, both ways', async () => {
      const reasons = ['', 'até logo', 'r'.repeat(123)];
      const closes = new EventEmitter();
      await using server = await serve({
        routes: {
          '/listen': {
            origins: [origin],
            close: (_peer, code, reason) => {
              closes.emit('close', code, reason);
            },
          },
          '/close': {
            origins: [origin],
            open: (peer) => peer.close(4000, reasons[Number(peer.request.url.split('?')[1])]),
          },
        },
      });
      const window = await openPage();
      for (const [index, reason] of reasons.entries()) {
        const seen = once(closes, 'close');
        await exchange(window, `${server.url}/listen`, { close: [3000, reason] });
        assert.deepEqual(await seen, [3000, reason]);
        const plan = { close: false } as const;
        const closed = await exchange(window, `${server.url}/close?${index}`, plan);
        assert.deepEqual([closed.code, closed.reason, closed.wasClean], [4000, reason, true]);
      }
      const seen = once(closes, 'close');
      await exchange(window, `${server.url}/listen`, { close: [] });
      assert.deepEqual(await seen, [1005, '']);
    });

    test('a server that ends says 1001', async () => {
      const { echo, url } = await serveEcho();
      const window = await openPage();
      await window.evaluate(`{
        globalThis.ended = exchange(${JSON.stringify(url)}, { close: false, send: [{ text: 'there?' }] });
      }`);
      await window.waitFor('messages === 1');
      assert.equal(await echo.end(), 0);
      const ended = asExchange(await window.evaluate('ended'));
      assert.deepEqual(ended.received, [{ text: 'there?' }]);
      assert.equal(ended.code, 1001);
      assert.equal(ended.wasClean, true);
    });

    test('the first subprotocol offered that the server speaks', async () => {
      const { echo, url } = await serveEcho('--protocol', 'superchat', '--protocol', 'chat');
      await using _ = echo;
      const protocols = ['unknown', 'chat', 'superchat'];
      const result = await exchange(await openPage(), url, { protocols });
      assert.equal(result.protocol, 'chat');
      assert.equal(result.wasClean, true);
    });

    test('a page of another origin does not get in', async () => {
      const { echo, url } = await serveEcho();
      await using _ = echo;
      const foreign = await openPage(`http://localhost:${pages.port}`);
      const result = await exchange(foreign, url, { send: [{ text: 'let me in' }] });
      assert.equal(result.opened, false);
      assert.equal(result.code, 1006);
      assert.deepEqual(result.received, []);
    });
  });
}
