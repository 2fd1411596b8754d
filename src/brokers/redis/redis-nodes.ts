import { keySlot } from './key-slot.ts';
import type { RedisClient } from './redis-client.ts';
import type {
  MovedChannels,
  PubSubKind,
  RedisLink,
  RedisNode,
  RedisReply,
} from './redis-driver.ts';

/** The connections to one node: publishing does not wait behind what is received. */
export interface NodeLinks {
  /** Undefined where there is only one. */
  readonly node: RedisNode | undefined;
  readonly subscriber: RedisLink;
  readonly publisher: RedisLink;
  /** False from when one of them is lost, for good. */
  isOpen: boolean;
}

export interface NodesSettings {
  readonly sharded: boolean | undefined;
  /** How long an answer may take. */
  readonly timeoutMs: number;
}

export interface NodesHandlers {
  message(channel: Uint8Array, bytes: Uint8Array): void;
  /** There are connections to every node: after `start`, and after each `down`. */
  up(): void;
  down(error: unknown): void;
  /** What its node has given away. `moved` follows. */
  lost(links: NodeLinks, channels: MovedChannels): void;
  /** Channels may have other owners, or some were lost. */
  moved(): void;
}

const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2_000;
const ALONE = '';

/** Connections to one Redis, or to all masters of a cluster, kept up until `close`. */
export class RedisNodes {
  readonly #client: RedisClient;
  readonly #settings: NodesSettings;
  readonly #handlers: NodesHandlers;
  readonly #links = new Map<string, NodeLinks>();
  readonly #opening = new Set<NodeLinks>();
  /** As they were told last. */
  #nodes: readonly (RedisNode | undefined)[] = [];
  #owners: readonly (NodeLinks | undefined)[] = [];
  #kind: PubSubKind | undefined = undefined;
  #isUp = false;
  /** Why it counts as away. */
  #told: string | undefined = undefined;
  #isClosed = false;
  #failures = 0;
  #retry: NodeJS.Timeout | undefined = undefined;
  #check: NodeJS.Timeout | undefined = undefined;
  #unlisten: (() => void) | undefined = undefined;
  #attempt: Promise<void> | undefined = undefined;
  #again = false;
  /** Who is to be asked for the slots next. */
  #giver: NodeLinks | undefined = undefined;

  constructor(client: RedisClient, settings: NodesSettings, handlers: NodesHandlers) {
    this.#client = client;
    this.#settings = settings;
    this.#handlers = handlers;
  }

  get isCluster(): boolean {
    return this.#client.isCluster;
  }

  /** As long as it is not known, no channel has an owner. */
  get kind(): PubSubKind {
    return this.#kind ?? 'classic';
  }

  /** Resolves once `up` or `down` was told. */
  async start(): Promise<void> {
    // A connection that is dead without having ended is found by asking; in a cluster, so are the slots.
    this.#check = setInterval(() => this.#lookAfter(), this.#settings.timeoutMs / 2).unref();
    this.#unlisten = this.#client.swallowErrors();
    await this.refresh();
  }

