import { apertoError } from '../protocol/errors.ts';
import type { Limits } from '../protocol/limits.ts';
import type { MessageBatch } from '../protocol/messages/message-batch.ts';
import { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import { checkSendable, encodeMessage, type Sendable, type SendOptions } from './data.ts';
import type { SlowPeerPolicy } from './peer-handlers.ts';

/** A topic that was published to. */
export interface PublishedTopic {
  readonly name: string;
  /** In place of the route's; undefined for that. */
  readonly slowPeers: SlowPeerPolicy | undefined;
}

/** What can be subscribed to topics. */
export interface TopicSubscriber {
  deliver(batch: MessageBatch, last: boolean, topic: PublishedTopic): void;
  /** Messages to the topic may have been lost on their way to this server. */
  missed(topic: string): void;
}

/** What a server and its peers ask of topics. */
export interface PeerTopics {
  subscribe(subscriber: TopicSubscriber, topic: string): void;
  unsubscribe(subscriber: TopicSubscriber, topic: string): void;
  leave(subscriber: TopicSubscriber): void;
  /** Delivers to all subscribers but `except`; false where other servers do not get it. */
  publish(topic: string, message: PreparedMessage, except?: TopicSubscriber): boolean;
  /** Whether a message to the topic could reach anybody. */
  isHeard(topic: string): boolean;
  /** How many subscribers it has on this server. */
  count(topic: string): number;
  /** The topics of a subscriber. */
  of(subscriber: TopicSubscriber): ReadonlySet<string>;
  /** Delivers what was published and waits for the end of the tick. */
  flush(): void;
}

/** What carries topics to other servers. */
export interface TopicCarrier {
  start(listener: { error(error: unknown): void; changed(): void }): Promise<void>;
  /** Resolves to whether what other servers publish to the topic arrives here. */
  subscribed(topic: string): Promise<boolean>;
  readonly isUp: boolean;
  readonly unpublished: number;
  readonly gaps: number;
  close(): Promise<void>;
}

export interface ServerTopics {
  readonly topics: PeerTopics;
  /** Undefined where topics are this server's alone. */
  readonly carrier: TopicCarrier | undefined;
}

/** Half of a surrogate pair: engines and peers have names as UTF-8, which it is not in. */
const loneSurrogate = /\p{Surrogate}/u;

/** @throws {ApertoError} INVALID_TOPIC */
export function checkTopic(topics: PeerTopics, topic: string, limits: Limits): void {
  if (typeof topic !== 'string' || topic === '' || topic.length > limits.maxTopicLength) {
    throw apertoError('INVALID_TOPIC', {
      detail: typeof topic === 'string' ? `${topic.length} characters` : `got ${typeof topic}`,
    });
  }
  // Who has subscribers was looked at when the first one came.
  if (topics.count(topic) === 0 && loneSurrogate.test(topic)) {
    throw apertoError('INVALID_TOPIC', { detail: 'it has half of a surrogate pair' });
  }
}

/** Prepares and publishes, unless nobody would hear it. */
export function publishTo(
  topics: PeerTopics,
  limits: Limits,
  topic: string,
  data: Sendable,
  options: SendOptions | undefined,
  except?: TopicSubscriber,
): boolean {
  checkTopic(topics, topic, limits);
  checkSendable(data);
  if (!topics.isHeard(topic)) return true;
  const message =
    data instanceof PreparedMessage ? data : encodeMessage(data, options?.compress ?? true, true);
  return topics.publish(topic, message, except);
}

/** @throws {ApertoError} INVALID_TOPIC, TOO_MANY_TOPICS */
export function subscribeTo(
  topics: PeerTopics,
  limits: Limits,
  subscriber: TopicSubscriber,
  topic: string,
): void {
  checkTopic(topics, topic, limits);
  const subscribed = topics.of(subscriber);
  if (subscribed.size >= limits.maxTopics && !subscribed.has(topic)) {
    throw apertoError('TOO_MANY_TOPICS', { detail: `${limits.maxTopics}` });
  }
  topics.subscribe(subscriber, topic);
}
