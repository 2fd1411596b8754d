import { randomBytes } from 'node:crypto';
import { apertoError } from '../../protocol/errors.ts';
import { ensureCount, ensureMember, ensureTopic } from '../../topics/arguments.ts';
import { LocalMembers } from '../../topics/local-members.ts';
import type { Presence, PresenceOptions } from '../../topics/presence.ts';
import { JetStream } from './jetstream.ts';
import type { NatsConnection } from './nats-connection.ts';
import { OtherNodes } from './other-nodes.ts';
import { PresenceStore } from './presence-store.ts';
import { Stream } from './stream.ts';
import { checkPrefix, streamName, subjectToken } from './subjects.ts';

export interface NatsPresenceOptions extends PresenceOptions {
  /** What `connect` of `@nats-io/transport-node` resolves to, to a NATS that has JetStream on. It stays the application's. */
  readonly connection: NatsConnection;
  /** What subjects begin with, `prefix.p`, and the name of the stream, `prefix-presence`. Default `aperto`. */
  readonly prefix?: string;
  /** Servers of a cluster that keep it, 1 to 5. Default 1, or what the stream has been set to. */
  readonly replicas?: number;
}

/**
 * Presence in a stream of JetStream, which is made where there is none. A node that is gone without a word is noticed by
 * the others within its `ttlMs` and a third of theirs or so; each member is told of once.
 * @throws {ApertoError} INVALID_OPTION; it is what promises reject with where JetStream is not enabled.
 */
export function natsPresence(options: NatsPresenceOptions): Presence {
  return new NatsPresence(options);
}

/** A node shows itself this many times within its TTL. */
const SIGNS = 3;
const MIN_BEAT_MS = 50;

/** So many changes are under way at once when there are many. */
const AT_ONCE = 64;

/** A member of which JetStream may have something else than this node. */
interface Doubt {
  readonly member: string;
  /** Whether JetStream may have it of this node. */
  readonly mayBeThere: boolean;
}

class NatsPresence implements Presence {
  readonly #jetStream: JetStream;
  readonly #store: PresenceStore;
  readonly #others: OtherNodes;
  readonly #ttlMs: number;
  readonly #node = randomBytes(12).toString('base64url');
  readonly #local = new LocalMembers();
  /** By subject, the members that are entered here. */
  readonly #here = new Map<string, string>();
  readonly #doubts = new Map<string, Doubt>();
  /** By subject, the change that is under way: they go one after the other. */
  readonly #changes = new Map<string, Promise<void>>();
  /** The sequence of this node's own lease. */
  #lease: number | undefined = undefined;
  #leasing: Promise<void> | undefined = undefined;
  /** Whether JetStream may have members of this node that it knows nothing of. */
  #hasLost = false;
  #beating: Promise<void> | undefined = undefined;
  #beatsAgain = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;

