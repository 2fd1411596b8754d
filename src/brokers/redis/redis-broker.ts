import { setTimeout as sleep } from 'node:timers/promises';
import type { ApertoError } from '../../protocol/aperto-error.ts';
import { apertoError } from '../../protocol/errors.ts';
import type { Broker, BrokerHost } from '../../topics/broker.ts';
import { engineAway } from '../engine-away.ts';
import { keySlot } from './key-slot.ts';
import { ANSWER_MS, type RedisClient, type RedisClientLike, redisClient } from './redis-client.ts';
import type { MovedChannels, RedisArgument } from './redis-driver.ts';
import { type NodeLinks, type NodesSettings, RedisNodes } from './redis-nodes.ts';

export interface RedisBrokerOptions {
  /**
   * A client of `redis` (5 or 6: `createClient`, `createCluster`) or `ioredis` (`Redis`, `Cluster`). Its settings are what the
   * broker connects with, on two connections of its own to each node. The client itself is left alone, except that one of a
   * cluster is connected where it was not, and stays so.
   */
  readonly client: RedisClientLike;
  /** What the names of channels begin with. Default `'aperto:'`. */
  readonly prefix?: string;
  /**
   * Whether to use sharded pub/sub, by which the nodes of a cluster share the work. Default: where Redis, all nodes of it,
   * is of version 7 or later, looked up at each connection. Who publishes in one way is not heard by who subscribes in
   * the other; so set it to false on all nodes before a cluster is upgraded from version 6 node by node, and
   * remove it afterwards with all nodes restarted together. Where it is true and Redis is older, subscribing rejects.
   */
  readonly sharded?: boolean;
  /** How long Redis may be silent before it counts as away. Default 10,000 ms. */
  readonly timeoutMs?: number;
}

/** How many channels a command subscribes to: Redis does nothing else meanwhile. */
const BATCH = 1_000;
const NO_CONNECTION = 'there is no connection to Redis';
/** How often a command is sent after channels that have moved to another node. */
const MOVES = 5;
const MOVE_MS = 100;

/**
 * Carries topics over Redis's pub/sub, at most once: what Redis drops, or what is published while a connection is lost,
 * is gone, and `down`, `up` and `gap` tell of it.
 * @throws {ApertoError} INVALID_OPTION
 */
export function redisBroker(options: RedisBrokerOptions): Broker {
  const { client, prefix = 'aperto:', sharded, timeoutMs = ANSWER_MS } = options;
  if (typeof prefix !== 'string') {
    throw apertoError('INVALID_OPTION', { detail: 'prefix must be a string' });
  }
  if (sharded !== undefined && typeof sharded !== 'boolean') {
    throw apertoError('INVALID_OPTION', { detail: 'sharded must be true or false' });
  }
  if (!(Number.isInteger(timeoutMs) && timeoutMs > 0)) {
    throw apertoError('INVALID_OPTION', { detail: 'timeoutMs must be a whole number above zero' });
  }
  return new RedisBroker(redisClient(client), prefix, { sharded, timeoutMs });
}

class RedisBroker implements Broker {
  readonly #prefix: string;
  readonly #nodes: RedisNodes;
  /** Where each channel is subscribed; only in a cluster, where channels can move. */
  readonly #places = new Map<string, NodeLinks>();
  /** Those of them that a node has given away. */
  readonly #lost = new Set<string>();
  #host: BrokerHost | undefined = undefined;
  #isStarted = false;
  #last: Promise<void> = Promise.resolve();

