import type { Lease, MemberRecord, PresenceStore } from './presence-store.ts';

interface OwnTopics {
  /** By token, the topics that this node has members in. */
  topics(): ReadonlyMap<string, string>;
  gone(topic: string, members: readonly string[]): void;
}

interface Seen {
  readonly lease: Lease;
  /** When it was first seen so, by the clock of this node. */
  readonly since: number;
  /** How long it was watched staying the same. */
  readonly sameMs: number;
}

/** So many records are changed at once. */
const AT_ONCE = 64;

/**
 * Finds nodes that are gone without a word, by their leases: one that stays the same for its TTL is over. How long, is
 * measured here alone, and only while the engine is there, so that no two clocks need to agree and an engine that was away
 * takes nobody with it.
 */
export class OtherNodes {
  readonly #store: PresenceStore;
  readonly #node: string;
  readonly #ttlMs: number;
  readonly #own: OwnTopics;
  #seen: ReadonlyMap<string, Seen> = new Map();
  #lookedAt = 0;

  constructor(store: PresenceStore, node: string, ttlMs: number, own: OwnTopics) {
    this.#store = store;
    this.#node = node;
    this.#ttlMs = ttlMs;
    this.#own = own;
  }

  isGone(node: string): boolean {
    return this.#seen.get(node)?.lease.isGone === true;
  }

  /** Of all that live. */
  get shortestTtlMs(): number {
    const ttls = [...this.#seen.values()].map(({ lease }) =>
      lease.isGone ? Infinity : lease.ttlMs,
    );
    return Math.min(...ttls);
  }

  /** Everyone has the time of a lease again. */
  forget(): void {
    this.#seen = new Map();
  }

  async look(): Promise<void> {
    const leases = await this.#store.leases();
    const now = performance.now();
    const passed = now - this.#lookedAt;
    this.#lookedAt = now;
    const seen = new Map<string, Seen>();
    for (const lease of leases) {
      if (lease.node !== this.#node) seen.set(lease.node, await this.#look(lease, now, passed));
    }
    const before = this.#seen;
    this.#seen = seen;
    const gone = [...seen.values()].filter(({ lease }) => lease.isGone);
    if (gone.some(({ lease: { node } }) => before.get(node)?.lease.isGone !== true)) {
      await this.#sweep(this.#own.topics(), false);
    }
    // Others need time to look after their own topics. Those of nobody are left then.
    const patience = Math.max(this.#ttlMs, ...[...seen.values()].map(({ lease }) => lease.ttlMs));
    const done = gone.filter(({ since }) => now - since > patience);
    if (done.length === 0) return;
    await this.#sweep(this.#own.topics(), true);
    for (const { lease } of done) await this.#store.removeLease(lease.sequence);
  }

  async #look(lease: Lease, now: number, passed: number): Promise<Seen> {
    const last = this.#seen.get(lease.node);
    if (last?.lease.sequence !== lease.sequence) return { lease, since: now, sameMs: 0 };
    if (lease.isGone) return last;
    // Where all of the machine was held up, this node may be the first to go on: one long pause is not enough.
    const sameMs = last.sameMs + Math.min(passed, lease.ttlMs / 2);
    if (sameMs <= lease.ttlMs) return { ...last, sameMs };
    const gone = await this.#store.declareGone(lease);
    // If not declared by this node, then by another, or it lives.
    return { lease: gone ?? lease, since: now, sameMs: 0 };
  }

  /** Takes nodes that are gone out of the topics of this node, or of all; tells of this node's own. */
  async #sweep(topics: ReadonlyMap<string, string>, isAll: boolean): Promise<void> {
    const records = await this.#store.all();
    // Read later, so that a node that has come back has a lease before it has members.
    const living = new Set([this.#node]);
    for (const lease of await this.#store.leases()) if (!lease.isGone) living.add(lease.node);
    const affected = records.filter(
      ({ nodes, topicToken }) =>
        (isAll || topics.has(topicToken)) && !nodes.every((node) => living.has(node)),
    );
    const gone = new Map<string, string[]>();
    const takeOut = async (record: MemberRecord): Promise<void> => {
      const nodes = record.nodes.filter((node) => living.has(node));
      // Whoever changes it tells of it. Where it has changed meanwhile, the next look finds it.
      if (!(await this.#store.reduce(record, nodes)) || nodes.length > 0) return;
      const topic = topics.get(record.topicToken);
      if (topic === undefined) return;
      const members = gone.get(topic);
      if (members === undefined) gone.set(topic, [record.member]);
      else members.push(record.member);
    };
    for (let i = 0; i < affected.length; i += AT_ONCE) {
      await Promise.all(affected.slice(i, i + AT_ONCE).map(takeOut));
    }
    for (const [topic, members] of gone) this.#own.gone(topic, members);
  }
}
