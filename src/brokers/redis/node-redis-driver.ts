import { setTimeout as sleep } from 'node:timers/promises';
import { type Emitter, encoded, hasMethods, listenTo, mappedAddress } from './client-shape.ts';
import type {
  LinkHandlers,
  PubSubKind,
  RedisAddress,
  RedisArgument,
  RedisDriver,
  RedisLink,
  RedisReply,
} from './redis-driver.ts';

/** A client of node-redis 5 or 6, by what is used of it. */
interface NodeRedis extends Emitter {
  readonly isOpen: boolean;
  readonly isReady: boolean;
  readonly options?: { readonly socket?: object };
  connect(): Promise<unknown>;
  destroy(): void;
  duplicate(overrides: object): NodeRedis;
  sendCommand(args: readonly (string | Buffer)[], options: object): Promise<RedisReply>;
  subscribe: Subscribe;
  sSubscribe: Subscribe;
  unsubscribe: Subscribe;
  sUnsubscribe: Subscribe;
}

interface NodeRedisCluster extends Emitter {
  readonly isOpen: boolean;
  readonly masters: readonly { readonly host: string; readonly client?: NodeRedis }[];
  readonly _options?: { readonly nodeAddressMap?: unknown };
  connect(): Promise<unknown>;
  sendCommand(
    key: string,
    isReadonly: boolean,
    args: readonly (string | Buffer)[],
    options: object,
  ): Promise<RedisReply>;
}

type MessageListener = (message: Buffer, channel: Buffer) => void;
type Subscribe = (
  channels: readonly string[],
  listener: MessageListener,
  isBinary: true,
) => Promise<void>;

// By the first byte of a type in RESP: the strings as bytes, what is written as text as text, and maps and sets flat.
const BINARY = {
  // We have our own; version 6 would make a timer and a signal for each command.
  timeout: 0,
  typeMapping: {
    36: Buffer,
    43: Buffer,
    61: Buffer,
    40: String,
    44: String,
    37: Array,
    126: Array,
  },
};

const CONNECTING_MS = 2_000;

const CLIENT_METHODS = ['connect', 'destroy', 'duplicate', 'sendCommand', 'on', 'off'];

export function nodeRedisDriver(client: unknown): RedisDriver | undefined {
  if (isNodeRedis(client)) return new ClientDriver(client);
  if (isNodeRedisCluster(client)) return new ClusterDriver(client);
  return undefined;
}

function isNodeRedis(client: unknown): client is NodeRedis {
  return hasMethods(client, [
    ...CLIENT_METHODS,
    'subscribe',
    'sSubscribe',
    'unsubscribe',
    'sUnsubscribe',
  ])
    ? 'isReady' in client && !('masters' in client)
    : false;
}

function isNodeRedisCluster(client: unknown): client is NodeRedisCluster {
  return hasMethods(client, [...CLIENT_METHODS, 'nodeClient'])
    ? 'masters' in client && 'isOpen' in client
    : false;
}

class ClientDriver implements RedisDriver {
  readonly isCluster = false;
  readonly #client: NodeRedis;

  constructor(client: NodeRedis) {
    this.#client = client;
  }

  get isReady(): boolean {
    return this.#client.isReady;
  }

  get isWhole(): boolean {
    return this.#client.isReady;
  }

