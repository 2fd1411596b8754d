import { apertoError } from '../../protocol/errors.ts';
import { ensureCount } from '../../topics/arguments.ts';
import type { Broker, BrokerHost } from '../../topics/broker.ts';
import { engineAway } from '../engine-away.ts';
import { checkConnection, type NatsConnection, type NatsSubscription } from './nats-connection.ts';
import { asApertoError, NatsLink } from './nats-link.ts';
import { checkPrefix, subjectToken } from './subjects.ts';

export interface NatsBrokerOptions {
  /**
   * What `connect` of `@nats-io/transport-node` resolves to. It stays the application's, which closes it. That it
   * reconnects for ever takes `maxReconnectAttempts: -1` there.
   */
  readonly connection: NatsConnection;
  /** What subjects begin with: `prefix.t.topic`. Default `aperto`. */
  readonly prefix?: string;
  /** How long the server may be silent before it counts as away. Default 10,000. */
  readonly timeoutMs?: number;
}

/**
 * Carries topics over NATS.
 * @throws {ApertoError} INVALID_OPTION
 */
export function natsBroker({
  connection,
  prefix = 'aperto',
  timeoutMs = 10_000,
}: NatsBrokerOptions): Broker {
  ensureCount('timeoutMs', timeoutMs);
  return new NatsBroker(checkConnection(connection), checkPrefix(prefix), timeoutMs);
}

/** One turn to the server and back, for all that was sent before it. */
class Turn {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;

  constructor() {
    let resolve = (): void => {};
    let reject: (error: unknown) => void = resolve;
    this.promise = new Promise((...settle) => {
      [resolve, reject] = settle;
    });
    this.resolve = resolve;
    this.reject = reject;
    // Whoever it was given to hears of it.
    this.promise.catch(() => undefined);
  }
}

class NatsBroker implements Broker {
  readonly #connection: NatsConnection;
  readonly #prefix: string;
  readonly #link: NatsLink;
  readonly #subscriptions = new Map<string, NatsSubscription>();
  #host: BrokerHost | undefined = undefined;
  /** What the server was asked last, and is asked next. */
  #turn: Turn | undefined = undefined;
  #nextTurn: Turn | undefined = undefined;
  #refusal: unknown = undefined;

  constructor(connection: NatsConnection, prefix: string, timeoutMs: number) {
    this.#connection = connection;
    this.#prefix = `${prefix}.t.`;
    const listener = {
      up: () => this.#host?.up(),
      down: (error: unknown) => {
        // Subscribed anew by the client, topics would come back that the host no longer wants.
        this.#drop(this.#subscriptions.keys());
        this.#fail(error);
        this.#host?.down(error);
      },
      failed: (error: unknown) => this.#failed(error),
    };
    this.#link = new NatsLink(connection, listener, timeoutMs, true);
  }

  async start(host: BrokerHost): Promise<void> {
    if (this.#host !== undefined) {
      throw apertoError('INVALID_OPTION', { detail: 'a broker is for one server alone' });
    }
    this.#host = host;
    await this.#link.start();
  }

  async subscribe(topics: readonly string[]): Promise<void> {
    const added: string[] = [];
    try {
      const answered = this.#answered();
      for (const topic of topics) {
        if (this.#subscriptions.has(topic)) continue;
        this.#subscriptions.set(topic, this.#subscribe(topic));
        added.push(topic);
      }
      await answered;
      const refused = topics.find((topic) => !this.#subscriptions.has(topic));
      if (refused !== undefined) throw this.#refusal;
    } catch (error) {
      this.#drop(added);
      throw asApertoError(error);
    }
  }

  #subscribe(topic: string): NatsSubscription {
    // With a callback the client queues nothing, so that it has no slow consumer of its own.
    const subscription = this.#connection.subscribe(this.#prefix + subjectToken(topic), {
      callback: (error, message) => {
        if (error === null) {
          this.#host?.received(topic, message.data);
          return;
        }
        if (this.#subscriptions.get(topic) !== subscription) return;
        this.#refusal = error;
        this.#subscriptions.delete(topic);
        this.#host?.gap([topic]);
      },
    });
    return subscription;
  }

  async unsubscribe(topics: readonly string[]): Promise<void> {
    this.#drop(topics);
    await this.#answered();
  }

  publish(topic: string, bytes: Uint8Array): Promise<void> {
    const limit = this.#connection.info?.max_payload;
    // Over it, the client would throw, or the server end the connection.
    if (limit !== undefined && bytes.length > limit) {
      const detail = `${bytes.length} bytes; the server's max_payload is ${limit}`;
      return Promise.reject(apertoError('MESSAGE_TOO_BIG', { detail }));
    }
    try {
      const answered = this.#answered();
      this.#connection.publish(this.#prefix + subjectToken(topic), bytes);
      return answered;
    } catch (error) {
      return Promise.reject(asApertoError(error));
    }
  }

  async close(): Promise<void> {
    this.#link.stop();
    this.#host = undefined;
    this.#drop(this.#subscriptions.keys());
    this.#fail(engineAway('the broker is closed'));
  }

  #drop(topics: Iterable<string>): void {
    for (const topic of topics) {
      this.#subscriptions.get(topic)?.unsubscribe();
      this.#subscriptions.delete(topic);
    }
  }

  /**
   * Resolves once the server has processed what is sent in this tick; NATS itself confirms nothing. There is one turn at
   * a time, so that many messages share one.
   * @throws {ApertoError} ENGINE_AWAY: nothing must be sent, since the client would keep it, without a limit.
   */
  #answered(): Promise<void> {
    if (!this.#link.isUp) throw engineAway('NATS is not connected');
    if (this.#nextTurn === undefined) {
      this.#nextTurn = new Turn();
      // Asked behind what is sent, and with it in one write.
      if (this.#turn === undefined) queueMicrotask(() => this.#ask());
    }
    return this.#nextTurn.promise;
  }

  #ask(): void {
    const turn = this.#nextTurn;
    if (turn === undefined || this.#turn !== undefined) return;
    this.#nextTurn = undefined;
    this.#turn = turn;
    this.#connection.flush().then(
      // What the server refused was read before, but is told by the client somewhat later.
      () => setImmediate(() => this.#ended(turn)),
      (error) => this.#ended(turn, error),
    );
  }

  #ended(turn: Turn, error?: unknown): void {
    if (error === undefined) turn.resolve();
    else turn.reject(engineAway(error));
    if (this.#turn !== turn) return;
    this.#turn = undefined;
    this.#ask();
  }

  #fail(error: unknown): void {
    this.#turn?.reject(error);
    this.#nextTurn?.reject(error);
    this.#turn = undefined;
    this.#nextTurn = undefined;
  }

  /** A message that must not be published is told by its subject alone: all that may be meant fail. */
  #failed(error: unknown): void {
    if (!(error instanceof Error) || !('operation' in error) || !('subject' in error)) return;
    const isOurs = String(error.subject).startsWith(this.#prefix);
    if (error.operation === 'publish' && isOurs) {
      const refused = engineAway(error);
      this.#turn?.reject(refused);
      this.#nextTurn?.reject(refused);
    }
  }
}