  constructor(options: NatsPresenceOptions) {
    const prefix = checkPrefix(options.prefix ?? 'aperto');
    const { ttlMs = 30_000, onGone, replicas } = options;
    ensureCount('ttlMs', ttlMs);
    if (replicas !== undefined) ensureCount('replicas', replicas, 5);
    if (onGone !== undefined && typeof onGone !== 'function') {
      throw apertoError('INVALID_OPTION', { detail: 'onGone is a function' });
    }
    this.#ttlMs = ttlMs;
    this.#jetStream = new JetStream(options.connection, () => {
      this.#others.forget();
      this.#beatsAgain = true;
      void this.#beat();
    });
    const name = streamName(prefix, 'presence');
    const stream = new Stream(this.#jetStream, name, () => ({
      ...{ name, subjects: this.#store.subjects, max_msgs_per_subject: 1, max_age: 0 },
      ...(replicas === undefined ? {} : { num_replicas: replicas }),
    }));
    this.#store = new PresenceStore(stream, `${prefix}.p.`);
    this.#others = new OtherNodes(this.#store, this.#node, ttlMs, {
      topics: () => new Map(this.#local.topics().map((topic) => [subjectToken(topic), topic])),
      gone: (topic, members) => tellGone(onGone, topic, members),
    });
    this.#schedule();
  }

  /** The next beat: soon enough for this node to live, and for another to be found gone. */
  #schedule(): void {
    const ms = Math.max(MIN_BEAT_MS, Math.min(this.#ttlMs, this.#others.shortestTtlMs) / SIGNS);
    this.#timer = setTimeout(() => void this.#beat(), ms).unref();
  }

  async enter(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    if (!this.#local.enter(topic, member)) return false;
    const subject = this.#store.subjectOf(topic, member);
    this.#here.set(subject, member);
    return this.#change(subject, member, true);
  }

  async leave(topic: string, member: string): Promise<boolean> {
    this.#ensure(topic);
    ensureMember(member);
    if (!this.#local.leave(topic, member)) return false;
    const subject = this.#store.subjectOf(topic, member);
    this.#here.delete(subject);
    return this.#change(subject, member, false);
  }

  async members(topic: string): Promise<readonly string[]> {
    this.#ensure(topic);
    const records = await this.#store.members(topic);
    return records
      .filter(({ nodes }) => nodes.some((node) => !this.#others.isGone(node)))
      .sort((a, b) => a.since - b.since)
      .map(({ member }) => member);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#beating;
    clearTimeout(this.#timer);
    for (const [subject, member] of this.#here) {
      this.#doubts.set(subject, { member, mayBeThere: true });
    }
    this.#here.clear();
    this.#local.clear();
    try {
      await this.#settle();
      if (this.#lease !== undefined) await this.#store.removeLease(this.#lease);
    } catch {
      // It expires.
    }
    this.#jetStream.stop();
  }

  #ensure(topic: string): void {
    ensureTopic(topic);
    if (this.#closing !== undefined) {
      throw apertoError('ENGINE_AWAY', { detail: 'the presence is closed' });
    }
  }

  /** Tells JetStream of a member, behind what it is being told of it. Without `enters`, what is so then. */
  #change(subject: string, member: string, enters?: boolean): Promise<boolean> {
    const before = this.#changes.get(subject) ?? Promise.resolve();
    const changing = before.then(() => this.#tell(subject, member, enters));
    const forget = (): void => {
      if (this.#changes.get(subject) === changed) this.#changes.delete(subject);
    };
    const changed: Promise<void> = changing.then(forget, forget);
    this.#changes.set(subject, changed);
    return changing;
  }

  async #tell(subject: string, member: string, enters?: boolean): Promise<boolean> {
    const isHere = enters ?? this.#here.has(subject);
    const wasDown = this.#jetStream.isDown;
    try {
      // Whom others see without a lease, they take for gone.
      if (isHere && this.#lease === undefined) await this.#renewed();
      const isAlone = await this.#store.change(subject, member, this.#node, isHere);
      this.#doubts.delete(subject);
      return isAlone;
    } catch (error) {
      const doubt = this.#doubts.get(subject);
      // What was never sent need not be taken back: an engine that is away for long must not fill the memory.
      const mayBeThere = doubt?.mayBeThere ?? !isHere;
      if (isHere || mayBeThere || !wasDown) {
        this.#doubts.set(subject, { member, mayBeThere: mayBeThere || !wasDown });
      } else this.#doubts.delete(subject);
      throw error;
    }
  }

  /** Shows that this node lives, mends what JetStream has of it, and looks at the others. Never rejects. */
  #beat(): Promise<void> {
    if (this.#closing !== undefined) return Promise.resolve();
    clearTimeout(this.#timer);
    this.#beating ??= this.#beatAll().finally(() => {
      this.#beating = undefined;
      if (this.#closing === undefined) this.#schedule();
    });
    return this.#beating;
  }

  async #beatAll(): Promise<void> {
    do {
      this.#beatsAgain = false;
      try {
        if (this.#here.size > 0 || this.#lease !== undefined) await this.#renewed();
        await this.#settle();
        await this.#others.look();
      } catch {
        // Whoever asks for something is told. It is tried again with the next beat, or once the engine is back.
      }
    } while (this.#beatsAgain && this.#closing === undefined);
  }

  #renewed(): Promise<void> {
    this.#leasing ??= this.#renew().finally(() => {
      this.#leasing = undefined;
    });
    return this.#leasing;
  }

  async #renew(): Promise<void> {
    let sequence = await this.#store.renew(this.#node, this.#ttlMs, this.#lease);
    if (sequence === undefined) {
      // This node was taken for gone, or what JetStream had is lost or older.
      this.#hasLost = true;
      sequence = await this.#store.renew(this.#node, this.#ttlMs);
    }
    this.#lease = sequence;
  }

  async #settle(): Promise<void> {
    if (this.#hasLost) {
      for (const { subject, member, nodes } of await this.#store.all()) {
        if (nodes.includes(this.#node)) this.#doubts.set(subject, { member, mayBeThere: true });
      }
      for (const [subject, member] of this.#here) {
        this.#doubts.set(subject, { member, mayBeThere: true });
      }
      this.#hasLost = false;
    }
    const doubts = [...this.#doubts];
    for (let i = 0; i < doubts.length; i += AT_ONCE) {
      const some = doubts.slice(i, i + AT_ONCE);
      await Promise.all(some.map(([subject, { member }]) => this.#change(subject, member)));
    }
  }
}

function tellGone(
  onGone: PresenceOptions['onGone'],
  topic: string,
  members: readonly string[],
): void {
  try {
    onGone?.(topic, members);
  } catch (error) {
    // The application's mistake is its own, as that of a listener, and not of the beat that found out.
    queueMicrotask(() => {
      throw error;
    });
  }
}
