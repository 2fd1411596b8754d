import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { watchHeap } from './heap.ts';
import { Ledger, until } from './ledger.ts';
import { LedgerNode, type LedgerNodeOptions, settle, underLoad } from './ledger-node.ts';
import type { EngineKind, EngineOptions, TopicEngine } from './topic-engines.ts';

const KILLS = 3;
const MEGABYTE = 1024 * 1024;

interface Service {
  readonly engine: TopicEngine;
  readonly ledger: Ledger;
  readonly nodes: readonly LedgerNode[];
  /** The names of the nodes. */
  readonly names: readonly string[];
}

async function begin(
  t: TestContext,
  kind: EngineKind,
  names: readonly string[],
  options: LedgerNodeOptions & EngineOptions & { readonly topics?: readonly string[] } = {},
): Promise<Service> {
  const engine = await kind.start(options);
  t.after(() => engine[Symbol.asyncDispose]());
  const ledger = new Ledger(options.topics ?? ['news', 'sport/ä b']);
  const nodes: LedgerNode[] = [];
  for (const name of names) {
    nodes.push(await LedgerNode.start(t, name, ledger, kind, engine.port, options));
  }
  return { engine, ledger, nodes, names };
}

/** Something is wrong between a node and its engine, until it is mended: the node is degraded meanwhile, and then not. */
async function outage(
  service: Service,
  concerned: readonly LedgerNode[],
  fails: () => void | Promise<void>,
  mends: () => void | Promise<void>,
): Promise<void> {
  const { ledger, nodes, names } = service;
  const before = concerned.map((node) => node.gaps());
  await fails();
  for (const node of concerned) await node.isDegraded();
  // Those of one server go on hearing each other.
  for (const { name, listeners } of nodes) await ledger.hearsMore([name], 20, listeners);
  await mends();
  for (const [at, node] of concerned.entries()) {
    await node.isSubscribed();
    await node.tellsGaps(before[at] ?? []);
  }
  await ledger.hearsMore(names);
}