  constructor(client: RedisClient, prefix: string, settings: NodesSettings) {
    this.#prefix = prefix;
    this.#nodes = new RedisNodes(client, settings, {
      message: (channel, bytes) => this.#received(channel, bytes),
      up: () => this.#host?.up(),
      down: (error) => this.#host?.down(engineAway(error)),
      lost: (links, channels) => this.#lose(links, channels),
      moved: () => void this.#oneAtATime(() => this.#follow()),
    });
  }

  async start(host: BrokerHost): Promise<void> {
    if (this.#isStarted) {
      throw apertoError('INVALID_OPTION', { detail: 'a broker is for one server alone' });
    }
    this.#isStarted = true;
    this.#host = host;
    await this.#nodes.start();
  }

  subscribe(topics: readonly string[]): Promise<void> {
    const channels = topics.map((topic) => this.#prefix + topic);
    return this.#oneAtATime(() => this.#subscribe(channels));
  }

  unsubscribe(topics: readonly string[]): Promise<void> {
    const channels = topics.map((topic) => this.#prefix + topic);
    return this.#oneAtATime(() => this.#unsubscribe(channels));
  }

  publish(topic: string, bytes: Uint8Array): Promise<void> {
    const channel = this.#prefix + topic;
    const links = this.#nodes.ownerOf(channel);
    if (links === undefined) return Promise.reject(engineAway(NO_CONNECTION));
    const command = [this.#nodes.kind === 'sharded' ? 'SPUBLISH' : 'PUBLISH', channel, bytes];
    return links.publisher.send(command).then(noReply, async (error: unknown) => {
      if (!hasMoved(error)) throw this.#refused(error);
      await this.#nodes.refresh(links);
      await this.#publishToNewOwner(channel, command);
    });
  }

  async close(): Promise<void> {
    this.#host = undefined;
    this.#nodes.close();
    this.#places.clear();
    this.#lost.clear();
  }

  #received(channel: Uint8Array, bytes: Uint8Array): void {
    const name = Buffer.from(channel.buffer, channel.byteOffset, channel.length).toString();
    this.#host?.received(name.slice(this.#prefix.length), bytes);
  }

  async #publishToNewOwner(channel: string, command: readonly RedisArgument[]): Promise<void> {
    const links = this.#nodes.ownerOf(channel);
    if (links === undefined) throw engineAway(NO_CONNECTION);
    try {
      await links.publisher.send(command);
    } catch (error) {
      throw this.#refused(error);
    }
  }

  #refused(error: unknown): ApertoError {
    if (hasPrefix(error, 'CLUSTERDOWN ')) this.#nodes.fail(error);
    return engineAway(error);
  }

  async #subscribe(channels: readonly string[]): Promise<void> {
    let rest = channels;
    for (let moves = 0; ; moves++) {
      const { moved, giver } = await this.#subscribeOnce(rest);
      if (moved.length === 0) return;
      if (moves === MOVES) throw new Error('the slots of the cluster are being moved');
      rest = moved;
      await sleep(MOVE_MS);
      await this.#nodes.refresh(giver);
    }
  }

  /** Resolves to those that have moved to another node, and one that knows. */
  async #subscribeOnce(
    channels: readonly string[],
  ): Promise<{ readonly moved: readonly string[]; readonly giver: NodeLinks | undefined }> {
    const { kind, isCluster } = this.#nodes;
    const batches = this.#batches(channels, (channel) => this.#nodes.ownerOf(channel));
    const results = await Promise.allSettled(
      batches.map(({ links, batch }) => links.subscriber.subscribe(kind, batch)),
    );
    const moved: string[] = [];
    let giver: NodeLinks | undefined;
    let failure: { error: unknown } | undefined;
    for (const [index, { links, batch }] of batches.entries()) {
      const result = results[index];
      if (result?.status === 'fulfilled') {
        for (const channel of isCluster ? batch : []) this.#places.set(channel, links);
      } else if (hasMoved(result?.reason)) {
        moved.push(...batch);
        giver = links;
      } else failure = { error: result?.reason };
    }
    if (failure !== undefined) throw failure.error;
    return { moved, giver };
  }

  async #unsubscribe(channels: readonly string[]): Promise<void> {
    const { kind, isCluster } = this.#nodes;
    const placeOf = (channel: string): NodeLinks | undefined =>
      isCluster ? this.#places.get(channel) : this.#nodes.ownerOf(channel);
    // In a cluster, what has no place is not subscribed.
    const placed = isCluster ? channels.filter((channel) => this.#places.has(channel)) : channels;
    const batches = this.#batches(placed, placeOf);
    for (const channel of channels) {
      this.#places.delete(channel);
      this.#lost.delete(channel);
    }
    const results = await Promise.allSettled(
      batches.map(({ links, batch }) => links.subscriber.unsubscribe(kind, batch)),
    );
    for (const result of results) {
      if (result.status === 'rejected' && !hasMoved(result.reason)) throw result.reason;
    }
  }

  #lose(links: NodeLinks, channels: MovedChannels): void {
    if (typeof channels === 'string') {
      this.#lost.add(channels);
      return;
    }
    for (const [channel, place] of this.#places) {
      if (place === links && !channels.has(channel)) this.#lost.add(channel);
    }
  }

  /** Subscribes anew to what has moved from node to node, and tells the host that messages may be missing. */
  async #follow(): Promise<void> {
    const moved: string[] = [];
    const left = new Map<NodeLinks, string[]>();
    for (const [channel, links] of this.#places) {
      const owner = this.#nodes.ownerOf(channel);
      // Without its connection it is subscribed to again after `up`.
      if (!links.isOpen) this.#places.delete(channel);
      if (owner === undefined || !links.isOpen) continue;
      if (owner === links && !this.#lost.has(channel)) continue;
      moved.push(channel);
      const channels = left.get(links);
      if (channels === undefined) left.set(links, [channel]);
      else channels.push(channel);
    }
    this.#lost.clear();
    if (moved.length === 0) return;
    try {
      const { kind } = this.#nodes;
      const leaving = [...left].flatMap(([links, channels]) => {
        // A node that has given a slot away has forgotten its channels, and refuses to be asked; not so the client.
        if (kind === 'sharded' && !links.subscriber.skipsKnown) return [];
        return this.#batches(channels, () => links).map(({ batch }) =>
          links.subscriber.unsubscribe(kind, batch),
        );
      });
      await Promise.allSettled(leaving);
      await this.#subscribe(moved);
      this.#host?.gap(moved.map((channel) => channel.slice(this.#prefix.length)));
    } catch (error) {
      this.#nodes.fail(error);
    }
  }

  /** What one command can subscribe to: of one node, and of one slot where slots matter. */
  #batches(
    channels: readonly string[],
    placeOf: (channel: string) => NodeLinks | undefined,
  ): { links: NodeLinks; batch: string[] }[] {
    const { kind, isCluster } = this.#nodes;
    const batches: { links: NodeLinks; batch: string[] }[] = [];
    const open = new Map<NodeLinks | number, string[]>();
    for (const channel of channels) {
      const links = placeOf(channel);
      if (links === undefined || !links.isOpen) throw new Error(NO_CONNECTION);
      const group = isCluster && kind === 'sharded' ? keySlot(channel) : links;
      const batch = open.get(group);
      if (batch !== undefined && batch.length < BATCH) batch.push(channel);
      else {
        const first = [channel];
        open.set(group, first);
        batches.push({ links, batch: first });
      }
    }
    return batches;
  }

  /** So that what moves and what is unsubscribed do not cross. Rejects with ENGINE_AWAY. */
  #oneAtATime(task: () => Promise<void>): Promise<void> {
    const openTask = (): Promise<void> => {
      if (this.#host === undefined) throw new Error('the broker is not open');
      return task();
    };
    const done = this.#last.then(openTask).catch((error: unknown) => {
      throw this.#refused(error);
    });
    this.#last = done.catch(() => {});
    return done;
  }
}

function noReply(): void {}

function hasMoved(error: unknown): boolean {
  return hasPrefix(error, 'MOVED ');
}

function hasPrefix(error: unknown, prefix: string): boolean {
  return error instanceof Error && error.message.startsWith(prefix);
}
