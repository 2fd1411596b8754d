import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Broker, BrokerHost, History, Presence } from 'aperto';
import { natsBroker, natsHistory, natsPresence } from 'aperto/nats';
import { type Engine, EngineAwayError, type EngineSettings, type OpenEngine } from './engine.ts';

const RETRY_MS = 1_000;

/** The chat of all servers that use the same NATS, which must have JetStream on. */
export function natsEngine(url: string): OpenEngine {
  return async (settings) => {
    const engine = new NatsEngine(url, settings);
    await engine.tryToConnect();
    return engine;
  };
}

interface Parts {
  readonly connection: NatsConnection;
  readonly broker: Broker;
  readonly history: History;
  readonly presence: Presence;
}

/**
 * An engine that is away until NATS is there for the first time: before that there is no connection, which from then on
 * comes back by itself.
 */
class NatsEngine implements Engine {
  readonly broker: Broker;
  readonly history: History;
  readonly presence: Presence;
  readonly #url: URL;
  readonly #settings: EngineSettings;
  readonly #ending = new AbortController();
  #parts: Parts | undefined = undefined;
  #problem: unknown = undefined;

  constructor(url: string, settings: EngineSettings) {
    this.#url = new URL(url);
    this.#settings = settings;
    this.broker = {
      start: (host) => this.#start(host),
      subscribe: async (topics) => this.#there().broker.subscribe(topics),
      unsubscribe: async (topics) => this.#there().broker.unsubscribe(topics),
      publish: async (topic, bytes) => this.#there().broker.publish(topic, bytes),
      close: async () => this.#parts?.broker.close(),
    };
    this.history = {
      append: async (topic, data, id) => this.#there().history.append(topic, data, id),
      read: async (topic, after, limit) => this.#there().history.read(topic, after, limit),
    };
    this.presence = {
      enter: async (topic, member) => this.#there().presence.enter(topic, member),
      leave: async (topic, member) => this.#there().presence.leave(topic, member),
      members: async (topic) => this.#there().presence.members(topic),
      close: async () => this.#parts?.presence.close(),
    };
  }

  /** @throws {EngineAwayError} */
  #there(): Parts {
    if (this.#parts === undefined) throw new EngineAwayError('NATS has not been reached yet');
    return this.#parts;
  }

  async tryToConnect(): Promise<void> {
    const { hostname, port, protocol, username, password } = this.#url;
    try {
      const connection = await connect({
        servers: `${hostname}:${port || 4222}`,
        ...(username === '' ? {} : { user: decodeURIComponent(username) }),
        ...(password === '' ? {} : { pass: decodeURIComponent(password) }),
        ...(protocol === 'tls:' ? { tls: {} } : {}),
        maxReconnectAttempts: -1,
      });
      const { limits, gone } = this.#settings;
      this.#parts = {
        connection,
        broker: natsBroker({ connection }),
        history: natsHistory({
          connection,
          messages: limits.rememberedMessages,
          maxAgeMs: limits.rememberedMs,
        }),
        presence: natsPresence({ connection, onGone: gone }),
      };
    } catch (error) {
      this.#problem = error;
    }
  }

  async #start(host: BrokerHost): Promise<void> {
    if (this.#parts !== undefined) return this.#parts.broker.start(host);
    host.down(this.#problem);
    void this.#goOnTrying(host);
  }

  async #goOnTrying(host: BrokerHost): Promise<void> {
    const { signal } = this.#ending;
    while (this.#parts === undefined) {
      await sleep(RETRY_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      await this.tryToConnect();
    }
    if (signal.aborted) await this.#parts.connection.close();
    else await this.#parts.broker.start(host).catch((error) => host.down(error));
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#parts?.connection.close().catch(() => {});
  }
}
