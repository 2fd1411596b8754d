import { apertoError } from '../protocol/errors.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { Position } from './history.ts';

/** What histories and presences are called with, on every engine alike. */

const UNPAIRED_SURROGATE = /\p{Cs}/u;

/** @throws {ApertoError} INVALID_TOPIC */
export function ensureTopic(topic: unknown): asserts topic is string {
  if (isName(topic)) return;
  throw apertoError('INVALID_TOPIC');
}

/** @throws {ApertoError} INVALID_OPTION */
export function ensureMember(member: unknown): asserts member is string {
  ensureName('a member', member);
}

/** @throws {ApertoError} INVALID_OPTION */
export function ensureId(id: unknown): asserts id is string | undefined {
  if (id !== undefined) ensureName('an id', id);
}

/** @throws {ApertoError} INVALID_DATA */
export function ensureMessage(data: unknown): asserts data is Message {
  if (typeof data === 'string' || data instanceof Uint8Array) return;
  throw apertoError('INVALID_DATA', { detail: `got ${data === null ? 'null' : typeof data}` });
}

/** @throws {ApertoError} INVALID_OPTION */
export function ensureLimit(limit: unknown): asserts limit is number | undefined {
  if (limit === undefined || (Number.isSafeInteger(limit) && Number(limit) >= 0)) return;
  throw apertoError('INVALID_OPTION', { detail: `limit is ${String(limit)}, no whole number` });
}

/** What is in a position, which may have come from anywhere; empty where that is not what it must be. */
export function readPosition(position: unknown): Position {
  if (typeof position !== 'object' || position === null) return { epoch: '', offset: '' };
  const { epoch, offset } = position as Partial<Record<keyof Position, unknown>>;
  return {
    epoch: typeof epoch === 'string' ? epoch : '',
    offset: typeof offset === 'string' ? offset : '',
  };
}

/** @throws {ApertoError} INVALID_OPTION for what is no whole number above zero, and at most `most`. */
export function ensureCount(name: string, value: unknown, most: number = 2 ** 31 - 1): void {
  if (Number.isSafeInteger(value) && Number(value) > 0 && Number(value) <= most) return;
  const detail = `${name} is ${String(value)}, not a whole number from 1 to ${most}`;
  throw apertoError('INVALID_OPTION', { detail });
}

function ensureName(what: string, value: unknown): void {
  if (isName(value)) return;
  const detail = `${what} is a string of well-formed Unicode that is not empty`;
  throw apertoError('INVALID_OPTION', { detail });
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !UNPAIRED_SURROGATE.test(value);
}
