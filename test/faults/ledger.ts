import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../dist/index.js';

const WAIT_MS = 60_000;
const LOOK_MS = 5;

/** A message, by who published it and as which, counted from 1 for each topic; or that some may be missing. */
type Heard = { readonly from: string; readonly sequence: number } | 'gap';

/** What a server has published to a topic. */
interface Published {
  count: number;
  /** Those that `publish` returned false for. */
  readonly refused: Set<number>;
}

/** What the books say of the messages that were to reach other servers, one a subscriber. */
export interface Balance {
  readonly delivered: number;
  /** Not delivered, and announced. */
  readonly missing: number;
}

/** A text that tells the ledger what it is; it may be made longer. */
export function messageText(topic: string, from: string, sequence: number, size = 0): string {
  return `${topic}|${from}|${sequence}|`.padEnd(size, '.');
}

export function gapText(topic: string): string {
  return `${topic}|gap`;
}

/** What a client is told once it is subscribed to all topics, and its server at the engine. */
export const READY = 'ready';

/** A WebSocket client that is subscribed to all topics of the ledger. */
export class Listener {
  /** The server that it is connected to. */
  readonly at: string;
  readonly #heard = new Map<string, Heard[]>();
  /** How many each server had published to each topic before this one was subscribed. */
  readonly before = new Map<string, number>();
  isReady = false;
  /** The code that its connection was closed with. */
  closedWith: number | undefined = undefined;
  closedAt = 0;

  constructor(at: string) {
    this.at = at;
  }

  hear(text: string): void {
    if (text === READY) {
      this.isReady = true;
      return;
    }
    const [topic = '', from = '', sequence = ''] = text.split('|');
    const heard = from === 'gap' ? 'gap' : { from, sequence: Number(sequence) };
    const before = this.#heard.get(topic);
    if (before === undefined) this.#heard.set(topic, [heard]);
    else before.push(heard);
  }

  of(topic: string): readonly Heard[] {
    return this.#heard.get(topic) ?? [];
  }

  /** The last that it has heard of a server; 0 for none. */
  last(topic: string, from: string): number {
    const entry = this.of(topic).findLast((each) => each !== 'gap' && each.from === from);
    return entry === undefined || entry === 'gap' ? 0 : entry.sequence;
  }

  gaps(topic: string): number {
    return this.of(topic).filter((each) => each === 'gap').length;
  }
}

/** Counts every message that is published, and every one that a client gets. */
export class Ledger {
  readonly topics: readonly string[];
  readonly listeners: Listener[] = [];
  readonly #published = new Map<string, Published>();

  constructor(topics: readonly string[]) {
    this.topics = topics;
  }

  /** Publishes the next message of a server. */
  publish(topic: string, from: string, publish: (text: string) => boolean, size?: number): void {
    const published = this.#of(topic, from);
    published.count += 1;
    const isHanded = publish(messageText(topic, from, published.count, size));
    if (!isHanded) published.refused.add(published.count);
  }

  /** For a server that counts by itself. */
  enter(topic: string, from: string, count: number): void {
    this.#of(topic, from).count = count;
  }

  count(topic: string, from: string): number {
    return this.#of(topic, from).count;
  }

  refused(from: string): number {
    return this.topics.reduce((sum, topic) => sum + this.#of(topic, from).refused.size, 0);
  }

  #of(topic: string, from: string): Published {
    const key = `${topic}|${from}`;
    let published = this.#published.get(key);
    if (published === undefined) {
      published = { count: 0, refused: new Set() };
      this.#published.set(key, published);
    }
    return published;
  }

