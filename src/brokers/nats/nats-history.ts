import { createHash, randomBytes } from 'node:crypto';
import type { Message } from '../../protocol/messages/message-assembler.ts';
import {
  ensureCount,
  ensureId,
  ensureLimit,
  ensureMessage,
  ensureTopic,
  readPosition,
} from '../../topics/arguments.ts';
import type {
  Appended,
  History,
  HistoryEntry,
  HistoryRead,
  Position,
} from '../../topics/history.ts';
import { engineAway } from '../engine-away.ts';
import { JetStream, NANOSECONDS, type StreamConfig } from './jetstream.ts';
import type { NatsConnection } from './nats-connection.ts';
import { type StoredMessage, Stream, type StreamInfo } from './stream.ts';
import { checkPrefix, streamName, subjectToken } from './subjects.ts';

export interface NatsHistoryOptions {
  /** What `connect` of `@nats-io/transport-node` resolves to, to a NATS that has JetStream on. It stays the application's. */
  readonly connection: NatsConnection;
  /** What subjects begin with, `prefix.h.topic`, and the name of the stream, `prefix-history`. Default `aperto`. */
  readonly prefix?: string;
  /** Messages that are kept of a topic. Default 100. */
  readonly messages?: number;
  /** How long they are kept, from 100 ms on. Default: for ever. */
  readonly maxAgeMs?: number;
  /** How long the id of a message is known, from 100 ms on; not longer than `maxAgeMs`. Default 10 minutes. */
  readonly duplicateWindowMs?: number;
  /** Servers of a cluster that keep each message, 1 to 5. Default 1, or what the stream has been set to. */
  readonly replicas?: number;
}

/**
 * The last messages of topics in a stream of JetStream, which is made where there is none. Another number of messages,
 * or age, than the stream has is set.
 * @throws {ApertoError} INVALID_OPTION; it is what promises reject with where JetStream is not enabled, or the stream
 * cannot be set so.
 */
export function natsHistory(options: NatsHistoryOptions): History {
  return new NatsHistory(options);
}

/** What is stored of a message: what it is, who it is, and its data. */
const TEXT = 1;
const BINARY = 0;
const TAG_BYTES = 9;
const HEAD_BYTES = 1 + TAG_BYTES;

const encoder = new TextEncoder();
// A text keeps its byte order mark.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A place in the stream. */
interface Place {
  readonly sequence: number;
  /** Of the message there; undefined where the topic had none. */
  readonly tag: string | undefined;
}

/** The place where everything begins. */
const whole: Place = { sequence: 0, tag: undefined };

interface Read {
  readonly kept: readonly StoredMessage[];
  readonly isComplete: boolean;
  readonly epoch: string;
  /** Where to read on if there is nothing. */
  readonly end: Position;
}

class NatsHistory implements History {
  readonly #stream: Stream;
  readonly #prefix: string;
  /** When the stream was created, as far as it is known. */
  #epoch: Promise<string> | undefined = undefined;
  /** The last sequence that this node was given: a stream that gives a smaller one is another. */
  #newest = 0;

