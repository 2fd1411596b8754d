import type { Broker } from './broker.ts';
import type { EnvelopeHead } from './envelope.ts';
import type { TopicPorts } from './topic-ports.ts';
import type { TopicWatcher } from './topics.ts';

interface SubscriptionListener {
  /** Messages to the topic may have been lost. */
  missed(topic: string): void;
  /** The engine has refused to subscribe or to unsubscribe. It is tried again. */
  failed(error: unknown): void;
}

/** So many topics are asked for at once. */
const MAX_TOPICS = 1_000;

/** Until the engine is asked again for what it has refused. */
const RETRY_MS = 1_000;

/** An envelope may be on its way for so long, and confirming a topic may take so long. */
const TRANSIT_MS = 5_000;

/** Of how many nodes a topic knows the last envelope. */
const MAX_NODES = 256;

/** A topic that this node has subscribers for. */
export class NodeTopic {
  /** Whether the engine has confirmed it. */
  isConfirmed = false;
  /** Whether messages may have been lost before it is confirmed. */
  mayMiss: boolean;
  /** Since when it has been confirmed. */
  #since = Number.POSITIVE_INFINITY;
  /** Who waits for it to be confirmed. */
  #waiting: ((isConfirmed: boolean) => void)[] = [];
  /**
   * By node, the sequence of its last envelope; the node heard longest ago first. Negative where what comes next need
   * not follow on it, since what may be missing was told.
   */
  readonly #heard = new Map<number, number>();

  constructor(mayMiss: boolean) {
    this.mayMiss = mayMiss;
  }

  /** Whether the envelope is the next one of its node, comes behind a gap, or is no news. */
  place({ node, sequence, previous, age }: EnvelopeHead, now: number): 'next' | 'gap' | 'known' {
    const last = this.#heard.get(node);
    // A gap has been told where it was overtaken.
    if (last !== undefined && sequence <= Math.abs(last)) return 'known';
    this.#heard.delete(node);
    this.#heard.set(node, sequence);
    if (this.#heard.size > MAX_NODES) {
      const [oldest] = this.#heard.keys();
      if (oldest !== undefined) this.#heard.delete(oldest);
    }
    // The one before it should have come, too, where it was published when this node was subscribed for certain.
    if (last === undefined)
      return previous > 0 && now - age - TRANSIT_MS > this.#since ? 'gap' : 'next';
    return last < 0 || last === previous ? 'next' : 'gap';
  }

  /** A gap was told: what comes next follows on nothing. What is known already stays so. */
  gapTold(): void {
    for (const [node, last] of this.#heard) this.#heard.set(node, -Math.abs(last));
  }

  get whenConfirmed(): Promise<boolean> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** @param now where it is confirmed, when. */
  settle(isConfirmed: boolean, now: number = Number.POSITIVE_INFINITY): void {
    this.isConfirmed = isConfirmed;
    this.#since = now;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve(isConfirmed);
  }
}

/**
 * Keeps what a node is subscribed to at the engine the same as what it has subscribers for. Changes of a tick go
 * together, one call to the broker at a time.
 */
export class Subscriptions implements TopicWatcher {
  readonly #broker: Broker;
  readonly #ports: TopicPorts;
  readonly #listener: SubscriptionListener;
  readonly #wanted = new Map<string, NodeTopic>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  /** What the engine was asked to subscribe to, and has not confirmed to have ended. */
  readonly #asked = new Set<string>();
  /** So many topics are asked for at once: fewer after a refusal, so that one topic does not fail the others. */
  #most = MAX_TOPICS;
  /** Both kinds of calls take turns, so that neither waits for the other to run out. */
  #hasLeft = false;
  #isUp = false;
  /** Counts the times that the engine came and went: what was asked for before is void. */
  #era = 0;
  #runningEra = -1;
  #scheduled = false;
  #cancelRetry: (() => void) | undefined = undefined;

  constructor(broker: Broker, ports: TopicPorts, listener: SubscriptionListener) {
    this.#broker = broker;
    this.#ports = ports;
    this.#listener = listener;
  }

  get(topic: string): NodeTopic | undefined {
    return this.#wanted.get(topic);
  }

