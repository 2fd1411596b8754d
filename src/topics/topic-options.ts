import { apertoError } from '../protocol/errors.ts';
import type { Broker } from './broker.ts';

/** What a topic's slow subscribers get. */
export interface TopicPolicy {
  /**
   * What happens to a subscriber that takes data more slowly than it is sent. `close` and `drop` are as on a route, once
   * `limits.maxBufferedBytes` wait for it: it is closed with 1013, or the new message is dropped. With `latest` it is
   * sent nothing of this topic while more than `limits.highWaterMarkBytes` wait, and the newest message afterwards; what
   * others send it stays. Default: the route's `slowPeers`.
   */
  readonly slowPeers?: 'close' | 'drop' | 'latest';
}

export interface TopicOptions {
  /** Carries topics between this server and others. Default: topics are of this server alone. */
  readonly broker?: Broker;
  /** By topic: exact (`prices`), a prefix (`prices/*`), or any (`*`). The most specific wins. */
  readonly topics?: Readonly<Record<string, TopicPolicy>>;
  /**
   * Bytes published to other servers that the broker's engine has not taken yet. Over it, `publish` reaches this server
   * only, and returns false. Default 16 MiB.
   */
  readonly maxUnpublishedBytes?: number;
}

const policies: readonly unknown[] = ['close', 'drop', 'latest', undefined];

/** Finds the policy of a topic. */
export class TopicPolicies {
  readonly #exact = new Map<string, TopicPolicy>();
  /** The longest first. */
  readonly #prefixes: (readonly [string, TopicPolicy])[] = [];

  /** @throws {ApertoError} INVALID_OPTION */
  constructor(topics: Readonly<Record<string, TopicPolicy>> = {}) {
    if (typeof topics !== 'object' || topics === null) {
      throw apertoError('INVALID_OPTION', { detail: 'topics is an object of policies by topic' });
    }
    for (const [pattern, policy] of Object.entries(topics)) {
      if (typeof policy !== 'object' || policy === null || !policies.includes(policy.slowPeers)) {
        const detail = `topics[${JSON.stringify(pattern)}].slowPeers is close, drop or latest`;
        throw apertoError('INVALID_OPTION', { detail });
      }
      if (pattern.endsWith('*')) this.#prefixes.push([pattern.slice(0, -1), policy]);
      else this.#exact.set(pattern, policy);
    }
    this.#prefixes.sort(([a], [b]) => b.length - a.length);
  }

  find(topic: string): TopicPolicy | undefined {
    return (
      this.#exact.get(topic) ?? this.#prefixes.find(([prefix]) => topic.startsWith(prefix))?.[1]
    );
  }
}
