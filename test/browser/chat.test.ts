import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { generate } from 'selfsigned';
import { StaticFiles } from '../../apps/chat/dist/server/static-files.js';
import { type Peer, type Server, serve } from '../../dist/index.js';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';
import { ServedProgram } from './served-program.ts';

const own = '#log .own:not(.pending) .text';
const others = '#log .message:not(.own) .text';

function serveChat(...args: string[]): Promise<ServedProgram> {
  return ServedProgram.start('apps/chat/dist/server/main.js', args);
}

/** The page, on a server that answers each message of the page as it is told to. */
async function servePage(
  protocol: string,
  answer: (peer: Peer, message: Readonly<Record<string, string>>) => void,
): Promise<Server> {
  const files = await StaticFiles.load();
  return serve({
    port: 0,
    request: (request, response) => files.answer(request, response),
    routes: {
      '/chat': {
        protocols: [protocol],
        message: (peer, data) => answer(peer, JSON.parse(String(data))),
      },
    },
  });
}

/** Opens the page of such a server. Its timers go twenty times as fast. */
async function openHasty(browser: Browser, server: Server): Promise<BrowserWindow> {
  const window = await browser.open();
  await window.goto(server.url.replace('ws', 'http'));
  await window.evaluate(
    '{ const set = setTimeout; globalThis.setTimeout = (run, ms) => set(run, ms / 20); }',
  );
  return window;
}

async function enter(window: BrowserWindow, name: string, room: string): Promise<void> {
  await window.fill('#name', name);
  await window.fill('#room', room);
  await window.press('Enter');
  await window.waitFor(`document.querySelector('#state').dataset.state === 'open'`);
  await window.waitFor(
    `[...document.querySelectorAll('#members .name')].some((element) => element.textContent === ${JSON.stringify(name)})`,
  );
}

async function say(window: BrowserWindow, text: string): Promise<void> {
  await window.fill('#text', text);
  await window.press('Enter');
}

function waitForState(window: BrowserWindow, open: boolean): Promise<void> {
  const state = `document.querySelector('#state').dataset.state`;
  return window.waitFor(open ? `${state} === 'open'` : `${state} !== 'open'`, 60_000);
}

