import {
  type Emitter,
  encoded,
  hasMethods,
  type Listener,
  listenTo,
  mappedAddress,
} from './client-shape.ts';
import type {
  LinkHandlers,
  PubSubKind,
  RedisAddress,
  RedisArgument,
  RedisDriver,
  RedisLink,
  RedisReply,
} from './redis-driver.ts';

/** A client of ioredis 5 or 6, by what is used of it. */
interface Ioredis extends Emitter {
  /** What it has subscribed to, if anything. */
  readonly condition?: {
    readonly subscriber?: false | { channels(kind: 'ssubscribe'): readonly string[] };
  };
  readonly status: string;
  readonly options: { readonly host?: string; readonly port?: number };
  connect(): Promise<void>;
  disconnect(): void;
  duplicate(overrides: object): Ioredis;
  callBuffer(command: string, ...args: readonly (string | Buffer)[]): Promise<RedisReply>;
  subscribe(...channels: readonly string[]): Promise<unknown>;
  ssubscribe(...channels: readonly string[]): Promise<unknown>;
  unsubscribe(...channels: readonly string[]): Promise<unknown>;
  sunsubscribe(...channels: readonly string[]): Promise<unknown>;
}

interface IoredisCluster extends Emitter {
  readonly isCluster: true;
  readonly status: string;
  readonly options: { readonly natMap?: unknown };
  readonly slots: readonly (readonly string[] | undefined)[];
  connect(): Promise<void>;
  nodes(role: 'all' | 'master'): readonly Ioredis[];
  refreshSlotsCache(callback: () => void): void;
  callBuffer(command: string, ...args: readonly (string | Buffer)[]): Promise<RedisReply>;
}

const METHODS = ['connect', 'disconnect', 'duplicate', 'callBuffer', 'on', 'off'];
const STATES = ['ready', 'close', 'end', 'reconnecting', 'error'];

export function ioredisDriver(client: unknown): RedisDriver | undefined {
  if (isIoredisCluster(client)) return new ClusterDriver(client);
  if (isIoredis(client)) return new ClientDriver(client);
  return undefined;
}

function isIoredis(client: unknown): client is Ioredis {
  return (
    hasMethods(client, [...METHODS, 'subscribe', 'ssubscribe', 'unsubscribe', 'sunsubscribe']) &&
    'status' in client &&
    'options' in client
  );
}

function isIoredisCluster(client: unknown): client is IoredisCluster {
  return (
    hasMethods(client, [...METHODS, 'nodes', 'refreshSlotsCache']) &&
    'isCluster' in client &&
    client.isCluster === true &&
    'slots' in client &&
    'status' in client
  );
}

class ClientDriver implements RedisDriver {
  readonly isCluster = false;
  readonly #client: Ioredis;

  constructor(client: Ioredis) {
    this.#client = client;
  }

  get isReady(): boolean {
    return this.#client.status === 'ready';
  }

  get isWhole(): boolean {
    return this.isReady;
  }

