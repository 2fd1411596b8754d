import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { Ledger, type Listener, until } from './ledger.ts';
import { LedgerNode, settle, underLoad } from './ledger-node.ts';
import type { EngineKind, EngineOptions, TopicEngine } from './topic-engines.ts';
import { TopicsProcess } from './topics-process.ts';

const topics = ['news', 'sport'];
const NOTICE_MS = 1_500;
const SPREAD_MS = 300;

async function begin(
  t: TestContext,
  kind: EngineKind,
  options: EngineOptions = {},
): Promise<TopicEngine> {
  const engine = await kind.start(options);
  t.after(() => engine[Symbol.asyncDispose]());
  return engine;
}

/** What must be so when processes end, by a ledger of all messages. */
export function processesContract(kind: EngineKind): void {
  suite(`processes over ${kind.name}`, { skip: kind.skip, concurrency: 1 }, () => {
    test('fault 93: servers are killed under load: the others go on, and have all that was taken', async (t) => {
      const engine = await begin(t, kind);
      const ledger = new Ledger(topics);
      const nodes = [
        await LedgerNode.start(t, 'B', ledger, kind, engine.port),
        await LedgerNode.start(t, 'C', ledger, kind, engine.port),
      ];
      await underLoad(ledger, nodes, async () => {
        // Each begins to count anew, as do its envelopes.
        for (const name of ['A1', 'A2']) {
          const process = await TopicsProcess.start(t, name, kind, engine.port, topics);
          const own = await ledger.listen(t, name, process.url);
          process.order('publish');
          await ledger.hearsMore([name, 'B', 'C'], 50);
          await process.kill();
          await until('gone', () => own.closedWith !== undefined);
          await until('all', () =>
            ledger.present.every((listener) => listener.last('news', name) >= process.taken),
          );
          await ledger.hearsMore(['B', 'C'], 50);
          assert.ok(process.taken >= 50);
          assert.deepEqual(process.errors, []);
          // What it had handed over and not heard of may have been taken: then all have it, or else nobody.
          for (const topic of topics) {
            const lasts = ledger.present.map((listener) => listener.last(topic, name));
            ledger.enter(topic, name, Math.max(...lasts));
          }
          await ledger.isLevel([name]);
        }
        const last = await TopicsProcess.start(t, 'A3', kind, engine.port, topics);
        await ledger.listen(t, 'A3', last.url);
        last.order('publish');
        await ledger.hearsMore(['A3', 'B', 'C'], 50);
        last.order('stop');
        await until('stopped', () => last.published !== undefined);
        for (const topic of topics) ledger.enter(topic, 'A3', last.published?.[topic] ?? 0);
        await ledger.isLevel(['A3']);
      });
      const { missing } = await settle(ledger, nodes);
      assert.equal(missing, 0);
      for (const node of nodes) {
        assert.deepEqual(node.gaps(), [0, 0]);
        assert.deepEqual(
          node.statuses.filter((status) => status !== 'ok'),
          [],
        );
      }
    });

    test('fault 92: SIGTERM: not ready, then 1012 one after another, then 0; what was published last arrives', async (t) => {
      const engine = await begin(t, kind);
      const ledger = new Ledger(topics);
      const node = await LedgerNode.start(t, 'B', ledger, kind, engine.port);
      const process = await TopicsProcess.start(t, 'A', kind, engine.port, topics);
      const clients: Listener[] = [];
      for (let i = 0; i < 4; i++) clients.push(await ledger.listen(t, 'A', process.url));
      const ready = new URL('/ready', process.url.replace(/^ws/, 'http'));
      assert.equal((await fetch(ready)).status, 200);
      process.order('publish');
      await ledger.hearsMore(['A'], 50);
      const begun = performance.now();
      process.terminate();
      await until('not ready', async () => {
        const { status } = await fetch(ready);
        assert.ok(clients.every(({ closedWith }) => closedWith === undefined));
        return status === 503;
      });
      assert.equal(await process.ended(), 0);
      await until('closed', () => clients.every(({ closedWith }) => closedWith !== undefined));
      assert.deepEqual(
        clients.map(({ closedWith }) => closedWith),
        [1012, 1012, 1012, 1012],
      );
      const times = clients.map(({ closedAt }) => closedAt - begun).sort((a, b) => a - b);
      for (const [at, time] of times.entries()) {
        const earliest = NOTICE_MS + ((at + 1) * SPREAD_MS) / clients.length;
        assert.ok(time >= earliest - 15, `${at} after ${time} ms`);
      }
      assert.deepEqual(process.errors, []);
      for (const topic of topics) ledger.enter(topic, 'A', process.published?.[topic] ?? 0);
      // One was published as each of its clients was gone.
      assert.equal(ledger.count('news', 'A'), ledger.count('sport', 'A') + clients.length);
      await ledger.isLevel(['A']);
      const { missing } = await settle(ledger, [node]);
      assert.equal(missing, 0);
      assert.deepEqual(node.gaps(), [0, 0]);
    });

    test('fault 93: a server and the engine are killed: what was appended is read, in one order, once', async (t) => {
      const engine = await begin(t, kind, { keeps: true });
      const start = (name: string): Promise<TopicsProcess> =>
        TopicsProcess.start(t, name, kind, engine.port, topics);
      const [a, b] = await Promise.all([start('A'), start('B')]);
      const more = (process: TopicsProcess): Promise<void> => {
        const before = process.appended.length;
        return until('appended', () => process.appended.length > before + 50);
      };
      for (const process of [a, b]) process.order('append');
      await Promise.all([more(a), more(b)]);
      await a.kill();
      await more(b);
      await engine.kill();
      await engine.restart();
      await more(b);
      await b.kill();
      const reader = await kind.client(engine.port);
      t.after(() => reader.end());
      const { entries, complete } = await (await reader.history()).read('news');
      assert.equal(complete, true);
      const texts = entries.map(({ data }) => String(data));
      assert.equal(new Set(texts).size, texts.length);
      for (const { name, appended } of [a, b]) {
        const kept = entries.filter(({ data }) => String(data).startsWith(`news|${name}|`));
        // One more may have been appended that nobody was told of any more.
        assert.ok(kept.length - appended.length <= 1);
        assert.deepEqual(
          kept.slice(0, appended.length).map(({ data, position }) => ({ text: data, position })),
          appended,
        );
      }
    });
  });
}
