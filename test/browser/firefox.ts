import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProgram, skipWithout } from '../installed-program.ts';
import { BidiSession, field, textField } from './bidi-session.ts';
import {
  type Browser,
  type BrowserKind,
  BrowserWindow,
  type ConsoleEntry,
  type Key,
} from './browser-window.ts';

const program = findProgram('firefox-esr', 'APERTO_FIREFOX');
const startTimeoutMs = 60_000;
const endTimeoutMs = 5_000;

// A browser that is tested talks to the test's servers only.
const preferences = `
user_pref('app.normandy.enabled', false);
user_pref('app.update.disabledForTesting', true);
user_pref('browser.safebrowsing.update.enabled', false);
user_pref('browser.shell.checkDefaultBrowser', false);
user_pref('datareporting.policy.dataSubmissionEnabled', false);
user_pref('extensions.update.enabled', false);
user_pref('network.captive-portal-service.enabled', false);
user_pref('network.connectivity-service.enabled', false);
user_pref('network.proxy.type', 0);
user_pref('network.websocket.delay-failed-reconnects', false);
user_pref('services.settings.server', 'data:,');
user_pref('toolkit.telemetry.server', 'data:,');
`;

export const firefox: BrowserKind = {
  name: 'Firefox',
  skip: skipWithout('firefox-esr', program),
  launch,
};

/** Keys that are no characters (WebDriver, 17.4.2). */
const keyValues: Readonly<Record<Key, string>> = {
  Enter: '\uE007',
  Tab: '\uE004',
  Backspace: '\uE003',
};

async function launch(): Promise<Browser> {
  const home = await mkdtemp(join(tmpdir(), 'aperto-firefox-'));
  const browser = await start(home);
  try {
    const session = await BidiSession.connect(`${await browser.address}/session`);
    await session.call('session.new', {
      capabilities: { alwaysMatch: { acceptInsecureCerts: true } },
    });
    await session.call('session.subscribe', { events: ['log.entryAdded'] });
    const windows: string[] = [];
    return {
      async open() {
        const created = await session.call('browsingContext.create', { type: 'window' });
        const context = textField(created, 'context');
        windows.push(context);
        return driveWindow(session, context);
      },
      async closeWindows() {
        for (const context of windows.splice(0)) {
          await session.call('browsingContext.close', { context });
        }
      },
      async [Symbol.asyncDispose]() {
        session.call('browser.close', {}).catch(() => undefined);
        await end(browser.child);
        await session[Symbol.asyncDispose]();
        await remove(home);
      },
    };
  } catch (error) {
    await end(browser.child);
    await remove(home);
    throw error;
  }
}

async function start(home: string): Promise<{ child: ChildProcess; address: Promise<string> }> {
  assert.ok(program !== undefined);
  await writeFile(join(home, 'user.js'), preferences);
  const child = spawn(
    program,
    ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', home],
    {
      // A group of its own, so that its content processes can be ended with it.
      detached: true,
      env: { ...process.env, HOME: home, MOZ_CRASHREPORTER_DISABLE: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  endWithThisProcess(child, home);
  const address = new Promise<string>((resolve, reject) => {
    const said: string[] = [];
    const fail = (why: string): void => reject(new Error(`Firefox ${why}: ${said.join('\n')}`));
    const timer = setTimeout(fail, startTimeoutMs, 'did not start in time');
    child.on('error', reject);
    child.on('exit', () => {
      clearTimeout(timer);
      fail('ended');
    });
    assert.ok(child.stderr !== null);
    createInterface(child.stderr).on('line', (line) => {
      said.push(line);
      const found = /^WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    });
  });
  return { child, address };
}

/** A test process that is ended, by a time limit or by hand, leaves no browser behind. */
function endWithThisProcess(child: ChildProcess, home: string): void {
  const onExit = (): void => {
    killGroup(child);
    rmSync(home, { recursive: true, force: true, maxRetries: 10 });
  };
  const onSignal = (): void => process.exit(1);
  process.on('exit', onExit);
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  child.on('exit', () => {
    process.off('exit', onExit);
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const gone = once(child, 'exit');
    await Promise.race([gone, sleep(endTimeoutMs, undefined, { ref: false })]);
  }
  const gone = child.exitCode === null && child.signalCode === null && once(child, 'exit');
  killGroup(child);
  await gone;
}

/** Its last processes may still write while they end. */
async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

function driveWindow(session: BidiSession, context: string): BrowserWindow {
  const console: ConsoleEntry[] = [];
  session.onEvent((method, params) => {
    if (method !== 'log.entryAdded') return;
    if (field(field(params, 'source'), 'context') !== context) return;
    console.push({ level: String(field(params, 'level')), text: String(field(params, 'text')) });
  });
  const keys = async (values: readonly string[]): Promise<void> => {
    const actions = values.flatMap((value) => [
      { type: 'keyDown', value },
      { type: 'keyUp', value },
    ]);
    await session.call('input.performActions', {
      context,
      actions: [{ type: 'key', id: 'keyboard', actions }],
    });
  };
  return new BrowserWindow({
    console,
    async goto(url) {
      await session.call('browsingContext.navigate', { context, url, wait: 'complete' });
    },
    evaluate: (expression) => evaluate(session, context, expression),
    type: (text) => keys([...text]),
    press: (key) => keys([keyValues[key]]),
  });
}

/** Values cross as JSON: simpler than the protocol's own form of them, and all that tests need. */
async function evaluate(session: BidiSession, context: string, source: string): Promise<unknown> {
  const body = source.startsWith('{') ? source : `{ return ${source}; }`;
  const answer = await session.call('script.evaluate', {
    expression: `(async () => JSON.stringify(await (async () => ${body})()))()`,
    target: { context },
    awaitPromise: true,
    resultOwnership: 'none',
  });
  if (field(answer, 'type') === 'exception') {
    throw new Error(textField(field(answer, 'exceptionDetails'), 'text'));
  }
  const json = field(field(answer, 'result'), 'value');
  return typeof json === 'string' ? JSON.parse(json) : undefined;
}
