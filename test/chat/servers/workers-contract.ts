import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { connect } from '../../../dist/index.js';
import { ChatProcess } from '../chat-process.ts';
import { eventually } from '../page-client.ts';
import { type CommandLineEngine, ledger, people, writeAll } from './ledger.ts';

/** Workers behind one port go and come; a ledger says what of the written was said. */
export function workersContract(
  name: string,
  start: () => Promise<CommandLineEngine>,
  skip: string | false = false,
): void {
  suite(`workers over ${name}`, { skip }, () => {
    test('92, 93: three workers are replaced under load, one is killed, all end: nothing is lost, and closes are spread', async (t) => {
      await using engine = await start();
      const args = [...engine.args, '--port', '0', '--workers', '3', '--spread', '1'];
      const chat = ChatProcess.run(t, args);
      const url = await chat.url();
      const before = chat.workers();
      assert.equal(before.length, 3);
      const pages = people(t, url, ['A', 'B', 'C', 'D', 'E', 'F']);
      await Promise.all(pages.map((page) => page.hasSaid(0)));

      const replaced = await closesOf(t, url, 12);
      const writing = writeAll(pages, 60);
      await Promise.all(pages.map((page) => page.hasSaid(5)));
      chat.child.kill('SIGUSR2');
      const closes = await replaced.all;
      assert.ok(closes.every(({ code }) => code === 1012));
      const isReplaced = () => {
        const now = chat.workers();
        return now.length === 3 && now.every((pid) => !before.includes(pid));
      };
      await eventually(isReplaced, () => `${before} became ${chat.workers()}`);

      const [victim] = chat.workers();
      assert.ok(victim !== undefined);
      process.kill(victim, 'SIGKILL');
      await chat.complains(/^Worker \d+ has ended \(SIGKILL\); another one is started\.$/m);
      await writing;
      await Promise.all(pages.map((page) => page.hasSaid()));
      await ledger(engine, pages);

      const ending = await closesOf(t, url, 30);
      chat.child.kill('SIGTERM');
      const ended = await ending.all;
      assert.ok(ended.every(({ code }) => code === 1012));
      const times = ended.map(({ at }) => at).sort((a, b) => a - b);
      // Each worker had ten, of which the last was closed a second after the order.
      assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) > 500, times.join());
      assert.equal(await chat.ended, 0);
    });
  });
}

interface Closes {
  /** How and when each was closed, once all were. */
  readonly all: Promise<{ readonly code: number; readonly at: number }[]>;
}

/** Lets visitors in who do not come back. */
async function closesOf(t: TestContext, url: string, count: number): Promise<Closes> {
  const peers = await Promise.all(
    Array.from({ length: count }, () =>
      connect(`${url.replace(/^http/, 'ws')}chat`, { message() {} }),
    ),
  );
  t.after(() => {
    for (const peer of peers) peer.terminate();
  });
  const closed = peers.map(async (peer) => {
    const { code } = await peer.closed;
    return { code, at: performance.now() };
  });
  return { all: Promise.all(closed) };
}
