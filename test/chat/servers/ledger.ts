import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenEngine } from '../../../apps/chat/dist/server/engine.js';
import { defaultChatLimits } from '../../../apps/chat/dist/server/limits.js';
import { PageClient } from '../page-client.ts';

/** An engine that processes of the chat are given on the command line. */
export interface CommandLineEngine extends AsyncDisposable {
  readonly args: readonly string[];
  readonly open: OpenEngine;
  kill(): Promise<void>;
  /** With everything that it had acknowledged. */
  restart(): Promise<void>;
}

/** Where everybody of a test is. */
export const room = 'faults';

export function people(t: TestContext, url: string, names: readonly string[]): PageClient[] {
  return names.map((name) => new PageClient(t, url, room, name));
}

/** Has each write so many messages, a little at a time. */
export async function writeAll(pages: readonly PageClient[], count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    for (const page of pages) page.write(`${n}`);
    await sleep(10);
  }
}

/** The ids of everything that is kept: all that was acknowledged, and nothing twice. */
export async function ledger(
  engine: CommandLineEngine,
  pages: readonly PageClient[],
): Promise<string[]> {
  const limits = defaultChatLimits;
  const opened = await engine.open({ limits, gone() {} });
  try {
    const { entries } = await opened.history.read(`chat:${room}`);
    const kept = entries.map(({ data }) => String(JSON.parse(String(data)).id));
    assert.equal(new Set(kept).size, kept.length, 'something was said twice');
    const written = pages.flatMap((page) => [...page.written.keys()]);
    assert.deepEqual([...kept].sort(), written.sort());
    // What each wrote is in the order of writing.
    for (const page of pages) {
      assert.deepEqual(
        kept.filter((id) => page.written.has(id)),
        [...page.written.keys()],
      );
      assert.deepEqual(page.refused, []);
      for (const [id, times] of page.heard) assert.equal(times, 1, `${id} was told twice`);
    }
    return kept;
  } finally {
    await opened.presence.close();
    await opened.close();
  }
}
