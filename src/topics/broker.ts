/**
 * Carries topics from node to node over an engine, such as Redis or NATS. It keeps no state of topics: what the node is
 * subscribed to is asked for again whenever the engine has been away.
 *
 * The host calls `subscribe` and `unsubscribe` one at a time, never both for one topic at once; only after `down` it does
 * not wait for calls from before, which are to be rejected then. Topics are strings of well-formed Unicode; what the
 * engine cannot have in its names is escaped.
 */
export interface Broker {
  /**
   * Begins to tell the host of the engine. Called once, first. Resolves once `up` or `down` was told; an engine that
   * is away is waited for. Rejects for what waiting cannot mend, such as a client of an unknown shape.
   */
  start(host: BrokerHost): Promise<void>;
  /**
   * Resolves once the engine has confirmed all of them: what is published from then on arrives. Rejects where the engine
   * is away or refuses. A topic may be subscribed already.
   */
  subscribe(topics: readonly string[]): Promise<void>;
  /** Resolves once the engine sends nothing more for them. Rejects as `subscribe` does. */
  unsubscribe(topics: readonly string[]): Promise<void>;
  /**
   * Publishes to all nodes, in the order of the calls. Resolves once the engine has taken it; rejects where it may not
   * have. Never throws; `bytes` are not changed afterwards.
   */
  publish(topic: string, bytes: Uint8Array): Promise<void>;
  /** Ends what `start` began, and tells the host nothing more. What the application made stays its own. Never rejects. */
  close(): Promise<void>;
}

/** What a broker tells its node. */
export interface BrokerHost {
  /** A message to a topic that the node is subscribed to, from any node, this one too. The host may keep `bytes`. */
  received(topic: string, bytes: Uint8Array): void;
  /** The engine can be reached, for the first time or again: the host subscribes anew to all that it wants. */
  up(): void;
  /** The engine cannot be reached. May be told more than once. */
  down(error: unknown): void;
  /**
   * The engine is there, but may have dropped messages on the way to this node: to these topics, or to any. Not needed
   * after `down`.
   */
  gap(topics?: readonly string[]): void;
}
