import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { generate } from 'selfsigned';
import type { Browser, BrowserWindow } from './browser-window.ts';
import { chromium } from './chromium.ts';
import { firefox } from './firefox.ts';
import { ServedProgram } from './served-program.ts';

const own = '#log .own:not(.pending) .text';
const others = '#log .message:not(.own) .text';

function serveChat(...args: string[]): Promise<ServedProgram> {
  return ServedProgram.start('apps/chat/dist/server/main.js', args);
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
