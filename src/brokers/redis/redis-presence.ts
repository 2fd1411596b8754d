import { randomBytes } from 'node:crypto';
import { apertoError } from '../../protocol/errors.ts';
import { ensureCount, ensureMember, ensureTopic } from '../../topics/arguments.ts';
import { LocalMembers } from '../../topics/local-members.ts';
import type { Presence, PresenceOptions } from '../../topics/presence.ts';
import { type RedisClient, type RedisClientLike, redisClient } from './redis-client.ts';
import { ensurePrefix, topicKey } from './redis-keys.ts';
import { applyScript, membersScript } from './redis-presence-scripts.ts';
import { readList, readText } from './redis-reply.ts';

export interface RedisPresenceOptions extends PresenceOptions {
  /** A client that the application has connected, and closes. */
  readonly client: RedisClientLike;
  /** What the names of all keys begin with; without braces. Default `aperto:`. */
  readonly prefix?: string;
}

/** Runs a task every so many milliseconds, until the function that it returns is called. */
export type Every = (ms: number, task: () => void) => () => void;

/** A node shows itself this many times within its TTL. */
const SIGNS = 3;
const TRY_AGAIN_MS = 1_000;
/** How long `close` waits for Redis. */
const CLOSE_MS = 2_000;

/**
 * Presence in Redis 5 or later. Each member that expires is told by the node that found out; where that node loses Redis
 * before the answer, by none.
 * @throws {ApertoError} INVALID_OPTION
 */
export function redisPresence(options: RedisPresenceOptions): Presence {
  return new RedisPresence(options);
}

/** What is to be told Redis of a topic. */
interface NodeTopic {
  readonly topic: string;
  /** What Redis was told last, if it was; it has forgotten or changed it where it knows another. Empty: nothing. */
  version: string;
  /** Whether what Redis has may be something else. */
  isUncertain: boolean;
  readonly changes: Change[];
  /** Whether Redis is to be told that this node lives, changes or not. */
  isDue: boolean;
  running: Promise<void> | undefined;
  confirmedAt: number;
}

interface Change {
  readonly enters: boolean;
  readonly member: string;
  resolve(isFirstOrLast: boolean): void;
  reject(error: unknown): void;
}

/**
 * What this node has entered is counted here; Redis is told of the first and the last of each member. One call a topic is
 * under way at a time, with all that has changed meanwhile, and each call makes a version of what Redis has of this node.
 * Where Redis has another than the node knows, it was rolled back, emptied, or it took the node for gone, or an answer was
 * lost: then the node asserts all it has.
 */
export class RedisPresence implements Presence {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #ttlMs: number;
  readonly #onGone: PresenceOptions['onGone'];
  readonly #node = randomBytes(8).toString('hex');
  readonly #local = new LocalMembers();
  readonly #topics = new Map<string, NodeTopic>();
  readonly #stop: () => void;
  #versions = 0;
  #trial: NodeJS.Timeout | undefined = undefined;
  #isClosed = false;
  #closing: Promise<void> | undefined = undefined;

