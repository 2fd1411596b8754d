import { MessageBatch } from '../protocol/messages/message-batch.ts';
import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import type { TopicPolicies, TopicPolicy } from './topic-options.ts';
import type { TopicPorts } from './topic-ports.ts';

/** A topic that has a subscriber. */
export interface Topic {
  readonly name: string;
  /** In place of the subscriber's own; undefined for that. */
  readonly slowPeers: TopicPolicy['slowPeers'];
}

/** Who can be subscribed. */
export interface Subscriber {
  /**
   * Sends messages that many share; nothing of them must be changed. `last` says that the tick is at its end:
   * nothing is to be waited for.
   */
  deliver(batch: MessageBatch, last: boolean, topic: Topic): void;
  /** Messages to the topic may have been lost on their way to this node. */
  missed(topic: string): void;
}

/** Who wants to know what topics there are. */
export interface TopicWatcher {
  /** It has its first subscriber. */
  added(topic: string): void;
  /** It has lost its last. */
  removed(topic: string): void;
}

interface TopicEntry<S> extends Topic {
  readonly subscribers: Set<S>;
}

/** A batch is delivered once it has this many bytes, without waiting for the end of the tick. */
const MAX_BATCH = 64 * 1024;

/**
 * Who is subscribed to what on this node. A topic exists while it has a subscriber, and costs nothing
 * otherwise.
 *
 * Messages published to one topic one after another are put together and delivered when the tick ends, so
 * that a subscriber costs the same for one of them as for ten. Whatever could show that they wait
 * delivers them first: `flush` is for what others send directly.
 */
export class Topics<S extends Subscriber> {
  readonly #entries = new Map<string, TopicEntry<S>>();
  readonly #topics = new Map<S, Set<string>>();
  readonly #policies: TopicPolicies;
  readonly #watcher: TopicWatcher | undefined;
  readonly #ports: Pick<TopicPorts, 'atEndOfTick' | 'platform'>;
  readonly #flushTask = (): void => {
    this.#scheduled = false;
    this.#deliver(true);
  };
  #scheduled = false;

  // The batch: messages to one topic, all with the same exception.
  #batch: PreparedMessage[] = [];
  #batchBytes = 0;
  #batchTo: TopicEntry<S> | undefined = undefined;
  #batchExcept: S | undefined = undefined;

  constructor(
    ports: Pick<TopicPorts, 'atEndOfTick' | 'platform'>,
    policies: TopicPolicies,
    watcher?: TopicWatcher,
  ) {
    this.#ports = ports;
    this.#policies = policies;
    this.#watcher = watcher;
  }

  subscribe(subscriber: S, topic: string): void {
    this.flush();
    let topics = this.#topics.get(subscriber);
    if (topics === undefined) {
      topics = new Set();
      this.#topics.set(subscriber, topics);
    }
    topics.add(topic);
    const entry = this.#entries.get(topic);
    if (entry !== undefined) {
      entry.subscribers.add(subscriber);
      return;
    }
    const { slowPeers } = this.#policies.find(topic) ?? {};
    this.#entries.set(topic, { name: topic, slowPeers, subscribers: new Set([subscriber]) });
    this.#watcher?.added(topic);
  }

  unsubscribe(subscriber: S, topic: string): void {
    const topics = this.#topics.get(subscriber);
    if (topics === undefined || !topics.has(topic)) return;
    this.flush();
    topics.delete(topic);
    if (topics.size === 0) this.#topics.delete(subscriber);
    this.#remove(subscriber, topic);
  }

  /** Ends all subscriptions of a subscriber. */
  leave(subscriber: S): void {
    const topics = this.#topics.get(subscriber);
    if (topics === undefined) return;
    this.#topics.delete(subscriber);
    for (const topic of topics) this.#remove(subscriber, topic);
  }

  #remove(subscriber: S, topic: string): void {
    const subscribers = this.#entries.get(topic)?.subscribers;
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return;
    this.#entries.delete(topic);
    this.#watcher?.removed(topic);
  }

  /** How many subscribers the topic has on this node. */
  count(topic: string): number {
    return this.#entries.get(topic)?.subscribers.size ?? 0;
  }

  /** Whether a message to the topic would reach anybody. */
  isHeard(topic: string): boolean {
    return this.#entries.has(topic);
  }

  /** The topics of a subscriber. */
  of(subscriber: S): ReadonlySet<string> {
    return this.#topics.get(subscriber) ?? NONE;
  }

  /**
   * Delivers to every subscriber but `except`, in the order of their subscriptions. Returns true: it is on its way to
   * all there are.
   */
  publish(topic: string, message: PreparedMessage, except?: S): boolean {
    const entry = this.#entries.get(topic);
    if (entry === undefined) return true;
    if (entry !== this.#batchTo || except !== this.#batchExcept) this.flush();
    this.#batchTo = entry;
    this.#batchExcept = except;
    this.#batch.push(message);
    this.#batchBytes += message.frame.length;
    if (this.#batchBytes >= MAX_BATCH) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#ports.atEndOfTick(this.#flushTask);
    }
    return true;
  }

  /** Tells every subscriber that messages may have been lost. */
  tellMissed(topic: string): void {
    this.flush();
    const subscribers = this.#entries.get(topic)?.subscribers;
    // A subscriber may leave, or another come, when it is told.
    for (const subscriber of [...(subscribers ?? [])]) {
      if (subscribers?.has(subscriber)) subscriber.missed(topic);
    }
  }

  /** Delivers what was published and waits for the tick to end. */
  flush(): void {
    this.#deliver(false);
  }

  #deliver(last: boolean): void {
    const topic = this.#batchTo;
    if (topic === undefined) return;
    const batch = this.#batch;
    const except = this.#batchExcept;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchTo = undefined;
    this.#batchExcept = undefined;
    const messages = new MessageBatch(batch, this.#ports.platform);
    for (const subscriber of topic.subscribers) {
      if (subscriber !== except) subscriber.deliver(messages, last, topic);
    }
  }
}

const NONE: ReadonlySet<string> = new Set();
