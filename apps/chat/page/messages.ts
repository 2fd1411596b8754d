/** The messages of the `superchat` subprotocol, as the server sends them. */

export interface Said {
  readonly from: string;
  readonly text: string;
  /** Milliseconds since 1970 UTC. */
  readonly at: number;
  readonly id: string;
}

export interface Joined {
  readonly type: 'joined';
  readonly room: string;
  readonly name: string;
  readonly members: readonly string[];
  readonly history: readonly Said[];
}

/** Messages have been missed on the way; these are the last ones. */
export interface Missed {
  readonly type: 'history';
  readonly room: string;
  readonly history: readonly Said[];
}

export interface SaidInRoom extends Said {
  readonly type: 'said';
  readonly room: string;
}

export interface Presence {
  readonly type: 'presence';
  readonly room: string;
  readonly joined: string | undefined;
  readonly left: string | undefined;
}

export interface Refused {
  readonly type: 'error';
  readonly code: string;
  readonly message: string;
  readonly room: string | undefined;
  readonly id: string | undefined;
}

export type ServerMessage = Joined | SaidInRoom | Presence | Missed | Refused;

/** A server's message; undefined for what a newer server may say and this page does not know. */
export function parseServerMessage(data: string): ServerMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { type, room } = value;
  if (type === 'error') {
    return {
      type,
      code: asString(value['code']) ?? '',
      message: asString(value['message']) ?? '',
      room: asString(room),
      id: asString(value['id']),
    };
  }
  if (typeof room !== 'string') return undefined;
  if (type === 'said') {
    const said = parseSaid(value);
    return said === undefined ? undefined : { type, room, ...said };
  }
  if (type === 'presence') {
    return { type, room, joined: asString(value['joined']), left: asString(value['left']) };
  }
  if (type === 'history') {
    const history = parseHistory(value['history']);
    return history === undefined ? undefined : { type, room, history };
  }
  if (type === 'joined') {
    const { name, members } = value;
    const history = parseHistory(value['history']);
    if (typeof name !== 'string' || !Array.isArray(members) || history === undefined) {
      return undefined;
    }
    return {
      type,
      room,
      name,
      members: members.filter((member: unknown) => typeof member === 'string'),
      history,
    };
  }
  return undefined;
}

function parseHistory(value: unknown): Said[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map(parseSaid).filter((said) => said !== undefined);
}

function parseSaid(value: unknown): Said | undefined {
  if (!isObject(value)) return undefined;
  const { from, text, at, id } = value;
  if (typeof from !== 'string' || typeof text !== 'string') return undefined;
  if (typeof at !== 'number' || typeof id !== 'string') return undefined;
  return { from, text, at, id };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A name or room's name in the form in which the server knows it. */
export function normalise(label: string): string {
  return label
    .normalize('NFC')
    .replace(/\p{Zs}+/gu, ' ')
    .trim();
}