  async connect(): Promise<void> {
    if (!this.#client.isOpen) await this.#client.connect();
  }

  send(_key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#client.sendCommand(args.map(encoded), BINARY);
  }

  listen(onChange: (error?: unknown) => void): () => void {
    return listenTo(this.#client, ['ready', 'reconnecting', 'end', 'error'], onChange);
  }

  link(handlers: LinkHandlers): RedisLink {
    return new NodeRedisLink(this.#client, {}, handlers);
  }

  clusterSlots(): Promise<never> {
    return Promise.reject(new Error('not a cluster'));
  }

  reachedAt(address: RedisAddress): RedisAddress {
    return address;
  }
}

class ClusterDriver implements RedisDriver {
  readonly isCluster = true;
  readonly #cluster: NodeRedisCluster;
  /** Whose settings new connections have. */
  #pattern: NodeRedis | undefined = undefined;
  #wasOpen = false;

  constructor(cluster: NodeRedisCluster) {
    this.#cluster = cluster;
  }

  get isReady(): boolean {
    return this.#cluster.isOpen && this.#cluster.masters.length > 0;
  }

  get isWhole(): boolean {
    // With `minimizeConnections` a master has no client until it is needed.
    const isReady = ({ client }: { client?: NodeRedis }): boolean => client?.isReady ?? true;
    return this.isReady && this.#cluster.masters.every(isReady);
  }

  async connect(): Promise<void> {
    // One that the application has closed stays closed.
    if (!this.#wasOpen && !this.#cluster.isOpen) await this.#cluster.connect();
  }

  send(key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#cluster.sendCommand(key, false, args.map(encoded), { ...BINARY });
  }

  listen(onChange: (error?: unknown) => void): () => void {
    const events = ['connect', 'disconnect', 'node-ready', 'node-reconnecting', 'node-disconnect'];
    return listenTo(this.#cluster, [...events, 'error', 'node-error'], onChange);
  }

  link(handlers: LinkHandlers, address: RedisAddress): RedisLink {
    const pattern = this.#findPattern();
    if (pattern === undefined) throw new Error('the client is not connected');
    return new NodeRedisLink(pattern, { host: address.host, port: address.port }, handlers);
  }

  async clusterSlots(): Promise<{ readonly reply: RedisReply; readonly host: string }> {
    await this.connect();
    await this.#firstMaster();
    let failure: unknown = new Error('the client is not connected');
    for (const { host, client } of this.#cluster.masters) {
      if (!client?.isReady) continue;
      try {
        return { reply: await client.sendCommand(['CLUSTER', 'SLOTS'], BINARY), host };
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  /** Waits for a client that the application is just connecting. */
  async #firstMaster(): Promise<void> {
    const until = performance.now() + CONNECTING_MS;
    while (!this.#wasOpen && this.#cluster.isOpen && performance.now() < until) {
      this.#wasOpen = this.#cluster.masters.some(({ client }) => client?.isReady);
      if (!this.#wasOpen) await sleep(10);
    }
  }

  #findPattern(): NodeRedis | undefined {
    const found = this.#cluster.masters.find(({ client }) => client !== undefined)?.client;
    this.#pattern = found ?? this.#pattern;
    return this.#pattern;
  }

  reachedAt(address: RedisAddress): RedisAddress {
    return mappedAddress(this.#cluster._options?.nodeAddressMap, address);
  }
}

class NodeRedisLink implements RedisLink {
  readonly skipsKnown = true;
  readonly #client: NodeRedis;
  readonly #handlers: LinkHandlers;
  readonly #onMessage: MessageListener;
  #state: 'new' | 'open' | 'ended' = 'new';

  constructor(pattern: NodeRedis, address: object, handlers: LinkHandlers) {
    this.#client = pattern.duplicate({
      // It never connects again: whoever has it makes another, so that nothing is subscribed behind our back.
      socket: { ...pattern.options?.socket, ...address, reconnectStrategy: false },
      ...('host' in address ? { url: undefined } : {}),
      disableOfflineQueue: true,
      clientSideCache: undefined,
    });
    this.#handlers = handlers;
    this.#onMessage = (message, channel) => {
      if (this.#state === 'open') handlers.message(channel, message);
    };
    this.#client.on('error', (error) => this.#end(error));
    this.#client.on('end', () => this.#end(new Error('the connection has ended')));
    this.#client.on('sharded-channel-moved', (channel) => {
      if (this.#state === 'open') handlers.moved(String(channel));
    });
  }

  async open(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      this.destroy();
      throw error;
    }
    if (this.#state === 'new') this.#state = 'open';
    if (this.#state === 'ended') throw new Error('the connection has ended');
  }

  send(args: readonly RedisArgument[]): Promise<RedisReply> {
    return this.#client.sendCommand(args.map(encoded), BINARY);
  }

  subscribe(kind: PubSubKind, channels: readonly string[]): Promise<void> {
    return kind === 'sharded'
      ? this.#client.sSubscribe(channels, this.#onMessage, true)
      : this.#client.subscribe(channels, this.#onMessage, true);
  }

  unsubscribe(kind: PubSubKind, channels: readonly string[]): Promise<void> {
    return kind === 'sharded'
      ? this.#client.sUnsubscribe(channels, this.#onMessage, true)
      : this.#client.unsubscribe(channels, this.#onMessage, true);
  }

  destroy(): void {
    this.#state = 'ended';
    try {
      this.#client.destroy();
    } catch {
      // Version 5 throws where it is closed already.
    }
  }

  #end(error: unknown): void {
    const wasOpen = this.#state === 'open';
    if (this.#state === 'ended') return;
    this.destroy();
    if (wasOpen) this.#handlers.lost(error);
  }
}
