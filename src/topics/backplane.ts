import { ApertoError } from '../protocol/aperto-error.ts';
import { apertoError } from '../protocol/errors.ts';
import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import type { Broker, BrokerHost } from './broker.ts';
import { drawNode, readHead, readMessages } from './envelope.ts';
import { Publisher } from './publisher.ts';
import { Subscriptions } from './subscriptions.ts';
import type { TopicPolicies } from './topic-options.ts';
import type { TopicPorts } from './topic-ports.ts';
import { type Subscriber, Topics } from './topics.ts';

/** What the backplane tells of itself. */
export interface BackplaneListener {
  /** What went wrong without anybody having asked. */
  error(error: unknown): void;
  /** `isUp` has changed. */
  changed(): void;
}

/** How long `close` waits for the engine to take what was published, and then for the broker to end. */
const CLOSE_MS = 2_000;

/**
 * Topics that are carried to other nodes by a broker.
 *
 * What is published here reaches this node's subscribers at once, and the others through the engine; what comes back of
 * it is not delivered again. What came from another node is delivered once, in the order in which that node published
 * it, and where something is missing subscribers are told.
 */
export class Backplane<S extends Subscriber> implements BrokerHost {
  readonly #broker: Broker;
  readonly #ports: TopicPorts;
  readonly #topics: Topics<S>;
  readonly #subscriptions: Subscriptions;
  readonly #publisher: Publisher;
  readonly #node: number;
  #listener: BackplaneListener | undefined = undefined;
  /** Undefined until the broker has told. */
  #isUp: boolean | undefined = undefined;
  #isClosed = false;
  /** Whether the broker would not start. */
  #hasFailed = false;
  #gaps = 0;
  /** Errors of this tick, which are told as one. */
  #lost: { messages: number; error: unknown } | undefined = undefined;