  /** Those of the topics that are wanted; of all where none are given. */
  among(topics?: readonly string[]): [string, NodeTopic][] {
    if (topics === undefined) return [...this.#wanted];
    return topics.flatMap((topic): [string, NodeTopic][] => {
      const state = this.#wanted.get(topic);
      return state === undefined ? [] : [[topic, state]];
    });
  }

  /** Resolves to whether the engine has confirmed the topic; false where it is away, or nobody is subscribed. */
  confirmed(topic: string): Promise<boolean> {
    const state = this.#wanted.get(topic);
    if (state === undefined || !this.#isUp) return Promise.resolve(false);
    return state.isConfirmed ? Promise.resolve(true) : state.whenConfirmed;
  }

  // --- What the node wants

  added(topic: string): void {
    this.#wanted.set(topic, new NodeTopic(!this.#isUp));
    // Also where the engine was not told yet that nobody was left: what it has confirmed before is not known.
    this.#toUnsubscribe.delete(topic);
    this.#toSubscribe.add(topic);
    this.#schedule();
  }

  removed(topic: string): void {
    this.#wanted.get(topic)?.settle(false);
    this.#wanted.delete(topic);
    this.#toSubscribe.delete(topic);
    if (this.#asked.has(topic)) this.#toUnsubscribe.add(topic);
    this.#schedule();
  }

  // --- What the engine is

  up(): void {
    this.#begin(true);
    for (const topic of this.#wanted.keys()) this.#toSubscribe.add(topic);
    this.#schedule();
  }

  down(): void {
    this.#begin(false);
    for (const state of this.#wanted.values()) {
      state.mayMiss = true;
      state.settle(false);
    }
  }

  #begin(isUp: boolean): void {
    // Up again without having been down: it may have been away all the same.
    if (isUp && this.#isUp) this.down();
    this.#isUp = isUp;
    this.#era += 1;
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    this.#asked.clear();
    this.#most = MAX_TOPICS;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  // --- Making them the same

  #schedule(): void {
    if (this.#scheduled || !this.#isUp) return;
    this.#scheduled = true;
    this.#ports.atEndOfTick(() => {
      this.#scheduled = false;
      if (this.#isUp && this.#runningEra !== this.#era) void this.#reconcile(this.#era);
    });
  }

  async #reconcile(era: number): Promise<void> {
    this.#runningEra = era;
    const isCurrent = (): boolean => era === this.#era;
    while (isCurrent() && this.#toUnsubscribe.size + this.#toSubscribe.size > 0) {
      const leaves =
        this.#toSubscribe.size === 0 || (this.#toUnsubscribe.size > 0 && !this.#hasLeft);
      this.#hasLeft = leaves;
      const leaving = leaves ? take(this.#toUnsubscribe, MAX_TOPICS) : [];
      const coming = leaves ? [] : take(this.#toSubscribe, this.#most);
      for (const topic of coming) this.#asked.add(topic);
      try {
        if (leaves) await this.#broker.unsubscribe(leaving);
        else await this.#broker.subscribe(coming);
      } catch (error) {
        if (!isCurrent()) return;
        this.#refused(leaving, coming);
        if (coming.length > 1) continue;
        this.#retryLater(error);
        break;
      }
      if (!isCurrent()) return;
      if (coming.length === this.#most) this.#most = Math.min(MAX_TOPICS, this.#most * 2);
      for (const topic of coming) this.#confirm(topic);
      for (const topic of leaving) this.#left(topic);
    }
    if (isCurrent()) this.#runningEra = -1;
  }

  #confirm(topic: string): void {
    const state = this.#wanted.get(topic);
    if (state === undefined) return;
    // Somebody left and came while it was asked for.
    this.#toSubscribe.delete(topic);
    const { mayMiss } = state;
    state.mayMiss = false;
    if (mayMiss) state.gapTold();
    state.settle(true, this.#ports.platform.clock());
    if (mayMiss) this.#listener.missed(topic);
  }

  #left(topic: string): void {
    this.#asked.delete(topic);
    // Somebody came and left while the engine was told.
    this.#toUnsubscribe.delete(topic);
  }

  #refused(leaving: readonly string[], coming: readonly string[]): void {
    for (const topic of leaving) if (!this.#wanted.has(topic)) this.#toUnsubscribe.add(topic);
    for (const topic of coming) {
      const state = this.#wanted.get(topic);
      if (state === undefined) continue;
      state.mayMiss = true;
      state.settle(false);
      this.#toSubscribe.add(topic);
    }
    if (coming.length > 0) this.#most = Math.ceil(coming.length / 2);
  }

  #retryLater(error: unknown): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#ports.after(RETRY_MS, () => this.#schedule());
    this.#listener.failed(error);
  }
}

/** Takes out the first ones. */
function take(topics: Set<string>, most: number): string[] {
  const taken: string[] = [];
  for (const topic of topics) {
    if (taken.length === most) break;
    taken.push(topic);
    topics.delete(topic);
  }
  return taken;
}