  async connect(): Promise<void> {
    if (this.#client.status === 'wait') await this.#client.connect();
  }

  send(_key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return call(this.#client, args);
  }

  listen(onChange: (error?: unknown) => void): () => void {
    return listenTo(this.#client, STATES, onChange);
  }

  link(handlers: LinkHandlers): RedisLink {
    return new IoredisLink(this.#client, {}, handlers);
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
  readonly #cluster: IoredisCluster;
  /** Whose settings new connections have. */
  #pattern: Ioredis | undefined = undefined;

  constructor(cluster: IoredisCluster) {
    this.#cluster = cluster;
  }

  get isReady(): boolean {
    return this.#cluster.status === 'ready';
  }

  get isWhole(): boolean {
    if (!this.isReady) return false;
    const known = new Set(this.#cluster.nodes('master').map(addressOf));
    const isWhole = this.#cluster.slots.every((owners) => known.has(owners?.[0] ?? ''));
    // A node that it has lost is looked for by the next command, which may be long in coming.
    if (!isWhole) this.#cluster.refreshSlotsCache(() => {});
    return isWhole;
  }

  async connect(): Promise<void> {
    if (this.#cluster.status === 'wait') await this.#cluster.connect();
  }

  send(_key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    return call(this.#cluster, args);
  }

  listen(onChange: (error?: unknown) => void): () => void {
    return listenTo(this.#cluster, [...STATES, '+node', '-node', 'node error'], onChange);
  }

  link(handlers: LinkHandlers, address: RedisAddress): RedisLink {
    const pattern = this.#findPattern();
    if (pattern === undefined) throw new Error('the client is not connected');
    return new IoredisLink(pattern, { host: address.host, port: address.port }, handlers);
  }

  async clusterSlots(): Promise<{ readonly reply: RedisReply; readonly host: string }> {
    await this.connect();
    let failure: unknown = new Error('the client is not connected');
    this.#findPattern();
    for (const node of this.#cluster.nodes('all')) {
      if (node.status !== 'ready' && node.status !== 'wait') continue;
      try {
        const reply = await node.callBuffer('CLUSTER', 'SLOTS');
        return { reply, host: node.options.host ?? '127.0.0.1' };
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  reachedAt(address: RedisAddress): RedisAddress {
    return mappedAddress(this.#cluster.options.natMap, address);
  }

  #findPattern(): Ioredis | undefined {
    this.#pattern = this.#cluster.nodes('all')[0] ?? this.#pattern;
    return this.#pattern;
  }
}

class IoredisLink implements RedisLink {
  readonly skipsKnown = false;
  readonly #client: Ioredis;
  readonly #handlers: LinkHandlers;
  #state: 'new' | 'open' | 'ended' = 'new';
  #error: unknown = undefined;
  #isLooking = false;

  constructor(pattern: Ioredis, address: object, handlers: LinkHandlers) {
    this.#client = pattern.duplicate({
      ...address,
      lazyConnect: true,
      // It never connects again: whoever has it makes another, so that nothing is subscribed or sent again behind our back.
      retryStrategy: null,
      reconnectOnError: null,
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      enableAutoPipelining: false,
      monitor: false,
      readOnly: false,
      keyPrefix: '',
      disconnectTimeout: 100,
    });
    this.#handlers = handlers;
    const onMessage: Listener = (channel, bytes) => {
      if (this.#state !== 'open') return;
      if (channel instanceof Uint8Array && bytes instanceof Uint8Array) {
        handlers.message(channel, bytes);
      }
    };
    this.#client.on('messageBuffer', onMessage);
    this.#client.on('smessageBuffer', onMessage);
    this.#client.on('moved', () => this.#lookWhatMoved());
    this.#client.on('error', (error) => {
      this.#error = error;
      // Also where it has lost count of its commands.
      if (this.#state === 'open') this.#end();
    });
    this.#client.on('close', () => this.#end());
    this.#client.on('end', () => this.#end());
  }

  async open(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      const cause = this.#error ?? error;
      this.destroy();
      throw cause;
    }
    if (this.#state === 'new') this.#state = 'open';
    if (this.#state === 'ended') throw this.#error ?? new Error('the connection has ended');
  }

  send(args: readonly RedisArgument[]): Promise<RedisReply> {
    return call(this.#client, args);
  }

  async subscribe(kind: PubSubKind, channels: readonly string[]): Promise<void> {
    if (kind === 'sharded') await this.#client.ssubscribe(...channels);
    else await this.#client.subscribe(...channels);
  }

  async unsubscribe(kind: PubSubKind, channels: readonly string[]): Promise<void> {
    if (kind === 'sharded') await this.#client.sunsubscribe(...channels);
    else await this.#client.unsubscribe(...channels);
  }

  destroy(): void {
    this.#state = 'ended';
    this.#client.disconnect();
  }

  /** It says that a channel has moved, or several at once, and not which: those that it has no longer. */
  #lookWhatMoved(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    setImmediate(() => {
      this.#isLooking = false;
      if (this.#state !== 'open') return;
      const known = this.#client.condition?.subscriber;
      const kept = known instanceof Object ? known.channels('ssubscribe') : [];
      this.#handlers.moved(new Set(kept));
    });
  }

  #end(): void {
    const wasOpen = this.#state === 'open';
    if (this.#state === 'ended') return;
    this.destroy();
    if (wasOpen) this.#handlers.lost(this.#error ?? new Error('the connection has ended'));
  }
}

function call(
  client: Pick<Ioredis, 'callBuffer'>,
  args: readonly RedisArgument[],
): Promise<RedisReply> {
  const [name, ...rest] = args;
  return client.callBuffer(String(name), ...rest.map(encoded));
}

function addressOf(node: Ioredis): string {
  return `${node.options.host}:${node.options.port}`;
}