/** What must be so of topics over an engine when the way there fails, by a ledger of all messages. */
export function topicsContract(kind: EngineKind): void {
  suite(`topics over ${kind.name}`, { skip: kind.skip, concurrency: 1 }, () => {
    test('faults 88, 89: without a fault nothing is missing, twice or out of order', async (t) => {
      const { ledger, nodes, names } = await begin(t, kind, ['A', 'B', 'C']);
      await underLoad(ledger, nodes, () => ledger.hearsMore(names, 200));
      const { delivered, missing } = await settle(ledger, nodes);
      assert.equal(missing, 0);
      assert.ok(delivered >= 200 * 2 * names.length * 4);
      for (const node of nodes) assert.deepEqual(node.gaps(), [0, 0]);
    });

    test('fault 86: the engine is killed and restarted under load, again and again', async (t) => {
      const service = await begin(t, kind, ['A', 'B']);
      const { engine, ledger, nodes, names } = service;
      await underLoad(ledger, nodes, async () => {
        await ledger.hearsMore(names);
        for (let kill = 1; kill <= KILLS; kill++) {
          await outage(
            service,
            nodes,
            () => engine.kill(),
            () => engine.restart(),
          );
        }
      });
      const { delivered, missing } = await settle(ledger, nodes);
      assert.ok(delivered > 0 && missing > 0);
    });

    test('fault 86: a connection is cut under load', async (t) => {
      const service = await begin(t, kind, ['A', 'B']);
      const { engine, ledger, nodes, names } = service;
      await underLoad(ledger, nodes, async () => {
        await ledger.hearsMore(names);
        for (const concerned of [...nodes.map((node) => [node]), nodes]) {
          const before = concerned.map((node) => ({
            gaps: node.gaps(),
            told: node.statuses.length,
          }));
          const isAll = concerned === nodes;
          if (isAll && engine.cutSubscribers !== undefined) await engine.cutSubscribers();
          else {
            for (const { relay } of concerned) {
              relay.cut();
              relay.heal();
            }
          }
          for (const [at, node] of concerned.entries()) {
            const { gaps = [], told = 0 } = before[at] ?? {};
            await until('degraded', () => node.statuses.slice(told).includes('degraded'));
            await node.tellsGaps(gaps);
            await node.isSubscribed();
          }
          await ledger.hearsMore(names);
        }
      });
      await settle(ledger, nodes);
      // What was cut at one was nothing to the other.
      for (const { statuses } of nodes) {
        assert.deepEqual(statuses.slice(-4), ['degraded', 'ok', 'degraded', 'ok']);
        assert.ok(statuses.length <= 5);
      }
    });

    test('fault 86: dropped by the engine as a slow consumer', async (t) => {
      const options = { maxBehind: MEGABYTE, topics: ['news'] };
      const service = await begin(t, kind, ['A', 'B', 'C'], options);
      const { ledger, nodes, names } = service;
      const [a, b, c] = nodes;
      assert.ok(a !== undefined && b !== undefined && c !== undefined);
      b.relay.holdBack();
      // More than fits into buffers on the way. Who is not held back takes it before there is more.
      for (let n = 0; n < 400; n++) {
        a.publish('news', 65_000);
        if (n % 4 === 3) await ledger.isLevel([a.name], c.listeners);
      }
      b.relay.heal();
      await until('degraded', () => b.statuses.includes('degraded'));
      await b.isSubscribed();
      await b.tellsGaps([0]);
      await underLoad(ledger, nodes, () => ledger.hearsMore(names));
      const { missing } = await settle(ledger, nodes);
      assert.ok(missing > 0);
      assert.deepEqual([...a.gaps(), ...c.gaps()], [0, 0]);
      assert.ok(!a.statuses.includes('degraded') && !c.statuses.includes('degraded'));
    });

    test('fault 86: the engine is slow: what is published then is refused, counted, and not kept', async (t) => {
      const service = await begin(t, kind, ['A', 'B'], {
        timeoutMs: 60_000,
        maxUnpublishedBytes: MEGABYTE,
      });
      const { engine, ledger, nodes, names } = service;
      const [a] = nodes;
      assert.ok(a !== undefined);
      await underLoad(ledger, nodes, () => ledger.hearsMore(names));
      await engine.pause();
      const checkHeap = await watchHeap();
      for (let n = 0; n < 4_000; n++) {
        a.publish('news', 10_000);
        // Its own clients take it meanwhile.
        if (n % 50 === 49) await ledger.isLevel([a.name], a.listeners);
      }
      // 40 MB were published.
      await checkHeap(10);
      const refused = ledger.refused(a.name);
      assert.ok(refused > 3_500, `${refused} were refused`);
      assert.equal(a.server.health.unpublished, refused);
      assert.equal(a.server.health.status, 'ok');
      engine.resume();
      await underLoad(ledger, nodes, () => ledger.hearsMore(names));
      const { missing } = await settle(ledger, nodes);
      const readers = 2;
      assert.equal(missing, refused * readers);
      for (const { server, statuses } of nodes) {
        assert.equal(server.health.status, 'ok');
        assert.ok(!statuses.includes('degraded'));
      }
    });

    for (const way of ['swallows everything', 'is cut'] as const) {
      test(`fault 87: a partition, where the network ${way}`, async (t) => {
        const service = await begin(t, kind, ['A', 'B'], { timeoutMs: 400 });
        const { ledger, nodes, names } = service;
        const parts = [nodes.slice(0, 1), nodes.slice(1), nodes];
        await underLoad(ledger, nodes, async () => {
          await ledger.hearsMore(names);
          for (const part of parts) {
            await outage(
              service,
              part,
              () =>
                part.forEach(
                  ({ relay }) => void (way === 'is cut' ? relay.cut() : relay.swallow()),
                ),
              () => part.forEach(({ relay }) => void relay.heal()),
            );
          }
        });
        const { delivered, missing } = await settle(ledger, nodes);
        assert.ok(delivered > 0 && missing > 0);
      });
    }
  });
}
