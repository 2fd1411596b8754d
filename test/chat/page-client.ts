import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '../../apps/chat/dist/page/connection.js';
import { Outbox } from '../../apps/chat/dist/page/outbox.js';
import type { Store } from '../../apps/chat/dist/page/storage.js';

/** The page without what is seen of it: its connection and its outbox. It ends with the test. */
export class PageClient {
  readonly #outbox: Outbox;
  readonly #connection: Connection;
  readonly #room: string;
  /** What was written, by id, whether it was said or not. */
  readonly written = new Map<string, string>();
  /** What was heard, by id, as often as it was told live. */
  readonly heard = new Map<string, number>();
  /** What will never be said. It should stay empty. */
  readonly refused: string[] = [];

  constructor(t: TestContext, url: string, room: string, name: string) {
    this.#room = room;
    this.#outbox = new Outbox(memoryStore());
    this.#connection = new Connection(`${url.replace(/^http/, 'ws')}chat`, this.#outbox, {
      state() {},
      joined: ({ history }) => {
        // In the history: so it was said, though the acknowledgement was lost. As in the page's main module.
        for (const { id } of history) this.#outbox.settle(id);
      },
      said: ({ id }) => this.heard.set(id, (this.heard.get(id) ?? 0) + 1),
      presence() {},
      missed: ({ history }) => {
        for (const { id } of history) this.#outbox.settle(id);
      },
      notSaid: ({ text }, why) => this.refused.push(`${text}: ${why}`),
      notJoined: ({ message }) => this.refused.push(message),
    });
    this.#connection.enter(room, name);
    t.after(() => this.#connection.end());
  }

  write(text: string): void {
    const { id } = this.#outbox.add(this.#room, text, Date.now());
    this.written.set(id, text);
    this.#connection.flush();
  }

  /** Ids of what was written and is known to have been said. */
  acknowledged(): string[] {
    const pending = new Set(this.#outbox.of(this.#room).map(({ id }) => id));
    return [...this.written.keys()].filter((id) => !pending.has(id));
  }

  /** Resolves once so much of what was written has been said. */
  async hasSaid(count: number = this.written.size): Promise<void> {
    await eventually(
      () => this.acknowledged().length >= count,
      () => `only ${this.acknowledged().length} of ${count} were said`,
    );
  }
}

const patienceMs = 60_000;

/** Resolves once something is so; rejects where it is not for a minute. */
export async function eventually(isSo: () => boolean, otherwise: () => string): Promise<void> {
  const until = performance.now() + patienceMs;
  while (!isSo()) {
    if (performance.now() > until) throw new Error(otherwise());
    await sleep(10);
  }
}

function memoryStore(): Store {
  const texts = new Map<string, string>();
  return {
    read: (key) => texts.get(key),
    write(key, text) {
      if (text === undefined) texts.delete(key);
      else texts.set(key, text);
    },
  };
}