  constructor(
    broker: Broker,
    ports: TopicPorts,
    policies: TopicPolicies,
    maxUnpublishedBytes: number = 16 * 1024 * 1024,
  ) {
    checkOptions(broker, maxUnpublishedBytes);
    this.#broker = broker;
    this.#ports = ports;
    this.#node = drawNode(ports.platform);
    this.#subscriptions = new Subscriptions(broker, ports, {
      missed: (topic) => this.#missed(topic),
      failed: (error) => this.#listener?.error(error),
    });
    this.#publisher = new Publisher(broker, ports, this.#node, maxUnpublishedBytes, (lost) =>
      this.#reportLost(lost.messages, lost.error),
    );
    this.#topics = new Topics(ports, policies, this.#subscriptions);
  }

  /** @throws what the broker's `start` rejects with. */
  async start(listener: BackplaneListener): Promise<void> {
    this.#listener = listener;
    try {
      await this.#broker.start(this);
    } catch (error) {
      // Nothing was begun that `close` could end; a broker that another server has is that server's.
      this.#hasFailed = true;
      throw error;
    }
  }

  // --- As the topics of one node

  subscribe(subscriber: S, topic: string): void {
    this.#topics.subscribe(subscriber, topic);
  }

  unsubscribe(subscriber: S, topic: string): void {
    this.#topics.unsubscribe(subscriber, topic);
  }

  leave(subscriber: S): void {
    this.#topics.leave(subscriber);
  }

  count(topic: string): number {
    return this.#topics.count(topic);
  }

  of(subscriber: S): ReadonlySet<string> {
    return this.#topics.of(subscriber);
  }

  /** Other nodes may have subscribers. */
  isHeard(): boolean {
    return true;
  }

  flush(): void {
    this.#topics.flush();
  }

  /** Delivers here, and hands it to the engine; false where that is away or behind. */
  publish(topic: string, message: PreparedMessage, except?: S): boolean {
    // First, since whom it is delivered to may publish in turn.
    const isHanded = this.#publisher.publish(topic, message);
    this.#topics.publish(topic, message, except);
    return isHanded;
  }

  // --- What is there to know

  /** Whether the engine can be reached. */
  get isUp(): boolean {
    return this.#isUp === true;
  }

  /** Messages that were published here and may not have reached the other nodes. */
  get unpublished(): number {
    return this.#publisher.unpublished;
  }

  /** How often subscribers were told that messages may be missing. */
  get gaps(): number {
    return this.#gaps;
  }

  /** Resolves to true once what other nodes publish to the topic arrives here; to false where the engine is away. */
  subscribed(topic: string): Promise<boolean> {
    return this.#subscriptions.confirmed(topic);
  }

  // --- What the broker tells

  received(topic: string, bytes: Uint8Array): void {
    const state = this.#subscriptions.get(topic);
    if (state === undefined || this.#isClosed) return;
    const head = readHead(bytes);
    if (head?.node === this.#node) return;
    const messages = head && readMessages(bytes, this.#ports.platform);
    if (head === undefined || messages === undefined) {
      const detail = `${bytes.length} bytes to ${JSON.stringify(topic)}`;
      this.#listener?.error(apertoError('ENVELOPE_INVALID', { detail }));
      this.#missed(topic);
      return;
    }
    const order = state.place(head, this.#ports.platform.clock());
    if (order === 'known') return;
    if (order === 'gap') this.#missed(topic);
    for (const message of messages) this.#topics.publish(topic, message);
  }

  up(): void {
    if (this.#isClosed) return;
    this.#subscriptions.up();
    this.#publisher.isUp = true;
    this.#change(true);
  }

  down(error: unknown): void {
    if (this.#isClosed) return;
    const wasDown = this.#isUp === false;
    this.#subscriptions.down();
    this.#publisher.isUp = false;
    this.#change(false);
    if (!wasDown) this.#listener?.error(engineLost(error));
  }

  gap(topics?: readonly string[]): void {
    if (this.#isClosed) return;
    for (const [topic, state] of this.#subscriptions.among(topics)) {
      state.gapTold();
      this.#missed(topic);
    }
  }

  #change(isUp: boolean): void {
    if (this.#isUp === isUp) return;
    this.#isUp = isUp;
    this.#listener?.changed();
  }

  #missed(topic: string): void {
    this.#gaps += 1;
    this.#topics.tellMissed(topic);
  }

  /** An outage fails everything that is on its way; that is told once. */
  #reportLost(messages: number, error: unknown): void {
    if (this.#lost !== undefined) {
      this.#lost.messages += messages;
      return;
    }
    this.#lost = { messages, error };
    this.#ports.atEndOfTick(() => {
      const lost = this.#lost;
      this.#lost = undefined;
      if (lost === undefined) return;
      const detail = `${lost.messages} messages: ${textOf(lost.error)}`;
      this.#listener?.error(apertoError('PUBLISH_FAILED', { detail, cause: lost.error }));
    });
  }

  /** Whatever an application's own broker does, closing comes to its end. */
  #closeBroker(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.after(CLOSE_MS, resolve);
      const done = (): void => {
        cancel();
        resolve();
      };
      this.#broker.close().then(done, (error) => {
        this.#listener?.error(error);
        done();
      });
    });
  }

  /** Has the engine take what was published, for a while, and ends. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#topics.flush();
    await this.#publisher.drained(CLOSE_MS);
    this.#isClosed = true;
    this.#isUp = false;
    this.#subscriptions.down();
    this.#publisher.isUp = false;
    if (!this.#hasFailed) await this.#closeBroker();
  }
}

function checkOptions(broker: Broker, maxUnpublishedBytes: number): void {
  const methods = ['start', 'subscribe', 'unsubscribe', 'publish', 'close'] as const;
  if (methods.some((name) => typeof broker?.[name] !== 'function')) {
    throw apertoError('INVALID_OPTION', {
      detail: `a broker has the methods ${methods.join(', ')}`,
    });
  }
  if (!(Number.isInteger(maxUnpublishedBytes) && maxUnpublishedBytes > 0)) {
    const detail = `maxUnpublishedBytes is a whole number above zero, not ${String(maxUnpublishedBytes)}`;
    throw apertoError('INVALID_OPTION', { detail });
  }
}

function engineLost(cause: unknown): ApertoError {
  if (cause instanceof ApertoError) return cause;
  return apertoError('ENGINE_AWAY', { detail: textOf(cause), cause });
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
