import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApertoError, type Server, type ServerHealth, serve } from '../../dist/index.js';
import { type Balance, gapText, type Ledger, type Listener, READY, until } from './ledger.ts';
import { within } from './raw-socket.ts';
import { TcpRelay } from './tcp-relay.ts';
import type { EngineKind } from './topic-engines.ts';

const LOAD_MS = 2;
const LISTENERS = 2;

export interface LedgerNodeOptions {
  readonly timeoutMs?: number;
  readonly maxUnpublishedBytes?: number;
}

/** A server in this process, with clients, whose way to the engine is a relay of its own. */
export class LedgerNode {
  readonly name: string;
  readonly server: Server;
  readonly relay: TcpRelay;
  /** What its health was, each time that it changed. */
  readonly statuses: ServerHealth['status'][];
  readonly #errors: readonly unknown[];
  readonly #ledger: Ledger;

  private constructor(
    name: string,
    ledger: Ledger,
    server: Server,
    relay: TcpRelay,
    told: { statuses: ServerHealth['status'][]; errors: unknown[] },
  ) {
    this.name = name;
    this.#ledger = ledger;
    this.server = server;
    this.relay = relay;
    this.statuses = told.statuses;
    this.#errors = told.errors;
  }

  static async start(
    t: TestContext,
    name: string,
    ledger: Ledger,
    kind: EngineKind,
    enginePort: number,
    options: LedgerNodeOptions = {},
  ): Promise<LedgerNode> {
    const relay = await TcpRelay.start(enginePort);
    t.after(() => relay[Symbol.asyncDispose]());
    const { broker, end } = await kind.client(relay.port, options.timeoutMs);
    t.after(end);
    const { maxUnpublishedBytes = 16 * 1024 * 1024 } = options;
    const statuses: ServerHealth['status'][] = [];
    const errors: unknown[] = [];
    const server: Server = await serve({
      broker,
      maxUnpublishedBytes,
      onHealth: ({ status }) => statuses.push(status),
      onError: (error) => errors.push(error),
      routes: {
        '/': {
          async open(peer) {
            for (const topic of ledger.topics) peer.subscribe(topic);
            await Promise.all(ledger.topics.map((each) => server.subscribed(each)));
            peer.send(READY);
          },
          gap: (peer, topic) => peer.send(gapText(topic)),
        },
      },
    });
    t.after(() => server.close({ timeoutMs: 0 }));
    const node = new LedgerNode(name, ledger, server, relay, { statuses, errors });
    for (let i = 0; i < LISTENERS; i++) await ledger.listen(t, name, server.url);
    await node.isSubscribed();
    return node;
  }

  get listeners(): readonly Listener[] {
    return this.#ledger.present.filter(({ at }) => at === this.name);
  }

  publish(topic: string, size?: number): void {
    this.#ledger.publish(topic, this.name, (text) => this.server.publish(topic, text), size);
  }

  async isDegraded(): Promise<void> {
    await until(`${this.name} degraded`, () => this.server.health.status === 'degraded');
  }

  /** Resolves once it is ok, with all its topics. */
  async isSubscribed(): Promise<void> {
    await until(`${this.name} subscribed`, async () => {
      if (this.server.health.status !== 'ok') return false;
      const topics = this.#ledger.topics.map((topic) => this.server.subscribed(topic));
      return (await within('subscribed to settle', Promise.all(topics))).every(Boolean);
    });
  }

  /** Resolves once each client of it was told more gaps of each topic than these. */
  async tellsGaps(more: readonly number[]): Promise<void> {
    await until(`${this.name} told of a gap`, () =>
      this.gaps().every((gaps, at) => gaps > (more[at] ?? 0)),
    );
  }

  /** Gaps of each topic that its clients have been told. */
  gaps(): number[] {
    return this.#ledger.topics.map((topic) =>
      Math.min(...this.listeners.map((listener) => listener.gaps(topic))),
    );
  }

  /** That its health counts what was told, and nothing else has gone wrong. */
  checkCounts(): void {
    const { unpublished, gaps } = this.server.health;
    let failed = 0;
    for (const error of this.#errors) {
      assert.ok(error instanceof ApertoError, `${this.name}: ${error}`);
      if (error.code === 'PUBLISH_FAILED') {
        failed += Number(/(\d+) messages: /.exec(error.message)?.[1]);
      } else assert.equal(error.code, 'ENGINE_AWAY', `${this.name}: ${error}`);
    }
    assert.equal(unpublished, this.#ledger.refused(this.name) + failed, this.name);
    for (const listener of this.listeners) {
      const told = this.#ledger.topics.map((topic) => listener.gaps(topic));
      assert.equal(
        told.reduce((sum, count) => sum + count, 0),
        gaps,
        this.name,
      );
    }
  }
}

/** All of them publish to all topics, a little at a time, while something happens. */
export async function underLoad(
  ledger: Ledger,
  nodes: readonly LedgerNode[],
  happens: () => Promise<void>,
): Promise<void> {
  let isOver = false;
  const loads = nodes.map(async (node) => {
    while (!isOver) {
      for (const topic of ledger.topics) node.publish(topic);
      await sleep(LOAD_MS);
    }
  });
  try {
    await happens();
  } finally {
    isOver = true;
    await Promise.all(loads);
  }
}

/** Has each publish once more, all be delivered, and the books checked. */
export async function settle(ledger: Ledger, nodes: readonly LedgerNode[]): Promise<Balance> {
  for (const node of nodes) await node.isSubscribed();
  for (const node of nodes) for (const topic of ledger.topics) node.publish(topic);
  await ledger.isLevel(nodes.map(({ name }) => name));
  for (const node of nodes) node.checkCounts();
  return ledger.account();
}
