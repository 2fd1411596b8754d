import type { Message } from '../protocol/messages/message-assembler.ts';
import type { Platform } from '../protocol/platform.ts';
import {
  ensureCount,
  ensureId,
  ensureLimit,
  ensureMessage,
  ensureTopic,
  readPosition,
} from './arguments.ts';
import type { Appended, History, HistoryRead, Position } from './history.ts';

export interface MemoryHistoryOptions {
  /** Messages that are kept of a topic. Default 100. */
  readonly messages?: number;
  /** Topics that are kept; over it, the one used longest ago is forgotten. Default 10,000. */
  readonly topics?: number;
  /**
   * Bytes of everything that is kept, a character counted as two and a message as 128 more; over it, the topics used
   * longest ago are forgotten, and then the oldest messages of the one in use. Default 64 MiB.
   */
  readonly bytes?: number;
}

/** What a topic or a message takes beside its bytes, about. */
const OVERHEAD = 128;
const CANONICAL = /^(0|[1-9]\d{0,15})$/;

/** A history in this process, for a service that is one process. Messages that it returned must not be changed. */
export class MemoryHistory implements History {
  /** The one used longest ago first. */
  readonly #topics = new Map<string, TopicHistory>();
  readonly #platform: Platform;
  readonly #maxMessages: number;
  readonly #maxTopics: number;
  readonly #maxBytes: number;
  #bytes = 0;

  /** @throws {ApertoError} INVALID_OPTION */
  constructor(
    platform: Platform,
    { messages = 100, topics = 10_000, bytes = 64 * 1024 * 1024 }: MemoryHistoryOptions = {},
  ) {
    ensureCount('messages', messages);
    ensureCount('topics', topics);
    ensureCount('bytes', bytes, Number.MAX_SAFE_INTEGER);
    this.#platform = platform;
    this.#maxMessages = messages;
    this.#maxTopics = topics;
    this.#maxBytes = bytes;
  }

  async append(topic: string, data: Message, id?: string): Promise<Appended> {
    ensureTopic(topic);
    ensureMessage(data);
    ensureId(id);
    const history = this.#use(topic);
    const earlier = id === undefined ? undefined : history.ids.get(id);
    if (earlier !== undefined) return { position: history.position(earlier), duplicate: true };
    const size = OVERHEAD + sizeOf(data) + (id === undefined ? 0 : sizeOf(id));
    // What the application has given may change, or be a small part of what it keeps alive.
    const kept = typeof data === 'string' ? data : new Uint8Array(data);
    history.add({ data: kept, id, size });
    this.#bytes += size;
    if (history.length > this.#maxMessages) this.#bytes -= history.removeOldest();
    const position = history.position(history.last);
    this.#forget(history);
    return { position, duplicate: false };
  }

  async read(topic: string, after?: Position, limit?: number): Promise<HistoryRead> {
    ensureTopic(topic);
    ensureLimit(limit);
    const history = this.#use(topic);
    this.#forget(history);
    return history.read(after, limit);
  }

  /** The history of a topic, begun where there is none, as the one used last. */
  #use(topic: string): TopicHistory {
    let history = this.#topics.get(topic);
    if (history === undefined) {
      history = new TopicHistory(this.#drawEpoch());
      this.#bytes += OVERHEAD + sizeOf(topic);
    } else this.#topics.delete(topic);
    this.#topics.set(topic, history);
    return history;
  }

  /** Keeps within the limits; the one in use goes last, and is not forgotten as a whole. */
  #forget(inUse: TopicHistory): void {
    for (const [topic, history] of this.#topics) {
      if (this.#topics.size <= this.#maxTopics && this.#bytes <= this.#maxBytes) return;
      if (history === inUse) break;
      this.#topics.delete(topic);
      this.#bytes -= OVERHEAD + sizeOf(topic) + history.bytes;
    }
    while (this.#bytes > this.#maxBytes && inUse.length > 0) this.#bytes -= inUse.removeOldest();
  }

  #drawEpoch(): string {
    const bytes = new Uint8Array(12);
    this.#platform.fillRandom(bytes);
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }
}

interface Kept {
  readonly data: Message;
  readonly id: string | undefined;
  readonly size: number;
}

/** The messages of a topic are counted from 1; an offset is the number of the message that it is behind. */
class TopicHistory {
  readonly epoch: string;
  /** The numbers of the messages that have an id. */
  readonly ids = new Map<string, number>();
  /** What was removed is still in it, before `#first`, until that is half of it. */
  #messages: Kept[] = [];
  #first = 0;
  #removed = 0;
  bytes = 0;

  constructor(epoch: string) {
    this.epoch = epoch;
  }

  get length(): number {
    return this.#messages.length - this.#first;
  }

  /** The number of the newest message, kept or not. */
  get last(): number {
    return this.#removed + this.length;
  }

  add(message: Kept): void {
    this.#messages.push(message);
    this.bytes += message.size;
    if (message.id !== undefined) this.ids.set(message.id, this.last);
  }

  /** Where there is one. Returns its size. */
  removeOldest(): number {
    const removed = this.#messages[this.#first];
    if (removed === undefined) return 0;
    this.#messages[this.#first] = nothing;
    this.#first++;
    this.#removed++;
    if (removed.id !== undefined) this.ids.delete(removed.id);
    this.bytes -= removed.size;
    if (this.#first * 2 >= this.#messages.length) {
      this.#messages = this.#messages.slice(this.#first);
      this.#first = 0;
    }
    return removed.size;
  }

  position(number: number): Position {
    return { epoch: this.epoch, offset: String(number) };
  }

  read(after: Position | undefined, limit = Number.POSITIVE_INFINITY): HistoryRead {
    const number = this.#numberOf(after);
    const isKept = number !== undefined && number >= this.#removed;
    let from = this.#removed;
    if (isKept) from = number;
    else if (after === undefined) from = Math.max(from, this.last - limit);
    const entries = this.#messages
      .slice(this.#first + from - this.#removed)
      .map(({ data }, i) => ({ position: this.position(from + i + 1), data }));
    return {
      entries,
      position: this.position(this.last),
      complete: after === undefined ? from === 0 : isKept,
    };
  }

  /** The number in a position; undefined where it is none of this history. */
  #numberOf(position: unknown): number | undefined {
    const { epoch, offset } = readPosition(position);
    if (epoch !== this.epoch || !CANONICAL.test(offset)) return undefined;
    return Number(offset) <= this.last ? Number(offset) : undefined;
  }
}

const nothing: Kept = { data: '', id: undefined, size: 0 };

function sizeOf(data: Message): number {
  return typeof data === 'string' ? 2 * data.length : data.length;
}
