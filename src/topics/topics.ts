import { MessageBatch } from '../protocol/messages/message-batch.ts';
import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import type { Platform } from '../protocol/platform.ts';

/** Who can be subscribed. */
export interface Subscriber {
  /**
   * Sends messages that many share; nothing of them must be changed. `last` says that the tick is at its end:
   * nothing is to be waited for.
   */
  deliver(batch: MessageBatch, last: boolean): void;
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
  readonly #subscribers = new Map<string, Set<S>>();
  readonly #topics = new Map<S, Set<string>>();
  readonly #atEndOfTick: (task: () => void) => void;
  readonly #platform: Platform;
  readonly #flushTask = (): void => {
    this.#scheduled = false;
    this.#deliver(true);
  };
  #scheduled = false;

  // The batch: messages to one topic, all with the same exception.
  #batch: PreparedMessage[] = [];
  #batchBytes = 0;
  #batchTo: Set<S> | undefined = undefined;
  #batchExcept: S | undefined = undefined;

  constructor(atEndOfTick: (task: () => void) => void, platform: Platform) {
    this.#atEndOfTick = atEndOfTick;
    this.#platform = platform;
  }

  subscribe(subscriber: S, topic: string): void {
    this.flush();
    addTo(this.#subscribers, topic, subscriber);
    addTo(this.#topics, subscriber, topic);
  }

  unsubscribe(subscriber: S, topic: string): void {
    this.flush();
    removeFrom(this.#subscribers, topic, subscriber);
    removeFrom(this.#topics, subscriber, topic);
  }

  /** Ends all subscriptions of a subscriber. */
  leave(subscriber: S): void {
    const topics = this.#topics.get(subscriber);
    if (topics === undefined) return;
    this.#topics.delete(subscriber);
    for (const topic of topics) removeFrom(this.#subscribers, topic, subscriber);
  }

  count(topic: string): number {
    return this.#subscribers.get(topic)?.size ?? 0;
  }

  /** Delivers to every subscriber but `except`, in the order of their subscriptions. */
  publish(topic: string, message: PreparedMessage, except?: S): void {
    const subscribers = this.#subscribers.get(topic);
    if (subscribers === undefined) return;
    if (subscribers !== this.#batchTo || except !== this.#batchExcept) this.flush();
    this.#batchTo = subscribers;
    this.#batchExcept = except;
    this.#batch.push(message);
    this.#batchBytes += message.frame.length;
    if (this.#batchBytes >= MAX_BATCH) this.flush();
    else if (!this.#scheduled) {
      this.#scheduled = true;
      this.#atEndOfTick(this.#flushTask);
    }
  }

  /** Delivers what was published and waits for the tick to end. */
  flush(): void {
    this.#deliver(false);
  }

  #deliver(last: boolean): void {
    const subscribers = this.#batchTo;
    if (subscribers === undefined) return;
    const batch = this.#batch;
    const except = this.#batchExcept;
    this.#batch = [];
    this.#batchBytes = 0;
    this.#batchTo = undefined;
    this.#batchExcept = undefined;
    const messages = new MessageBatch(batch, this.#platform);
    for (const subscriber of subscribers) {
      if (subscriber !== except) subscriber.deliver(messages, last);
    }
  }
}

function addTo<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

function removeFrom<K, V>(sets: Map<K, Set<V>>, key: K, value: V): void {
  const set = sets.get(key);
  if (set?.delete(value) && set.size === 0) sets.delete(key);
}
