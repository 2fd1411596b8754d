/** What Aperto needs of a client of Redis; one file for each package there is. */

export type RedisArgument = string | Uint8Array;

/** The same from every client: strings as bytes, and RESP3's maps and sets as flat arrays. */
export type RedisReply = Uint8Array | string | number | null | readonly RedisReply[];

/** Pub/sub by the slots of a cluster, as Redis 7 has it, or as it always was. */
export type PubSubKind = 'sharded' | 'classic';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

/** A master of a cluster. */
export interface RedisNode extends RedisAddress {
  /** Which slots it serves: the first and last of each range. */
  readonly slots: readonly (readonly [number, number])[];
}

export interface RedisDriver {
  readonly isCluster: boolean;
  /** Whether the client sends commands now, instead of queueing them. */
  readonly isReady: boolean;
  /** Whether, in a cluster, that is so for all masters. */
  readonly isWhole: boolean;
  connect(): Promise<void>;
  /** Rejects with the client's own error. */
  send(key: string, args: readonly RedisArgument[]): Promise<RedisReply>;
  /** Calls back whenever `isWhole` may have changed. Returns what removes all listeners. */
  listen(onChange: (error?: unknown) => void): () => void;
  link(handlers: LinkHandlers, address?: RedisAddress): RedisLink;
  /** Any node's answer to CLUSTER SLOTS, and the host that it was asked at. Connects where the application has not. */
  clusterSlots(): Promise<{ readonly reply: RedisReply; readonly host: string }>;
  /** Where the application has said that a node is reached. */
  reachedAt(address: RedisAddress): RedisAddress;
}

/** One, or all sharded ones of the connection but these. */
export type MovedChannels = string | ReadonlySet<string>;

export interface LinkHandlers {
  message(channel: Uint8Array, bytes: Uint8Array): void;
  /** It is of no use any more. Once, after `open` has resolved, and not after `destroy`. */
  lost(error: unknown): void;
  /** The node of a cluster has given subscribed channels away, or dropped them and kept the slot. */
  moved(channels: MovedChannels): void;
}

/** One connection that is never opened again. It rejects with the client's own errors. */
export interface RedisLink {
  /** Whether the client asks nothing of the server for a channel that it has as subscribed already. */
  readonly skipsKnown: boolean;
  open(): Promise<void>;
  send(args: readonly RedisArgument[]): Promise<RedisReply>;
  /** Resolves once the server has confirmed all of them; in a cluster, all are of one slot where `sharded`. */
  subscribe(kind: PubSubKind, channels: readonly string[]): Promise<void>;
  unsubscribe(kind: PubSubKind, channels: readonly string[]): Promise<void>;
  /** Ends it at once: what has no answer rejects, and the handlers are told nothing more. */
  destroy(): void;
}