  /** Who has the channel, if there is a connection to it. */
  ownerOf(channel: string): NodeLinks | undefined {
    if (this.#kind === undefined) return undefined;
    const links = this.isCluster ? this.#owners[keySlot(channel)] : this.#links.get(ALONE);
    return links?.isOpen ? links : undefined;
  }

  /**
   * Connects to what is missing, and in a cluster asks who has which slots. What comes of it is told to the handlers.
   * @param giver who has given channels away: the others may not know yet.
   */
  refresh(giver?: NodeLinks): Promise<void> {
    this.#giver = giver ?? this.#giver;
    if (this.#attempt !== undefined) {
      this.#again = true;
      return this.#attempt;
    }
    this.#attempt = this.#attemptAll();
    return this.#attempt;
  }

  /** Counts as away until it has been refreshed. */
  fail(error: unknown): void {
    if (this.#isClosed) return;
    this.#isUp = false;
    const reason = error instanceof Error ? error.message : String(error);
    if (reason !== this.#told) this.#handlers.down(error);
    this.#told = reason;
    if (this.#attempt !== undefined) this.#again = true;
    else this.#retryLater();
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#check);
    this.#unlisten?.();
    this.#unlisten = undefined;
    clearTimeout(this.#retry);
    for (const links of [...this.#links.values(), ...this.#opening]) drop(links);
    this.#links.clear();
    this.#owners = [];
  }

  async #attemptAll(): Promise<void> {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    let failure: { error: unknown } | undefined;
    do {
      this.#again = false;
      failure = undefined;
      try {
        await this.#connect();
      } catch (error) {
        failure = { error };
      }
    } while (this.#again && failure === undefined && !this.#isClosed);
    this.#attempt = undefined;
    this.#again = false;
    if (this.#isClosed) {
      this.close();
      return;
    }
    if (failure === undefined) {
      this.#failures = 0;
      if (this.#isUp) return;
      this.#isUp = true;
      this.#told = undefined;
      this.#handlers.up();
      return;
    }
    this.#failures++;
    this.fail(failure.error);
  }

  #retryLater(): void {
    if (this.#retry !== undefined) return;
    const backoff = Math.min(FIRST_RETRY_MS * 2 ** Math.max(0, this.#failures - 1), LAST_RETRY_MS);
    // Half of it at random: so all nodes of an application do not come at once.
    this.#retry = setTimeout(() => void this.refresh(), backoff * (0.5 + Math.random() / 2));
  }

  async #connect(): Promise<void> {
    const giver = this.#giver;
    this.#giver = undefined;
    const nodes = this.isCluster ? await this.#within(this.#askForNodes(giver)) : [undefined];
    this.#nodes = nodes;
    const keys = nodes.map(keyOf);
    for (const [key, links] of this.#links) {
      if (keys.includes(key)) continue;
      this.#links.delete(key);
      drop(links);
    }
    await allDone(nodes.map((node) => this.#connectTo(node)));
    if (this.#isClosed) return;
    await this.#within(this.#chooseKind());
    if (this.isCluster) await this.#within(this.#checkState());
    this.#assignSlots(nodes, giver !== undefined);
  }

  async #askForNodes(giver: NodeLinks | undefined): Promise<readonly RedisNode[]> {
    const open = [...this.#links.values()].filter(({ isOpen }) => isOpen);
    const links = giver?.isOpen ? giver : (open[0] ?? (await this.#connectToOne()));
    if (links?.node === undefined) return await this.#client.nodes();
    return await this.#client.nodes({ link: links.publisher, host: links.node.host });
  }

  /** To any of the nodes that there were, which come back before the client knows it. */
  async #connectToOne(): Promise<NodeLinks | undefined> {
    let failure: { error: unknown } | undefined;
    for (const node of this.#nodes) {
      try {
        await this.#connectTo(node);
        return this.#links.get(keyOf(node));
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure === undefined) return undefined;
    try {
      await this.#client.nodes();
    } catch {
      // What the nodes themselves say is clearer.
      throw failure.error;
    }
    return undefined;
  }

  async #connectTo(node: RedisNode | undefined): Promise<void> {
    const key = keyOf(node);
    if (this.#links.get(key)?.isOpen) return;
    let links: NodeLinks | undefined;
    let early: { error: unknown } | undefined;
    const { message } = this.#handlers;
    const lost = (error: unknown): void => {
      if (links === undefined) early ??= { error };
      else this.#lose(links, error);
    };
    const moved = (channels: MovedChannels): void => {
      if (links === undefined) return;
      this.#handlers.lost(links, channels);
      void this.refresh(links);
    };
    const subscriber = this.#client.link({ message, lost, moved }, node);
    const publisher = this.#client.link({ message, lost, moved }, node);
    const opening = { node, subscriber, publisher, isOpen: true };
    this.#opening.add(opening);
    try {
      await this.#within(allDone([subscriber.open(), publisher.open()]));
      // One may have been lost while the other was opened.
      if (early !== undefined) throw early.error;
    } catch (error) {
      drop(opening);
      throw error;
    } finally {
      this.#opening.delete(opening);
    }
    links = opening;
    this.#links.set(key, links);
  }

  #lose(links: NodeLinks, error: unknown): void {
    if (!links.isOpen) return;
    drop(links);
    this.fail(error);
  }

  async #chooseKind(): Promise<void> {
    const links = [...this.#links.values()];
    const versions = await Promise.all(links.map(({ publisher }) => majorVersion(publisher)));
    const isSharded = this.#settings.sharded ?? versions.every((version) => version >= 7);
    const kind = isSharded ? 'sharded' : 'classic';
    if (this.#kind !== undefined && this.#kind !== kind) {
      // What is subscribed is of the other kind.
      for (const links of this.#links.values()) drop(links);
      this.#links.clear();
      this.#kind = undefined;
      throw new Error('Redis has changed its version');
    }
    this.#kind = kind;
  }

  /** A cluster that has lost a node refuses everything for a while, also after it is back. */
  async #checkState(): Promise<void> {
    for (const { publisher } of this.#links.values()) {
      const info = text(await publisher.send(['CLUSTER', 'INFO']));
      if (!info.includes('cluster_state:ok')) throw new Error('the cluster is down');
    }
  }

  #assignSlots(nodes: readonly (RedisNode | undefined)[], hasGiver: boolean): void {
    if (!this.isCluster) return;
    const owners: (NodeLinks | undefined)[] = [];
    for (const node of nodes) {
      const links = this.#links.get(keyOf(node));
      for (const [first, last] of node?.slots ?? []) {
        for (let slot = first; slot <= last; slot++) owners[slot] = links;
      }
    }
    const isSame = owners.every((links, slot) => links === this.#owners[slot]);
    this.#owners = owners;
    if (!isSame || hasGiver) this.#handlers.moved();
  }

  #within<T>(promise: Promise<T>): Promise<T> {
    const { timeoutMs } = this.#settings;
    return new Promise((resolve, reject) => {
      const tooLate = (): void => reject(new Error(`no answer within ${timeoutMs} ms`));
      // Where this process was what stood still, the answer may be there to be read.
      const timer = setTimeout(() => setImmediate(tooLate), timeoutMs);
      promise.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  #lookAfter(): void {
    for (const links of this.#links.values()) {
      const signs = [links.subscriber, links.publisher].map(signOfLife);
      this.#within(Promise.all(signs)).catch((error: unknown) => {
        this.#lose(links, error);
      });
    }
    if (this.isCluster && this.#attempt === undefined) void this.refresh();
  }
}

function keyOf(node: RedisNode | undefined): string {
  return node === undefined ? ALONE : `${node.host}:${node.port}`;
}

function drop(links: NodeLinks): void {
  links.isOpen = false;
  links.subscriber.destroy();
  links.publisher.destroy();
}

let signs = 0;

/** A client can lose count where Redis says something unasked: answers then go to the wrong commands. */
async function signOfLife(link: RedisLink): Promise<void> {
  const sign = String(++signs);
  const reply = await link.send(['PING', sign]);
  // By RESP2, on a connection that is subscribed, it is ["pong", sign].
  const answer: RedisReply | undefined = Array.isArray(reply) ? reply.at(-1) : reply;
  if (answer === undefined || text(answer) !== sign) throw new Error('the answers are mixed up');
}

/** Of Redis, or what it says it is compatible with. HELLO needs no permission, and came with version 6. */
async function majorVersion(link: RedisLink): Promise<number> {
  let reply: RedisReply;
  try {
    reply = await link.send(['HELLO']);
  } catch (error) {
    if (error instanceof Error && /unknown command/i.test(error.message)) return 0;
    throw error;
  }
  const pairs = Array.isArray(reply) ? reply.map(text) : [];
  return Number.parseInt(pairs[pairs.indexOf('version') + 1] ?? '', 10) || 0;
}

function text(reply: RedisReply): string {
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : String(reply);
}

/** Like Promise.all, but waits for those that others have failed before, so that nothing goes on behind it. */
async function allDone(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === 'rejected') throw result.reason;
  }
}
