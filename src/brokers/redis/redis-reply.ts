import { engineAway } from '../engine-away.ts';
import type { RedisReply } from './redis-driver.ts';

/** What our scripts return, read; anything else was not written by them. */

export function readList(reply: RedisReply | undefined): readonly RedisReply[] {
  if (Array.isArray(reply)) return reply;
  throw unexpected();
}

export function readBytes(reply: RedisReply | undefined): Buffer {
  if (!(reply instanceof Uint8Array)) throw unexpected();
  return Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength);
}

export function readText(reply: RedisReply | undefined): string {
  return readBytes(reply).toString('utf8');
}

function unexpected(): Error {
  return engineAway('it answered what it was not asked for');
}
