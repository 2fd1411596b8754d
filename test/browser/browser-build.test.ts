/** The browser build, as a bundler makes it, in real browsers. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, type TestContext, test } from 'node:test';
import { type Peer, type Route, type Server, serve } from '../../dist/index.js';
import { Mailbox } from '../node/connections.ts';
import { bundle } from '../web/bundle.ts';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';

/** `?own` hides the browser's own WebSocketStream. */
const page = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>Aperto</title>
<script type="module">
const native = globalThis.WebSocketStream;
if (location.search === '?own') delete globalThis.WebSocketStream;
globalThis.aperto = await import('/aperto.js');
globalThis.isNative = aperto.WebSocketStream === native;
globalThis.exchangeByStream = async (url) => {
  const stream = new aperto.WebSocketStream(url, { protocols: ['a', 'b'] });
  const { readable, writable, protocol } = await stream.opened;
  const reader = readable.getReader();
  const writer = writable.getWriter();
  const received = [];
  for (const message of ['Olá \\ud800', Uint8Array.of(1, 2, 3), '']) {
    await writer.write(message);
    const { value } = await reader.read();
    received.push(typeof value === 'string' ? value : [...new Uint8Array(value)]);
  }
  stream.close({ closeCode: 4001, reason: 'done' });
  const { done } = await reader.read();
  const { closeCode, reason } = await stream.closed;
  return { url: stream.url, protocol, received, done, closeCode, reason };
};
globalThis.failedStream = async (url) => {
  const stream = new aperto.WebSocketStream(url);
  const why = (error) => error.name;
  return [await stream.opened.catch(why), await stream.closed.catch(why)];
};
/** What a client told, in order. */
globalThis.told = [];
globalThis.stayConnected = (target, options) => {
  const tell = (name) => (_client, detail) => void told.push(detail === undefined ? name : [name, detail]);
  globalThis.client = aperto.reconnect(target, {
    open: tell('open'),
    message: tell('message'),
    waiting: tell('waiting'),
    closed: tell('closed'),
    dropped: tell('dropped'),
    ...options,
  });
};
globalThis.wasTold = (name, count = 1) =>
  told.filter((entry) => entry === name || entry[0] === name).length >= count;