  constructor(
    { client, prefix = 'aperto:', ttlMs = 30_000, onGone }: RedisPresenceOptions,
    every: Every = everyInterval,
  ) {
    ensurePrefix(prefix);
    ensureCount('ttlMs', ttlMs);
    if (onGone !== undefined && typeof onGone !== 'function') {
      throw apertoError('INVALID_OPTION', { detail: 'onGone is a function' });
    }
    this.#client = redisClient(client);
    this.#prefix = prefix;
    this.#ttlMs = ttlMs;
    this.#onGone = onGone;
    const refresh = (): void => this.#refresh();
    const unwatch = this.#client.watch({ up: refresh, down: () => {} });
    const stopTimer = every(Math.max(1, Math.floor(ttlMs / SIGNS)), refresh);
    this.#stop = () => {
      stopTimer();
      unwatch();
    };
  }

  async enter(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    return this.#local.enter(topic, member) ? await this.#change(topic, member, true) : false;
  }

  async leave(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    return this.#local.leave(topic, member) ? await this.#change(topic, member, false) : false;
  }

  async members(topic: string): Promise<readonly string[]> {
    this.#ensure(topic);
    const args = [this.#node, this.#local.has(topic) ? '1' : '0'];
    const reply = readList(await this.#client.script(membersScript, this.#keys(topic), args));
    this.#tellGone(topic, readList(reply[1]).map(readText));
    const here = readList(reply[0]).map(readText);
    // Those of this node are here, and Redis is on its way to know it, or has forgotten it.
    const known = new Set(here);
    const missing = this.#local.members(topic).filter((member) => !known.has(member));
    const state = missing.length === 0 ? undefined : this.#topics.get(topic);
    if (state !== undefined) {
      state.isDue = true;
      this.#tell(state);
    }
    return [...here, ...missing];
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    this.#stop();
    clearTimeout(this.#trial);
    this.#local.clear();
    const told = [...this.#topics.values()].map((state) => {
      for (const { reject } of state.changes.splice(0)) reject(closed());
      state.isDue = true;
      return this.#tell(state);
    });
    let timer: NodeJS.Timeout | undefined;
    const tooLate = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    await Promise.race([Promise.all(told), tooLate]);
    clearTimeout(timer);
  }

  #ensure(topic: string): void {
    ensureTopic(topic);
    if (this.#isClosed) throw closed();
  }

  #change(topic: string, member: string, enters: boolean): Promise<boolean> {
    let state = this.#topics.get(topic);
    if (state === undefined) {
      state = {
        topic,
        version: '',
        isUncertain: false,
        changes: [],
        isDue: false,
        running: undefined,
        confirmedAt: performance.now(),
      };
      this.#topics.set(topic, state);
    }
    const { changes } = state;
    const changed = new Promise<boolean>((resolve, reject) => {
      changes.push({ enters, member, resolve, reject });
    });
    this.#tell(state);
    return changed;
  }

  #refresh(): void {
    for (const state of this.#topics.values()) {
      // What this node had there has expired: there is nothing to take back any more.
      const isOver = performance.now() - state.confirmedAt > this.#ttlMs;
      if (isOver && !this.#local.has(state.topic) && state.running === undefined) {
        this.#topics.delete(state.topic);
      } else if (this.#client.isReady) {
        state.isDue = true;
        this.#tell(state);
      }
    }
  }

  /** Not every client tells when it can be used again, and in a cluster it may be for some topics only. */
  #tryAgain(): void {
    if (this.#isClosed) return;
    this.#trial ??= setTimeout(() => {
      this.#trial = undefined;
      for (const state of this.#topics.values()) {
        if (!state.isUncertain || state.running !== undefined) continue;
        if (!this.#client.isReady) {
          this.#tryAgain();
          return;
        }
        state.isDue = true;
        this.#tell(state);
      }
    }, TRY_AGAIN_MS).unref();
  }

  /** Tells Redis what there is to tell, until there is no more. Never rejects. */
  #tell(state: NodeTopic): Promise<void> {
    state.running ??= this.#tellAll(state);
    return state.running;
  }

  async #tellAll(state: NodeTopic): Promise<void> {
    while (state.isDue || state.changes.length > 0) {
      state.isDue = false;
      const changes = state.changes.splice(0);
      try {
        const answers = await this.#apply(state, changes);
        if (answers === undefined) {
          state.changes.unshift(...changes);
          state.isDue = true;
        }
        changes.forEach(({ resolve }, i) => {
          if (answers !== undefined) resolve(answers[i] === '1');
        });
      } catch (error) {
        state.isUncertain = true;
        for (const { reject } of changes) reject(error);
        this.#tryAgain();
      }
    }
    state.running = undefined;
    if (!state.isUncertain && !this.#local.has(state.topic)) this.#topics.delete(state.topic);
  }

  /** Undefined where Redis knows another version. */
  async #apply(
    state: NodeTopic,
    changes: readonly Change[],
  ): Promise<readonly string[] | undefined> {
    const { topic } = state;
    const version = String(++this.#versions);
    const stays = this.#local.has(topic);
    const asserts = state.isUncertain || this.#isClosed;
    const asserted = asserts ? this.#before(topic, changes) : undefined;
    const reply = readList(
      await this.#client.script(applyScript, this.#keys(topic), [
        ...[this.#node, String(this.#ttlMs), state.version, version, stays ? '1' : '0'],
        ...[String(asserted?.length ?? ''), ...(asserted ?? [])],
        ...changes.map(({ enters, member }) => `${enters ? '+' : '-'}${member}`),
      ]),
    );
    state.isUncertain = readText(reply[0]) !== '1';
    if (state.isUncertain) return undefined;
    state.version = stays ? version : '';
    state.confirmedAt = performance.now();
    const answers = readList(reply[1]).map(readText);
    this.#tellGone(topic, readList(reply[2]).map(readText));
    return answers;
  }

  /** Who was here before the changes, of which those of one member go to and fro. */
  #before(topic: string, changes: readonly Change[]): readonly string[] {
    const members = new Set(this.#local.members(topic));
    for (const { enters, member } of changes.toReversed()) {
      if (enters) members.delete(member);
      else members.add(member);
    }
    return [...members];
  }

  #tellGone(topic: string, members: readonly string[]): void {
    if (members.length === 0) return;
    try {
      this.#onGone?.(topic, members);
    } catch (error) {
      // The application's mistake is its own, as that of a listener, and not of the call that found out.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #keys(topic: string): [string, string] {
    const key = (part: string): string => topicKey(this.#prefix, 'presence', topic, part);
    return [key('members'), key('nodes')];
  }
}

function closed(): Error {
  return apertoError('ENGINE_AWAY', { detail: 'the presence is closed' });
}

function everyInterval(ms: number, task: () => void): () => void {
  const timer = setInterval(task, ms).unref();
  return () => clearInterval(timer);
}
