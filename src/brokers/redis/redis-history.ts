import { randomBytes } from 'node:crypto';
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
import { type RedisClient, type RedisClientLike, redisClient } from './redis-client.ts';
import type { RedisReply } from './redis-driver.ts';
import { appendScript, readScript } from './redis-history-scripts.ts';
import { ensurePrefix, topicKey } from './redis-keys.ts';
import { readBytes, readList, readText } from './redis-reply.ts';

export interface RedisHistoryOptions {
  /** A client that the application has connected, and closes. */
  readonly client: RedisClientLike;
  /** What the names of all keys begin with; without braces. Default `aperto:`. */
  readonly prefix?: string;
  /** Messages that are kept of a topic. Default 100. */
  readonly messages?: number;
  /** How long a topic's history is kept after the last `append`. Default 24 h. */
  readonly ttlMs?: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_TTL_MS = 100 * 366 * DAY_MS;
const BEGINNING = '0';
const EPOCH = /^[\w-]{12}$/;
const OFFSET = /^(\d{1,20})-(\d{1,20})\.[\w-]{12}$/;
const MAX_OF_ID = 2n ** 64n - 1n;

/**
 * A history in Redis 5 or later, in streams. It is as durable as that Redis is: what a crash, a failover or a rollback
 * loses is missing, and a reader whose position is among it is told.
 * @throws {ApertoError} INVALID_OPTION
 */
export function redisHistory(options: RedisHistoryOptions): History {
  return new RedisHistory(options);
}

class RedisHistory implements History {
  readonly #client: RedisClient;
  readonly #prefix: string;
  readonly #messages: string;
  readonly #ttlMs: string;

  constructor({ client, prefix = 'aperto:', messages = 100, ttlMs = DAY_MS }: RedisHistoryOptions) {
    ensurePrefix(prefix);
    ensureCount('messages', messages);
    ensureCount('ttlMs', ttlMs, MAX_TTL_MS);
    this.#client = redisClient(client);
    this.#prefix = prefix;
    this.#messages = String(messages);
    this.#ttlMs = String(ttlMs);
  }

  async append(topic: string, data: Message, id?: string): Promise<Appended> {
    ensureTopic(topic);
    ensureMessage(data);
    ensureId(id);
    const nonce = draw();
    // Also without an id: some clients send again what was not answered when the connection was lost.
    const field = id === undefined ? `n${nonce}` : `i${id}`;
    const type = typeof data === 'string' ? 't' : 'b';
    // The client may keep the bytes for a while before it writes them.
    const content = typeof data === 'string' ? data : Buffer.from(data);
    const args = [draw(), this.#messages, this.#ttlMs, nonce, type, content, field];
    const reply = readList(await this.#client.script(appendScript, this.#keys(topic), args));
    const offset = readText(reply[1]);
    return {
      position: { epoch: readText(reply[0]), offset },
      duplicate: !offset.endsWith(`.${nonce}`),
    };
  }

  async read(topic: string, after?: Position, limit?: number): Promise<HistoryRead> {
    ensureTopic(topic);
    ensureLimit(limit);
    const which = after === undefined ? ['last', String(limit ?? '')] : ['after', ...place(after)];
    const args = [draw(), this.#ttlMs, ...which];
    const reply = readList(await this.#client.script(readScript, this.#keys(topic), args));
    const epoch = readText(reply[0]);
    return {
      entries: readList(reply[3]).map((entry) => readEntry(epoch, entry)),
      position: { epoch, offset: readText(reply[2]) },
      complete: readText(reply[1]) === '1',
    };
  }

  #keys(topic: string): [string, string] {
    const key = (part: string): string => topicKey(this.#prefix, 'history', topic, part);
    return [key('meta'), key('stream')];
  }
}

/** Nobody else draws the same. */
function draw(): string {
  return randomBytes(9).toString('base64url');
}

/** Its epoch, its offset and the id in it; empty where Redis would not take them. */
function place(position: unknown): string[] {
  const { epoch, offset } = readPosition(position);
  if (!EPOCH.test(epoch)) return ['', '', ''];
  if (offset === BEGINNING) return [epoch, offset, ''];
  const [, time, count] = OFFSET.exec(offset) ?? [];
  const isId = [time, count].every((part) => part !== undefined && BigInt(part) <= MAX_OF_ID);
  return isId ? [epoch, offset, `${time}-${count}`] : ['', '', ''];
}

function readEntry(epoch: string, entry: RedisReply): HistoryEntry {
  const [id, fields] = readList(entry);
  const [, nonce, type, content] = readList(fields);
  const bytes = readBytes(content);
  // Not a part of what the client has received, which would be kept with it.
  const data = readText(type) === 't' ? bytes.toString('utf8') : new Uint8Array(bytes);
  return { position: { epoch, offset: `${readText(id)}.${readText(nonce)}` }, data };
}