</script>`;

async function servePages(): Promise<Server> {
  const { text: code } = await bundle(`export * from 'aperto';`);
  return serve({
    port: 0,
    request({ url }, response) {
      const isCode = url === '/aperto.js';
      response.setHeader('Content-Type', isCode ? 'text/javascript' : 'text/html');
      response.end(isCode ? code : page);
    },
    routes: {},
  });
}

for (const kind of [chromium, firefox]) {
  describe(`the browser build in ${kind.name}`, { skip: kind.skip }, () => {
    let browser: Browser;
    let pages: Server;

    before(async () => {
      pages = await servePages();
      browser = await kind.launch();
    });
    after(async () => {
      await browser?.[Symbol.asyncDispose]();
      await pages?.close();
    });
    afterEach(() => browser.closeWindows());

    async function openPage(search = ''): Promise<BrowserWindow> {
      const window = await browser.open();
      await window.goto(`http://127.0.0.1:${pages.port}/${search}`);
      await window.waitFor('globalThis.wasTold');
      return window;
    }

    async function startServer(t: TestContext, route: Route<undefined>): Promise<Server> {
      const server = await serve({ routes: { '*': { origins: '*', ...route } } });
      t.after(() => server.close({ timeoutMs: 100 }));
      return server;
    }

    test('WebSocket is the browser’s own', async () => {
      const window = await openPage();
      assert.equal(await window.evaluate('aperto.WebSocket === globalThis.WebSocket'), true);
    });

    for (const search of kind.name === 'Chromium' ? ['', '?own'] : ['?own']) {
      const name = search === '' ? 'the native WebSocketStream' : 'our WebSocketStream';
      test(`${name}: opens, writes, reads, closes`, async (t) => {
        const server = await startServer(t, {
          protocols: ['b'],
          message: (peer, message) => void peer.send(message),
          close: (_peer, code, reason) => void ends.put([code, reason]),
        });
        const ends = new Mailbox<unknown>();
        const window = await openPage(search);
        assert.equal(await window.evaluate('isNative'), search === '');
        const { reason, ...rest } = (await window.evaluate(
          `exchangeByStream(${JSON.stringify(server.url)})`,
        )) as { reason: string };
        assert.equal(reason, '', 'our server answers with the code alone');
        assert.deepEqual(rest, {
          url: `${server.url}/`,
          protocol: 'b',
          received: ['Olá \ufffd', [1, 2, 3], ''],
          done: true,
          closeCode: 4001,
        });
        assert.deepEqual(await ends.next(), [4001, 'done']);
      });

      test(`${name}: a server that is not there`, async (t) => {
        const server = await startServer(t, {});
        const { url } = server;
        await server.close();
        const window = await openPage(search);
        assert.deepEqual(await window.evaluate(`failedStream(${JSON.stringify(url)})`), [
          'WebSocketError',
          'WebSocketError',
        ]);
      });
    }

    test('reconnect: a fresh URL each time, what was queued arrives, a final code ends it', async (t) => {
      const urls: string[] = [];
      const heard = new Mailbox<unknown>();
      const peers = new Mailbox<Peer>();
      const server = await startServer(t, {
        upgrade: ({ url }) => void urls.push(url),
        open: peers.put,
        message(peer, message) {
          heard.put(message);
          if (message !== 'drop') peer.send(message);
        },
      });
      const window = await openPage();
      const target = `((token) => () => ${JSON.stringify(server.url)} + '/?token=' + ++token)(0)`;
      await window.evaluate(`{ stayConnected(${target}, { backoff: { firstMs: 30 } }); }`);
      assert.equal(await window.evaluate(`client.send('early')`), true);
      await window.waitFor(`wasTold('message')`);
      const first = await peers.next();
      first.terminate();
      await window.waitFor(`wasTold('waiting') && client.send('late')`);
      await window.waitFor(`wasTold('message', 2)`);
      (await peers.next()).close(1008, 'enough');
      await window.waitFor(`wasTold('closed')`);
      const told = (await window.evaluate('told')) as (string | [string, object])[];
      const [wait, end] = [told[2]?.[1], told.at(-1)?.[1]];
      assert.deepEqual(
        told.map((entry) => (typeof entry === 'string' ? entry : entry[0])),
        ['open', 'message', 'waiting', 'open', 'message', 'closed'],
      );
      assert.match(JSON.stringify(wait), /"code":1006,"reason":"","wasClean":false/);
      assert.match(JSON.stringify(end), /"code":1008,"reason":"enough","wasClean":true/);
      assert.deepEqual(heard.all, ['early', 'late']);
      assert.deepEqual(urls, ['/?token=1', '/?token=2']);
      assert.equal(await window.evaluate(`client.state`), 'closed');
      assert.equal(await window.evaluate(`client.send('too late')`), false);
      assert.deepEqual(
        window.errors.filter((text) => !/WebSocket|connection/i.test(text)),
        [],
      );
    });

    test('reconnect: the network is back, so it tries at once', async (t) => {
      const server = await startServer(t, {});
      const window = await openPage();
      const target = `() => globalThis.isBack ? ${JSON.stringify(server.url)} : Promise.reject(new Error('no token'))`;
      const slow = `{ backoff: { firstMs: 3600000, maxMs: 3600000 } }`;
      await window.evaluate(`{ stayConnected(${target}, ${slow}); }`);
      await window.waitFor(`wasTold('waiting')`);
      await window.evaluate(`{ globalThis.isBack = true; dispatchEvent(new Event('online')); }`);
      await window.waitFor(`wasTold('open')`);
      await window.evaluate(`{ client.close(3000); }`);
      await window.waitFor(`client.state === 'closed'`);
    });

    test('reconnect: misuse throws at once', async () => {
      const window = await openPage();
      const codeOf = (call: string) =>
        window.evaluate(
          `(() => { try { ${call} } catch (error) { return [error.code, error instanceof aperto.ApertoError]; } })()`,
        );
      assert.deepEqual(await codeOf(`aperto.reconnect('ftp://x')`), ['INVALID_URL', true]);
      assert.deepEqual(await codeOf(`aperto.reconnect('/x', { protocols: ['a b'] })`), [
        'INVALID_PROTOCOL',
        true,
      ]);
      assert.deepEqual(
        await codeOf(`aperto.reconnect({ url: '/x', headers: { Authorization: 'x' } })`),
        ['INVALID_OPTION', true],
      );
      assert.deepEqual(await codeOf(`aperto.reconnect('/x', { stableMs: 0 })`), [
        'INVALID_OPTION',
        true,
      ]);
    });
  });
}