for (const kind of [chromium, firefox]) {
  describe(`the chat in ${kind.name}`, { skip: kind.skip }, () => {
    let browser: Browser;

    before(async () => {
      browser = await kind.launch();
    });
    after(async () => {
      await browser?.[Symbol.asyncDispose]();
    });
    afterEach(() => browser.closeWindows());

    /** Two windows of the page, in one room. */
    async function meet(chat: ServedProgram, room: string, scheme = 'http') {
      const ada = await browser.open();
      const bob = await browser.open();
      await ada.goto(`${scheme}://127.0.0.1:${chat.port}/`);
      await enter(ada, 'Ada', room);
      await bob.goto(`${scheme}://127.0.0.1:${chat.port}/?room=${room}`);
      await enter(bob, 'Bob', room);
      await ada.waitForTexts('#members .name', ['Ada', 'Bob']);
      await bob.waitForTexts('#members .name', ['Ada', 'Bob']);
      return { ada, bob };
    }

    test('two windows chat', async () => {
      await using chat = await serveChat('--port', '0');
      const { ada, bob } = await meet(chat, 'lobby');
      await say(ada, 'Olá Bob, 你好 👋');
      await bob.waitForTexts(others, ['Olá Bob, 你好 👋']);
      await say(bob, 'Hello Ada');
      await ada.waitForTexts(others, ['Hello Ada']);
      await ada.waitForTexts(own, ['Olá Bob, 你好 👋']);
      assert.deepEqual(await bob.texts('#log .message:not(.own) .name'), ['Ada']);
      assert.deepEqual([...ada.errors, ...bob.errors], []);
    });

    test('a room change takes one window out of the hearing of the other', async () => {
      await using chat = await serveChat('--port', '0');
      const { ada, bob } = await meet(chat, 'lobby');
      await say(ada, 'before');
      await bob.waitForTexts(others, ['before']);

      await enter(bob, 'Bob', 'garden');
      await ada.waitForTexts('#members .name', ['Ada']);
      await bob.waitForTexts('#members .name', ['Bob']);
      assert.deepEqual(await bob.texts('#log .text'), []);
      await say(ada, 'in the lobby');
      await say(bob, 'in the garden');
      await ada.waitForTexts(own, ['before', 'in the lobby']);
      await bob.waitForTexts(own, ['in the garden']);

      // Had the one heard the other, it would have been before this.
      await enter(bob, 'Bob', 'lobby');
      await bob.waitForTexts('#log .text', ['before', 'in the lobby']);
      await ada.waitForTexts('#members .name', ['Ada', 'Bob']);
      assert.deepEqual(await ada.texts('#log .text'), ['before', 'in the lobby']);
      assert.deepEqual([...ada.errors, ...bob.errors], []);
    });

    test('a message of HTML stays text', async () => {
      await using chat = await serveChat('--port', '0');
      const { ada, bob } = await meet(chat, 'lobby');
      const html = `<img src=x onerror="globalThis.owned = true"><script>owned = true</script>`;
      await say(ada, html);
      await bob.waitForTexts(others, [html]);
      await ada.waitForTexts(own, [html]);
      await enter(bob, '<b>Bob</b>', 'lobby');
      await ada.waitForTexts('#members .name', ['<b>Bob</b>', 'Ada']);
      for (const window of [ada, bob]) {
        assert.equal(
          await window.evaluate(
            `document.querySelectorAll('#log :is(img, script), main b, #members b').length`,
          ),
          0,
        );
        assert.equal(await window.evaluate('typeof owned'), 'undefined');
        assert.deepEqual(window.errors, []);
      }
    });

    test('the server is restarted: what was typed meanwhile is delivered once', async () => {
      const first = await serveChat('--port', '0');
      const { port } = first;
      const { ada, bob } = await meet(first, 'lobby');
      await say(ada, 'before');
      await bob.waitForTexts(others, ['before']);

      assert.equal(await first.end(), 0);
      await waitForState(ada, false);
      await waitForState(bob, false);
      await say(ada, 'while it was away');
      await say(ada, 'and a second one');
      await ada.fill('#text', 'half a sent');
      await ada.waitForTexts('#log .pending .text', ['while it was away', 'and a second one']);

      await using second = await serveChat('--port', String(port));
      assert.equal(second.port, port);
      await waitForState(ada, true);
      await waitForState(bob, true);
      await bob.waitForTexts(others, ['before', 'while it was away', 'and a second one']);
      await ada.waitForTexts(own, ['before', 'while it was away', 'and a second one']);
      await ada.type('ence');
      await ada.press('Enter');
      await bob.waitFor(`document.querySelector('#log').textContent.includes('half a sentence')`);
      assert.deepEqual(await bob.texts(others), [
        'before',
        'while it was away',
        'and a second one',
        'half a sentence',
      ]);
      await ada.waitForTexts('#log .pending .text', []);
    });

    /** A room that acknowledges what is said in it after it met it in other ways: a close code, or silence. */
    async function serveRoom(said: string[], ways: readonly (number | 'silence')[] = []) {
      return servePage('superchat', (peer, { type, room, name, id = '', text }) => {
        if (type === 'join') {
          peer.send(JSON.stringify({ type: 'joined', room, name, members: [name], history: [] }));
        } else if (type === 'say') {
          const way = ways[said.length];
          said.push(id);
          if (typeof way === 'number') peer.close(way);
          if (way !== undefined) return;
          peer.send(JSON.stringify({ type: 'said', room, from: 'Ada', text, at: 1, id }));
        }
      });
    }

    test('however a connection ends, by any code or by silence, what was not acknowledged is sent over the next', async () => {
      const ways = [1000, 1001, 1008, 1012, 4000, 'silence'] as const;
      const said: string[] = [];
      await using server = await serveRoom(said, ways);
      const ada = await openHasty(browser, server);
      await enter(ada, 'Ada', 'lobby');
      await say(ada, 'at last');
      await ada.waitForTexts(own, ['at last']);
      assert.equal(said.length, ways.length + 1);
      assert.equal(new Set(said).size, 1);
      await waitForState(ada, true);
    });

    test('what is typed while the connection closes waits in one place only: it is sent once', async () => {
      const said: string[] = [];
      await using server = await serveRoom(said);
      const ada = await openHasty(browser, server);
      await enter(ada, 'Ada', 'lobby');
      // As while a close frame was answered and the server has not ended the connection yet.
      await ada.evaluate(`{
        globalThis.state = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'readyState');
        Object.defineProperty(WebSocket.prototype, 'readyState', { get: () => 2, configurable: true });
      }`);
      await say(ada, 'one');
      await ada.waitForTexts('#log .pending .text', ['one']);
      await ada.evaluate(`{ Object.defineProperty(WebSocket.prototype, 'readyState', state); }`);
      await ada.waitForTexts(own, ['one']);
      await say(ada, 'two');
      await ada.waitForTexts(own, ['one', 'two']);
      assert.equal(said.length, 2);
    });

    test('a server that has no acknowledgements is left at once, and asked again', async () => {
      const heard: unknown[] = [];
      await using server = await servePage('chat', (_peer, message) => void heard.push(message));
      const ada = await openHasty(browser, server);
      await ada.evaluate(`{
        const state = document.querySelector('#state');
        globalThis.states = [];
        const note = () => void states.push(state.dataset.state);
        new MutationObserver(note).observe(state, { attributeFilter: ['data-state'] });
      }`);
      await ada.fill('#name', 'Ada');
      await ada.press('Enter');
      await ada.waitFor('states.length >= 6');
      const states = await ada.evaluate('states.slice(0, 6).join()');
      assert.equal(states, 'connecting,waiting,connecting,waiting,connecting,waiting');
      assert.deepEqual(heard, []);
    });

    test('over wss: with a certificate made here', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'aperto-chat-'));
      try {
        const pair = await generate([{ name: 'commonName', value: 'localhost' }]);
        const certificate = join(folder, 'cert.pem');
        const key = join(folder, 'key.pem');
        await writeFile(certificate, pair.cert);
        await writeFile(key, pair.private);
        const tls = ['--tls-cert', certificate, '--tls-key', key];
        await using chat = await serveChat('--port', '0', ...tls);
        assert.match(chat.greeting, /https:/);
        const { ada, bob } = await meet(chat, 'lobby', 'https');
        await say(ada, 'in private');
        await bob.waitForTexts(others, ['in private']);
        assert.deepEqual([...ada.errors, ...bob.errors], []);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  });
}
