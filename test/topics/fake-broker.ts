import assert from 'node:assert/strict';
import type { Broker, BrokerHost } from '../../dist/index.js';

/** A call to the broker that the engine has not answered. */
export interface Call {
  readonly kind: 'subscribe' | 'unsubscribe';
  readonly topics: readonly string[];
  readonly connection: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export interface Publication {
  readonly topic: string;
  readonly bytes: Uint8Array;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** A broker whose engine the test plays: it answers when the test says so, or never. */
export class FakeBroker implements Broker {
  /** What the engine has this node subscribed to. */
  readonly subscribed = new Set<string>();
  /** Calls that are not answered, those of lost connections too; the oldest first. */
  readonly calls: Call[] = [];
  readonly publications: Publication[] = [];
  /** What was asked for, in order. */
  readonly log: string[] = [];
  /** Whether the engine answers at once. */
  answers = false;
  isClosed = false;
  isUp = false;
  startsWith: 'up' | 'down' | 'nothing' = 'up';
  #host: BrokerHost | undefined = undefined;
  #connection = 0;

  get host(): BrokerHost {
    assert.ok(this.#host !== undefined, 'it was not started');
    return this.#host;
  }

  async start(host: BrokerHost): Promise<void> {
    assert.equal(this.#host, undefined, 'started twice');
    this.#host = host;
    if (this.startsWith === 'up') this.goUp();
    if (this.startsWith === 'down') this.goDown();
  }

  goUp(): void {
    this.isUp = true;
    this.#connection += 1;
    this.subscribed.clear();
    this.#host?.up();
  }

  goDown(error: unknown = new Error('connection lost')): void {
    this.isUp = false;
    this.#connection += 1;
    this.subscribed.clear();
    this.#host?.down(error);
  }

  subscribe(topics: readonly string[]): Promise<void> {
    return this.#call('subscribe', topics);
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    return this.#call('unsubscribe', topics);
  }

  #call(kind: Call['kind'], topics: readonly string[]): Promise<void> {
    assert.ok(topics.length > 0 && topics.length <= 1_000, `${topics.length} topics at once`);
    assert.equal(new Set(topics).size, topics.length, 'a topic twice');
    assert.ok(
      this.calls.every(({ connection }) => connection !== this.#connection),
      'two calls at a time',
    );
    this.log.push(`${kind} ${topics.join()}`);
    return new Promise((resolve, reject) => {
      const connection = this.#connection;
      this.calls.push({ kind, topics, connection, resolve, reject });
      if (this.answers) this.answer();
    });
  }

  /** Answers the oldest call; one of a connection that is lost has no effect. */
  answer(): Call | undefined {
    const call = this.calls.shift();
    if (call === undefined) return undefined;
    this.#apply(call);
    call.resolve();
    return call;
  }

  /** Refuses the oldest call, of which the engine has done all the same what `isDone` says. */
  refuse(isDone = false): Call | undefined {
    const call = this.calls.shift();
    if (call === undefined) return undefined;
    if (isDone) this.#apply(call);
    call.reject(new Error('refused'));
    return call;
  }

  #apply({ kind, topics, connection }: Call): void {
    if (connection !== this.#connection) return;
    for (const topic of topics) {
      if (kind === 'subscribe') this.subscribed.add(topic);
      else this.subscribed.delete(topic);
    }
  }

  publish(topic: string, bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.publications.push({ topic, bytes, resolve, reject });
      if (this.answers) resolve();
    });
  }

  async close(): Promise<void> {
    assert.ok(!this.isClosed, 'closed twice');
    this.isClosed = true;
  }
}
