import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BrowserContext, chromium as playwright } from 'playwright-core';
import { findProgram, skipWithout } from '../installed-program.ts';
import {
  type Browser,
  type BrowserKind,
  BrowserWindow,
  type ConsoleEntry,
} from './browser-window.ts';

const program = findProgram('chromium', 'APERTO_CHROMIUM');

// A browser that is tested talks to the test's servers only.
const quiet = [
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

const skip = skipWithout('chromium', program);

export const chromium: BrowserKind = {
  name: 'Chromium',
  skip,
  launch: async () => {
    const browser = await playwright.launch(launchOptions());
    const context = await browser.newContext({ ignoreHTTPSErrors: true });
    return driven(context, () => browser.close());
  },
};

/**
 * One that sends cookies to other sites, as browsers did by default for most of their time and as people still set them:
 * today's keep such cookies back in private windows, which is what the other one opens, or always.
 */
export const chromiumWithThirdPartyCookies: BrowserKind = {
  name: 'Chromium',
  skip,
  launch: async () => {
    const profile = await mkdtemp(join(tmpdir(), 'aperto-chromium-'));
    const preferences = JSON.stringify({ profile: { cookie_controls_mode: 0 } });
    await mkdir(join(profile, 'Default'));
    await writeFile(join(profile, 'Default', 'Preferences'), preferences);
    const options = { ...launchOptions(), ignoreHTTPSErrors: true };
    const context = await playwright.launchPersistentContext(profile, options);
    return driven(context, async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    });
  },
};

function launchOptions() {
  assert.ok(program !== undefined);
  return {
    executablePath: program,
    headless: true,
    // Its sandbox does not run as root; no page but the tests' own is ever loaded.
    args: ['--no-sandbox', '--disable-gpu', ...quiet],
  };
}

function driven(context: BrowserContext, close: () => Promise<void>): Browser {
  return {
    async open() {
      const page = await context.newPage();
      const console: ConsoleEntry[] = [];
      page.on('console', (message) => {
        console.push({ level: message.type(), text: message.text() });
      });
      page.on('pageerror', (error) => console.push({ level: 'error', text: error.message }));
      return new BrowserWindow({
        console,
        async goto(url) {
          await page.goto(url);
        },
        evaluate: (expression) => page.evaluate(asExpression(expression)),
        type: (text) => page.keyboard.type(text),
        press: (key) => page.keyboard.press(key),
      });
    },
    async closeWindows() {
      for (const page of context.pages()) await page.close();
    },
    async [Symbol.asyncDispose]() {
      await close();
    },
  };
}

/** A block is evaluated as a statement, without a value. */
function asExpression(source: string): string {
  return source.startsWith('{') ? `(() => ${source})()` : source;
}
