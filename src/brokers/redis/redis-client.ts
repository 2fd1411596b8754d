import { createHash } from 'node:crypto';
import { apertoError } from '../../protocol/errors.ts';
import { engineAway } from '../engine-away.ts';
import { parseClusterSlots } from './cluster-nodes.ts';
import { ioredisDriver } from './ioredis-driver.ts';
import { nodeRedisDriver } from './node-redis-driver.ts';
import type {
  LinkHandlers,
  RedisAddress,
  RedisArgument,
  RedisDriver,
  RedisLink,
  RedisNode,
  RedisReply,
} from './redis-driver.ts';

/**
 * A client of `redis` (node-redis 5 and 6: `createClient`, `createCluster`) or of `ioredis` (`Redis`, `Cluster`), known
 * by its shape.
 */
export interface RedisClientLike {
  duplicate(...args: never): unknown;
  on(event: string, listener: (...args: unknown[]) => void): unknown;
}

/** A Lua script, made by `redisScript`. */
export interface RedisScript {
  readonly source: string;
  readonly sha1: string;
}

export interface RedisWatcher {
  up(): void;
  down(error: unknown): void;
}

/** How long Redis may take to answer a command before it counts as away. */
export const ANSWER_MS = 10_000;
/** How often a cluster is looked at by a watcher: not every client tells when one of the nodes is back. */
const LOOK_MS = 1_000;

export function redisScript(source: string): RedisScript {
  return { source, sha1: createHash('sha1').update(source).digest('hex') };
}

/** @throws {ApertoError} INVALID_OPTION for a client of another shape. */
export function redisClient(client: unknown): RedisClient {
  const driver = nodeRedisDriver(client) ?? ioredisDriver(client);
  if (driver !== undefined) return new RedisClient(driver);
  throw apertoError('INVALID_OPTION', {
    detail:
      'client must be one of node-redis (createClient, createCluster) or of ioredis (Redis, Cluster)',
  });
}

/** The application's client, whichever it is. Nothing here closes it. */
export class RedisClient {
  readonly #driver: RedisDriver;
  /** When each command that is not answered was sent, oldest first. */
  readonly #unanswered = new Map<object, number>();

  constructor(driver: RedisDriver) {
    this.#driver = driver;
  }

  get isCluster(): boolean {
    return this.#driver.isCluster;
  }

  /** Whether commands are sent, rather than rejected at once. */
  get isReady(): boolean {
    return this.#driver.isReady;
  }

  /** Connects where the application has not, and waits for nothing: how it goes is told to watchers. */
  connect(): void {
    this.#driver.connect().catch(() => {});
  }

  /**
   * Sends one command. `key` says which node of a cluster it is for. Strings in the reply are bytes, maps are flat arrays.
   * @throws {ApertoError} ENGINE_AWAY: at once where the connection is away, so that nothing waits in the client's queue;
   * where it is lost before the answer or none comes within `ANSWER_MS`; and where Redis refuses, with its error as the cause.
   */
  command(key: string, args: readonly RedisArgument[]): Promise<RedisReply> {
    const oldest = this.#unanswered.values().next().value;
    const now = performance.now();
    if (!this.#driver.isReady) return Promise.reject(engineAway('the client is not connected'));
    // What was given up still waits in the client: more must not be heaped upon it.
    if (oldest !== undefined && now - oldest > ANSWER_MS) return Promise.reject(noAnswer());
    const sent = {};
    this.#unanswered.set(sent, now);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(noAnswer()), ANSWER_MS);
      this.#driver.send(key, args).then(
        (reply) => {
          clearTimeout(timer);
          this.#unanswered.delete(sent);
          resolve(reply);
        },
        (error: unknown) => {
          clearTimeout(timer);
          this.#unanswered.delete(sent);
          reject(engineAway(error));
        },
      );
    });
  }

  /** Runs a script by EVALSHA, or EVAL where Redis does not know it yet. All keys are of one slot. Throws as `command`. */
  async script(
    script: RedisScript,
    keys: readonly [string, ...string[]],
    args: readonly RedisArgument[],
  ): Promise<RedisReply> {
    const rest = [String(keys.length), ...keys, ...args];
    try {
      return await this.command(keys[0], ['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      const cause = error instanceof Error ? error.cause : undefined;
      if (!(cause instanceof Error && cause.message.startsWith('NOSCRIPT'))) throw error;
      return await this.command(keys[0], ['EVAL', script.source, ...rest]);
    }
  }

  /** The client's `error` events end the process where nobody listens. Returns what ends it. */
  swallowErrors(): () => void {
    return this.#driver.listen(() => {});
  }

  /**
   * Tells whether the client is connected, at once and whenever it changes; a cluster is while all its masters are. Swallows
   * its `error` events meanwhile, which would end the process otherwise. Returns what ends it.
   */
  watch(watcher: RedisWatcher): () => void {
    let told: boolean | undefined;
    const look = (error?: unknown): void => {
      const isUp = this.#driver.isWhole;
      if (isUp === told) return;
      told = isUp;
      if (isUp) watcher.up();
      else watcher.down(engineAway(error ?? 'the client is not connected'));
    };
    const unlisten = this.#driver.listen(look);
    const timer = this.isCluster ? setInterval(look, LOOK_MS).unref() : undefined;
    look();
    return () => {
      clearInterval(timer);
      unlisten();
    };
  }

  /**
   * A new connection of our own with the client's settings: to the node of that address, where the client is a cluster's.
   * Whoever has it opens it, once, and destroys it.
   */
  link(handlers: LinkHandlers, address?: RedisAddress): RedisLink {
    return this.#driver.link(handlers, address);
  }

  /** The masters of a cluster, as any node knows them, or the one that is asked. */
  async nodes(asked?: {
    readonly link: RedisLink;
    readonly host: string;
  }): Promise<readonly RedisNode[]> {
    const { reply, host } =
      asked === undefined
        ? await this.#driver.clusterSlots()
        : { reply: await asked.link.send(['CLUSTER', 'SLOTS']), host: asked.host };
    return parseClusterSlots(reply, host, (address) => this.#driver.reachedAt(address));
  }
}

function noAnswer(): Error {
  return engineAway(`no answer within ${ANSWER_MS} ms`);
}
