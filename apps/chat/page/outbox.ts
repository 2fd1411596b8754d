import { isObject } from './messages.ts';
import type { Store } from './storage.ts';

/** A message that the server has not acknowledged. */
export interface Pending {
  readonly id: string;
  readonly room: string;
  readonly text: string;
  /** When it was written, in milliseconds since 1970 UTC. */
  readonly at: number;
}

// The server gives the last hundred messages to who joins; no older id needs to be known again.
const ownIdsKept = 200;

/**
 * What was written and is not known to have been said, in order. It survives a reload of the page; an
 * entry keeps its id for ever, so that the server knows one that is sent twice.
 */
export class Outbox {
  readonly #store: Store;
  readonly #pending: Pending[];
  readonly #own: Set<string>;

  constructor(store: Store) {
    this.#store = store;
    const kept = read(store.read('outbox'));
    this.#pending = kept.pending;
    this.#own = new Set(kept.own);
  }

  /** The entries of a room, oldest first. */
  of(room: string): readonly Pending[] {
    return this.#pending.filter((pending) => pending.room === room);
  }

  /** The rooms that something waits for. */
  rooms(): ReadonlySet<string> {
    return new Set(this.#pending.map((pending) => pending.room));
  }

  /** The oldest entry whose room is among those. */
  next(rooms: ReadonlySet<string>): Pending | undefined {
    return this.#pending.find((pending) => rooms.has(pending.room));
  }

  add(room: string, text: string, at: number): Pending {
    const pending: Pending = { id: newId(), room, text, at };
    this.#pending.push(pending);
    this.#own.add(pending.id);
    for (const oldest of this.#own) {
      if (this.#own.size <= ownIdsKept) break;
      this.#own.delete(oldest);
    }
    this.#save();
    return pending;
  }

  /** Takes out an entry that was said, or never will be; undefined where there is none of that id. */
  settle(id: string): Pending | undefined {
    const index = this.#pending.findIndex((pending) => pending.id === id);
    if (index === -1) return undefined;
    const [pending] = this.#pending.splice(index, 1);
    this.#save();
    return pending;
  }

  /** Whether a message with this id was written in this window. Names prove nothing: anybody may take any. */
  isOwn(id: string): boolean {
    return this.#own.has(id);
  }

  #save(): void {
    this.#store.write('outbox', JSON.stringify({ pending: this.#pending, own: [...this.#own] }));
  }
}

/** 128 random bits. `crypto.randomUUID` does not exist on a page that came over plain http from another machine. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function read(text: string | undefined): { pending: Pending[]; own: string[] } {
  const nothing = { pending: [], own: [] };
  if (text === undefined) return nothing;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return nothing;
  }
  if (!isObject(value)) return nothing;
  const { pending, own } = value;
  if (!Array.isArray(pending) || !Array.isArray(own)) return nothing;
  return {
    pending: pending.filter(isPending),
    own: own.filter((id: unknown) => typeof id === 'string'),
  };
}

function isPending(value: unknown): value is Pending {
  if (!isObject(value)) return false;
  const { id, room, text, at } = value;
  return (
    typeof id === 'string' &&
    typeof room === 'string' &&
    typeof text === 'string' &&
    typeof at === 'number'
  );
}