  constructor(options: NatsHistoryOptions) {
    const prefix = checkPrefix(options.prefix ?? 'aperto');
    const { messages = 100, maxAgeMs, duplicateWindowMs = 600_000, replicas } = options;
    ensureCount('messages', messages);
    if (maxAgeMs !== undefined) ensureCount('maxAgeMs', maxAgeMs);
    ensureCount('duplicateWindowMs', duplicateWindowMs);
    if (replicas !== undefined) ensureCount('replicas', replicas, 5);
    const jetStream = new JetStream(options.connection, () => {
      this.#epoch = undefined;
    });
    this.#prefix = `${prefix}.h.`;
    const name = streamName(prefix, 'history');
    this.#stream = new Stream(jetStream, name, (existing) => ({
      ...{ name, subjects: [`${this.#prefix}*`], max_msgs_per_subject: messages },
      max_age: (maxAgeMs ?? 0) * NANOSECONDS,
      duplicate_window:
        Math.min(duplicateWindowMs, maxAgeMs ?? Number.POSITIVE_INFINITY) * NANOSECONDS,
      description: describe(messages, maxAgeMs !== undefined, existing),
      ...(replicas === undefined ? {} : { num_replicas: replicas }),
    }));
  }

  async append(topic: string, data: Message, id?: string): Promise<Appended> {
    ensureTopic(topic);
    ensureMessage(data);
    ensureId(id);
    const tag = randomBytes(TAG_BYTES);
    const token = subjectToken(topic);
    const payload = seal(data, tag);
    // An id is of a topic, but JetStream knows those of a stream. No token has a dot.
    const headers = id === undefined ? {} : { 'Nats-Msg-Id': `${token}.${subjectToken(id)}` };
    const stored = await this.#stream.append(this.#prefix + token, payload, headers);
    if (stored === undefined) throw engineAway('JetStream has not stored it');
    const { sequence, isDuplicate } = stored;
    if (isDuplicate) {
      const earlier = await this.#stream.at(sequence);
      // Where it is not kept any more, nothing can be read on from it.
      const position = await this.#position(sequence, earlier && tagOf(earlier));
      return { position, duplicate: true };
    }
    if (sequence < this.#newest) this.#epoch = undefined;
    this.#newest = sequence;
    const position = await this.#position(sequence, tag.toString('base64url'));
    return { position, duplicate: false };
  }

  async #position(sequence: number, tag: string | undefined): Promise<Position> {
    this.#epoch ??= this.#stream.info().then(({ created }) => created);
    const epoch = this.#epoch;
    try {
      return behind(await epoch, sequence, tag ?? 'gone');
    } catch (error) {
      if (this.#epoch === epoch) this.#epoch = undefined;
      throw error;
    }
  }

  async read(topic: string, after?: Position, limit?: number): Promise<HistoryRead> {
    ensureTopic(topic);
    ensureLimit(limit);
    const subject = this.#prefix + subjectToken(topic);
    const read =
      (await this.#readBehind(topic, subject, after)) ??
      (await this.#readAll(topic, subject, after));
    const { kept, isComplete, epoch, end } = read;
    const entries = kept.map((message): HistoryEntry => {
      const position = behind(epoch, message.sequence, tagOf(message));
      return { position, data: open(message) };
    });
    const count = Math.min(
      entries.length,
      (after === undefined ? limit : undefined) ?? entries.length,
    );
    return {
      entries: entries.slice(entries.length - count),
      position: entries.at(-1)?.position ?? end,
      complete: isComplete && count === entries.length,
    };
  }

  /** What follows a message; undefined where that is not there any more, or never was. */
  async #readBehind(
    topic: string,
    subject: string,
    after: Position | undefined,
  ): Promise<Read | undefined> {
    if (after === undefined) return undefined;
    const info = await this.#stream.info();
    const place = placeOf(after, topic, info);
    if (place?.tag === undefined) return undefined;
    const [first, ...kept] = await this.#stream.read(subject, place.sequence);
    if (first?.sequence !== place.sequence || tagOf(first) !== place.tag) return undefined;
    // The oldest go first: if it is there still, all that followed it was there while it was read.
    const oldest = await this.#stream.next(subject, 1);
    if (oldest === undefined || oldest.sequence > place.sequence) return undefined;
    const end = behind(info.created, place.sequence, place.tag);
    return { kept, isComplete: true, epoch: info.created, end };
  }

  /** All that is kept. */
  async #readAll(topic: string, subject: string, after: Position | undefined): Promise<Read> {
    for (;;) {
      const before = await this.#stream.info();
      const messages = await this.#stream.read(subject, 1);
      const info = await this.#stream.info(subject);
      const epoch = info.created;
      if (epoch !== before.created) continue;
      this.#epoch = Promise.resolve(epoch);
      const end = beginning(topic, before);
      const place = after === undefined ? whole : placeOf(after, topic, info);
      // Fewer than are kept: none has gone, but for those that expired.
      const { least, hasAged } = limitsOf(info.config);
      const isWhole = info.count < least && place !== undefined && place.tag === undefined;
      // What expires is at the beginning of the stream.
      const mayHaveAged = hasAged && info.first > (place?.sequence ?? 0) + 1;
      if (isWhole && !(mayHaveAged && info.last !== place.sequence)) {
        const isBehind = messages.every(({ sequence }) => sequence > place.sequence);
        if (isBehind) return { kept: messages, isComplete: true, epoch, end };
      }
      // While they were read, the oldest may have gone, and some before they were read: what is behind the one that is
      // the oldest now was there all the time.
      const { sequence: oldest } = (await this.#stream.next(subject, 1)) ?? { sequence: Infinity };
      const kept = messages.filter(({ sequence }) => sequence >= oldest);
      return { kept, isComplete: false, epoch, end };
    }
  }
}

/**
 * What a stream has been, for those who read what is kept: the fewest messages that were kept of a topic, and whether
 * any could expire. It stays in the description when the settings change.
 */
function describe(messages: number, ages: boolean, existing: StreamConfig | undefined): string {
  const { least, hasAged } = existing === undefined ? none : limitsOf(existing);
  return `Aperto history: least ${Math.min(least, messages)}${ages || hasAged ? ', expires' : ''}`;
}

const none = { least: Number.POSITIVE_INFINITY, hasAged: false };

function limitsOf(config: StreamConfig): { readonly least: number; readonly hasAged: boolean } {
  const { description = '', max_msgs_per_subject: most, max_age: age } = config;
  const least = /^Aperto history: least (\d+)/.exec(description)?.[1] ?? most;
  return {
    least: Math.min(most, Number(least)),
    hasAged: age > 0 || description.endsWith(', expires'),
  };
}

function seal(data: Message, tag: Uint8Array): Uint8Array {
  const bytes = typeof data === 'string' ? encoder.encode(data) : data;
  const payload = new Uint8Array(HEAD_BYTES + bytes.length);
  payload[0] = typeof data === 'string' ? TEXT : BINARY;
  payload.set(tag, 1);
  payload.set(bytes, HEAD_BYTES);
  return payload;
}

function open({ data }: StoredMessage): Message {
  // A copy, plain and by itself: what was read is part of what came together.
  const bytes = new Uint8Array(data.subarray(HEAD_BYTES));
  return data[0] === TEXT ? decoder.decode(bytes) : bytes;
}

function tagOf({ data }: StoredMessage): string {
  return Buffer.from(data.subarray(1, HEAD_BYTES)).toString('base64url');
}

function behind(epoch: string, sequence: number, tag: string): Position {
  return { epoch, offset: `${sequence}-${tag}` };
}

/** The place before the first message of a topic that has none: where the stream ends. */
function beginning(topic: string, { created, last }: StreamInfo): Position {
  return { epoch: created, offset: `${last}+${proofOf(topic, created, last)}` };
}

/** That a place was given for this topic, and not for another. */
function proofOf(topic: string, epoch: string, sequence: number): string {
  const hash = createHash('sha256').update(`${epoch} ${sequence} ${topic}`);
  return hash.digest('base64url').slice(0, 12);
}

/** Undefined for what was never given for this topic in this stream. */
function placeOf(position: unknown, topic: string, info: StreamInfo): Place | undefined {
  const { epoch, offset } = readPosition(position);
  const [, digits, kind, word] = /^(0|[1-9]\d{0,15})([-+])([\w-]{12})$/.exec(offset) ?? [];
  const sequence = Number(digits);
  if (epoch !== info.created || word === undefined) return undefined;
  // Sequences are given again where a stream was rolled back.
  if (sequence > info.last) return undefined;
  if (kind === '-') return { sequence, tag: word };
  return word === proofOf(topic, epoch, sequence) ? { sequence, tag: undefined } : undefined;
}
