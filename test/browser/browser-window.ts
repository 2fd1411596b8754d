import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

/** A browser that tests drive. Its windows share what one person's windows share. */
export interface Browser extends AsyncDisposable {
  open(): Promise<BrowserWindow>;
  closeWindows(): Promise<void>;
}

export interface BrowserKind {
  readonly name: string;
  /** Why its tests cannot run here; false where they can. */
  readonly skip: string | false;
  launch(): Promise<Browser>;
}

/** What a browser's driver can do; everything else is made of it. */
export interface WindowDriver {
  goto(url: string): Promise<void>;
  /** The value of an expression in the page, as JSON; a promise is awaited. */
  evaluate(expression: string): Promise<unknown>;
  /** Real key presses into what has the focus. */
  type(text: string): Promise<void>;
  press(key: Key): Promise<void>;
  /** What the page wrote to its console or threw, and what the browser complained of. */
  readonly console: readonly ConsoleEntry[];
}

export type Key = 'Enter' | 'Tab' | 'Backspace';

export interface ConsoleEntry {
  readonly level: string;
  readonly text: string;
}

/** One window. Conditions are waited for, never slept for. */
export class BrowserWindow {
  readonly #driver: WindowDriver;

  constructor(driver: WindowDriver) {
    this.#driver = driver;
  }

  get errors(): readonly string[] {
    return this.#driver.console.filter(({ level }) => level === 'error').map(({ text }) => text);
  }

  goto(url: string): Promise<void> {
    return this.#driver.goto(url);
  }

  evaluate(expression: string): Promise<unknown> {
    return this.#driver.evaluate(expression);
  }

  press(key: Key): Promise<void> {
    return this.#driver.press(key);
  }

  /** Types into what has the focus. */
  type(text: string): Promise<void> {
    return this.#driver.type(text);
  }

  /** Replaces what stands in a field, by keys. */
  async fill(selector: string, text: string): Promise<void> {
    await this.evaluate(`{ const field = ${find(selector)}; field.focus(); field.select(); }`);
    await this.press('Backspace');
    await this.type(text);
    assert.equal(await this.evaluate(`${find(selector)}.value`), text);
  }

  async texts(selector: string): Promise<readonly string[]> {
    const found = await this.evaluate(
      `[...document.querySelectorAll(${JSON.stringify(selector)})].map((element) => element.textContent)`,
    );
    assert.ok(Array.isArray(found));
    return found.map(String);
  }

  /** Waits until an expression in the page is true. */
  async waitFor(expression: string, timeoutMs = 20_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while ((await this.evaluate(`Boolean(${expression})`)) !== true) {
      if (Date.now() > deadline) {
        const body = await this.evaluate('document.body.innerText');
        const log = this.#driver.console.map(({ level, text }) => `${level}: ${text}`);
        assert.fail(`waited for ${expression}\non the page: ${body}\nconsole: ${log.join('\n')}`);
      }
      await sleep(20);
    }
  }

  /** Waits until the elements that a selector finds have these texts, in any order. */
  async waitForTexts(selector: string, texts: readonly string[]): Promise<void> {
    const wanted = JSON.stringify([...texts].sort());
    await this.waitFor(
      `JSON.stringify([...document.querySelectorAll(${JSON.stringify(selector)})]` +
        `.map((element) => element.textContent).sort()) === ${JSON.stringify(wanted)}`,
    );
  }
}

function find(selector: string): string {
  return `document.querySelector(${JSON.stringify(selector)})`;
}
