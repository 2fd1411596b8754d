import { Buffer } from 'node:buffer';
import { type ChatLimits, maxUnparsedBytes } from './limits.ts';
import { type Checked, checkName, checkRoom, checkText, isMessageId } from './names.ts';
import type { Said } from './said.ts';

/** The messages of the `superchat` subprotocol, as docs/chat-protocols.md has them. */

export type SuperchatErrorCode =
  | 'bad-message'
  | 'unknown-type'
  | 'bad-room'
  | 'bad-name'
  | 'bad-text'
  | 'bad-id'
  | 'text-too-long'
  | 'not-joined'
  | 'too-many-rooms'
  | 'server-full'
  | 'rate-limited'
  | 'unavailable';

export type ClientMessage =
  | { readonly type: 'join'; readonly room: string; readonly name: string }
  | { readonly type: 'say'; readonly room: string; readonly text: string; readonly id: string }
  | { readonly type: 'leave'; readonly room: string };

/** What the refused message was about, as far as that could be read. */
export interface Subject {
  readonly room?: string;
  readonly id?: string;
}

export interface Refusal extends Subject {
  readonly type: 'error';
  readonly code: SuperchatErrorCode;
  readonly message: string;
}

export type ServerMessage =
  | {
      readonly type: 'joined';
      readonly room: string;
      readonly name: string;
      readonly members: readonly string[];
      readonly history: readonly Said[];
    }
  | ({ readonly type: 'said'; readonly room: string } & Said)
  | { readonly type: 'presence'; readonly room: string; readonly joined: string }
  | { readonly type: 'presence'; readonly room: string; readonly left: string }
  | { readonly type: 'history'; readonly room: string; readonly history: readonly Said[] }
  | Refusal;

export function refusal(code: SuperchatErrorCode, message: string, subject: Subject = {}): Refusal {
  return { type: 'error', code, message, ...subject };
}

/** The JSON of a message. The fields are written out, so that nothing but them is ever sent. */
export function encode(message: ServerMessage): string {
  return JSON.stringify(message);
}

/** A text message of a client, or what it is answered with. Never throws. */
export function parseClientMessage(data: string, limits: ChatLimits): ClientMessage | Refusal {
  // Every UTF-16 unit is at least one byte, so the cheap test goes first.
  if (data.length > maxUnparsedBytes || Buffer.byteLength(data) > maxUnparsedBytes) {
    return refusal('text-too-long', `a message has at most ${maxUnparsedBytes} bytes`);
  }
  const value = parseJson(data);
  if (!isObject(value)) return refusal('bad-message', 'a message is a JSON object');

  const subject = subjectOf(value);
  const type = own(value, 'type');
  if (typeof type !== 'string') {
    return refusal('bad-message', 'a message has a type, a string', subject);
  }
  if (type !== 'join' && type !== 'say' && type !== 'leave') {
    return refusal('unknown-type', 'the type is join, say or leave', subject);
  }

  const room = checkString(own(value, 'room'), 'room', (given) => checkRoom(given, limits));
  if (!room.ok) return refusal('bad-room', room.problem, subject);
  if (type === 'leave') return { type, room: room.value };

  if (type === 'join') {
    const name = checkString(own(value, 'name'), 'name', (given) => checkName(given, limits));
    if (!name.ok) return refusal('bad-name', name.problem, subject);
    return { type, room: room.value, name: name.value };
  }

  const id = own(value, 'id');
  if (typeof id !== 'string' || !isMessageId(id)) {
    return refusal('bad-id', 'an id is a string of 1 to 64 printable ASCII characters', subject);
  }
  const text = checkString(own(value, 'text'), 'text', (given) => checkText(given, limits));
  if (!text.ok) {
    return refusal(text.tooLong === true ? 'text-too-long' : 'bad-text', text.problem, subject);
  }
  return { type, room: room.value, text: text.value, id };
}

function parseJson(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function own(value: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function checkString(value: unknown, field: string, check: (given: string) => Checked): Checked {
  if (typeof value !== 'string') return { ok: false, problem: `${field} is a string` };
  return check(value);
}

/** An error repeats the room and id that it is about, unless they are too strange or long for it. */
function subjectOf(value: Record<string, unknown>): Subject {
  const room = own(value, 'room');
  const id = own(value, 'id');
  return {
    ...(typeof room === 'string' && room.length <= 256 ? { room } : {}),
    ...(typeof id === 'string' && isMessageId(id) ? { id } : {}),
  };
}