  /** A client; resolves once it is subscribed. The ledger counts it until its connection is closed. */
  async listen(t: TestContext, at: string, url: string): Promise<Listener> {
    const listener = new Listener(at);
    const peer = await connect(url, {
      message: (_, message) => listener.hear(String(message)),
      close(_, code) {
        listener.closedWith = code;
        listener.closedAt = performance.now();
      },
    });
    t.after(() => peer.terminate());
    await until('subscribed', () => listener.isReady);
    for (const [key, { count }] of this.#published) listener.before.set(key, count);
    this.listeners.push(listener);
    return listener;
  }

  /** Those that are still there. */
  get present(): readonly Listener[] {
    return this.listeners.filter(({ closedWith }) => closedWith === undefined);
  }

  /** Resolves once these clients have heard more of each of these servers, on all topics. */
  async hearsMore(
    froms: readonly string[],
    more = 20,
    listeners: readonly Listener[] = this.present,
  ): Promise<void> {
    const pairs = this.#pairs(froms, listeners).map((pair) => ({ ...pair, than: last(pair) }));
    await until(
      `${more} more`,
      () => pairs.every((pair) => last(pair) >= pair.than + more),
      () => this.#found(pairs),
    );
  }

  /** Resolves once these clients have the last message that each of these servers has published. */
  async isLevel(
    froms: readonly string[],
    listeners: readonly Listener[] = this.present,
  ): Promise<void> {
    const pairs = this.#pairs(froms, listeners);
    await until(
      'level',
      () => pairs.every((pair) => last(pair) === this.count(pair.topic, pair.from)),
      () => this.#found(pairs),
    );
  }

  #found(pairs: readonly Pair[]): string {
    const each = pairs.map(
      (pair) =>
        `${pair.listener.at} has ${last(pair)} of ${this.count(pair.topic, pair.from)} of ${pair.from} to ${pair.topic}`,
    );
    return `\n${each.join('\n')}`;
  }

  #pairs(froms: readonly string[], listeners: readonly Listener[]): Pair[] {
    return listeners.flatMap((listener) =>
      this.topics.flatMap((topic) => froms.map((from) => ({ topic, from, listener }))),
    );
  }

  /**
   * Accounts for each message and each client that is there: delivered once and in its server's order; or missing,
   * published on another server, and announced by a gap at its place. What was refused has not come at all.
   */
  account(): Balance {
    let delivered = 0;
    let missing = 0;
    for (const [key, { count, refused }] of this.#published) {
      const [topic = '', from = ''] = key.split('|');
      for (const listener of this.present) {
        const what = `${from} to ${listener.at}, ${topic}`;
        const isLocal = listener.at === from;
        const first = listener.of(topic).find((each) => each !== 'gap' && each.from === from);
        const next = first === undefined || first === 'gap' ? count + 1 : first.sequence;
        let before = Math.min(listener.before.get(key) ?? 0, next - 1);
        let hadGap = false;
        const step = (sequence: number): void => {
          assert.ok(sequence > before, `${what}: ${sequence} came after ${before}`);
          const holes = sequence - before - 1;
          if (holes > 0) {
            const range = `${before + 1} to ${sequence - 1} of ${count}`;
            assert.ok(!isLocal, `${what}: ${range} are missing, on one server`);
            assert.ok(hadGap, `${what}: ${range} are missing without a gap`);
          }
          missing += holes;
          before = sequence;
          hadGap = false;
        };
        for (const heard of listener.of(topic)) {
          if (heard === 'gap') hadGap = true;
          else if (heard.from === from) {
            assert.ok(heard.sequence <= count, `${what}: ${heard.sequence} of ${count}`);
            const wasRefused = refused.has(heard.sequence);
            assert.ok(isLocal || !wasRefused, `${what}: ${heard.sequence} was refused and came`);
            if (!isLocal) delivered += 1;
            step(heard.sequence);
          }
        }
        step(count + 1);
      }
    }
    return { delivered, missing };
  }
}

/** What one client hears of one server on one topic. */
interface Pair {
  readonly listener: Listener;
  readonly topic: string;
  readonly from: string;
}

function last({ listener, topic, from }: Pair): number {
  return listener.last(topic, from);
}

/** Resolves once it is so, or rejects after a minute. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  found: () => string = () => '',
): Promise<void> {
  const end = performance.now() + WAIT_MS;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`never ${what} ${found()}`);
    await sleep(LOOK_MS);
  }
}
