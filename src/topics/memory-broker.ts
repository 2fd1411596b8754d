import { apertoError } from '../protocol/errors.ts';
import type { Broker, BrokerHost } from './broker.ts';

/**
 * An engine within the process: the servers that its brokers are given to share their topics, for example one for
 * `http:` and one for `https:`, or those of a test.
 */
export class MemoryEngine {
  readonly #nodes = new Map<BrokerHost, Set<string>>();

  /** A broker for one server. */
  broker(): Broker {
    return new MemoryBroker(this.#nodes);
  }
}

class MemoryBroker implements Broker {
  readonly #nodes: Map<BrokerHost, Set<string>>;
  #host: BrokerHost | undefined = undefined;

  constructor(nodes: Map<BrokerHost, Set<string>>) {
    this.#nodes = nodes;
  }

  async start(host: BrokerHost): Promise<void> {
    if (this.#host !== undefined) {
      throw apertoError('INVALID_OPTION', { detail: 'a broker is for one server alone' });
    }
    this.#host = host;
    this.#nodes.set(host, new Set());
    host.up();
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    const own = this.#checkOpen();
    for (const topic of topics) own.add(topic);
  }

  async unsubscribe(topics: readonly string[]): Promise<void> {
    const own = this.#checkOpen();
    for (const topic of topics) own.delete(topic);
  }

  async publish(topic: string, bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    for (const [host, topics] of this.#nodes) {
      if (topics.has(topic)) host.received(topic, bytes);
    }
  }

  async close(): Promise<void> {
    if (this.#host !== undefined) this.#nodes.delete(this.#host);
  }

  #checkOpen(): Set<string> {
    const topics = this.#host && this.#nodes.get(this.#host);
    if (topics === undefined) throw apertoError('ENGINE_AWAY', { detail: 'the broker is closed' });
    return topics;
  }
}
