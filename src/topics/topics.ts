import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';

/** Who can be subscribed. */
export interface Subscriber {
  deliver(message: PreparedMessage): void;
}

/**
 * Who is subscribed to what on this node. A topic exists while it has a subscriber, and costs nothing
 * otherwise.
 */
export class Topics<S extends Subscriber> {
  readonly #subscribers = new Map<string, Set<S>>();
  readonly #topics = new Map<S, Set<string>>();

  subscribe(subscriber: S, topic: string): void {
    addTo(this.#subscribers, topic, subscriber);
    addTo(this.#topics, subscriber, topic);
  }

  unsubscribe(subscriber: S, topic: string): void {
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
    for (const subscriber of subscribers) {
      if (subscriber !== except) subscriber.deliver(message);
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
