import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { connect } from '../../../dist/index.js';
import { ChatProcess } from '../chat-process.ts';
import { eventually } from '../page-client.ts';
import { type CommandLineEngine, ledger, people, room, writeAll } from './ledger.ts';

/** Processes, the engine and visitors go and come back; a ledger says what of the written was said, and where. */
export function faultsContract(
  name: string,
  start: () => Promise<CommandLineEngine>,
  skip: string | false = false,
): void {
  suite(`processes over ${name}`, { skip, concurrency: 1 }, () => {
    async function begin(t: TestContext): Promise<CommandLineEngine> {
      const engine = await start();
      t.after(() => engine[Symbol.asyncDispose]());
      return engine;
    }

    test('93: a server is killed under load: what was acknowledged is heard and kept, in one order, and once', async (t) => {
      const engine = await begin(t);
      const args = [...engine.args, '--port'];
      const one = ChatProcess.run(t, [...args, '0']);
      const other = ChatProcess.run(t, [...args, '0']);
      const [url, otherUrl] = await Promise.all([one.url(), other.url()]);
      const listener = await listen(t, otherUrl);
      const pages = [...people(t, url, ['A', 'B', 'C']), ...people(t, otherUrl, ['D', 'E', 'F'])];
      const writing = writeAll(pages, 40);
      await Promise.all(pages.map((page) => page.hasSaid(10)));
      one.child.kill('SIGKILL');
      await one.ended;
      const saidBefore = pages.flatMap((page) => page.acknowledged());
      await writing;
      const again = ChatProcess.run(t, [...args, new URL(url).port]);
      await again.url();
      await Promise.all(pages.map((page) => page.hasSaid()));

      const kept = await ledger(engine, pages);
      assert.ok(saidBefore.every((id) => kept.includes(id)));
      await eventually(
        () => listener.length >= kept.length,
        () => `${listener.length} of ${kept.length} were heard`,
      );
      assert.deepEqual(listener, kept);
    });

    test('86: the engine is killed and comes back: what was written meanwhile arrives, and once', async (t) => {
      const engine = await begin(t);
      const chats = [0, 1].map(() => ChatProcess.run(t, [...engine.args, '--port', '0']));
      const urls = await Promise.all(chats.map((chat) => chat.url()));
      const listener = await listen(t, urls[1] ?? '');
      const pages = [
        ...people(t, urls[0] ?? '', ['A', 'B', 'C']),
        ...people(t, urls[1] ?? '', ['D', 'E', 'F']),
      ];
      const writing = writeAll(pages, 30);
      await Promise.all(pages.map((page) => page.hasSaid(8)));
      await engine.kill();
      await writing;
      for (const chat of chats) await chat.complains(/cannot be reached, and is tried again/);
      for (const url of urls) {
        const health = await fetch(`${url}health`);
        assert.equal(health.status, 200);
        assert.match(await health.text(), /"status":"degraded","ready":true/);
      }
      await engine.restart();
      await Promise.all(pages.map((page) => page.hasSaid()));
      for (const chat of chats) await chat.complains(/is reached again/);

      const kept = await ledger(engine, pages);
      await eventually(
        () => listener.length >= kept.length,
        () => `${listener.length} of ${kept.length} were heard`,
      );
      assert.deepEqual(listener, kept);
    });

    test('an engine that is away at first is waited for, and said to be', async (t) => {
      const engine = await begin(t);
      await engine.kill();
      const chat = ChatProcess.run(t, [...engine.args, '--port', '0']);
      const url = await chat.url();
      await chat.complains(/^\S+ at 127\.0\.0\.1:\d+ cannot be reached, and is tried again: /);
      const [page] = people(t, url, ['Ana']);
      assert.ok(page !== undefined);
      page.write('as soon as you are there');
      await engine.restart();
      await page.hasSaid();
      await chat.complains(/is reached again\.\n/);
      chat.child.kill('SIGTERM');
      assert.equal(await chat.ended, 0);
    });
  });
}

/** The ids that a visitor of a server that is never ended hears, in order. */
async function listen(t: TestContext, url: string): Promise<string[]> {
  const heard: string[] = [];
  let joined = (): void => {};
  const hasJoined = new Promise<void>((resolve) => {
    joined = resolve;
  });
  const peer = await connect(`${url.replace(/^http/, 'ws')}chat`, {
    protocols: ['superchat'],
    message(_peer, data) {
      const { type, id } = JSON.parse(String(data));
      if (type === 'said') heard.push(id);
      assert.notEqual(type, 'history', 'messages were missing');
      if (type === 'joined') joined();
    },
  });
  t.after(() => peer.terminate());
  peer.send(JSON.stringify({ type: 'join', room, name: 'Listener' }));
  await hasJoined;
  return heard;
}
