import type { Presence } from 'aperto';
import { inTime } from './engine.ts';

/**
 * The names that are in a room, on all servers, in the order of their coming.
 *
 * Servers tell each other who comes and goes, and those notices may overtake each other or be lost: so the presence is
 * read again and again, and what is other there is put right.
 */
export class RoomMembers {
  readonly #presence: Presence;
  readonly #topic: string;
  readonly #names = new Set<string>();
  /** Who came and went since a reading began, and is not what it says. */
  readonly #moved = new Set<string>();

  constructor(presence: Presence, topic: string) {
    this.#presence = presence;
    this.#topic = topic;
  }

  all(): string[] {
    return [...this.#names];
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Whether that is new. */
  add(name: string): boolean {
    this.#moved.add(name);
    if (this.#names.has(name)) return false;
    this.#names.add(name);
    return true;
  }

  /** Whether it was there. */
  remove(name: string): boolean {
    this.#moved.add(name);
    return this.#names.delete(name);
  }

  /**
   * Reads the presence, one time after another.
   * @param isHere whose names are known better here.
   * @returns who was not known to have come, and to have gone.
   * @throws where the engine does not answer.
   */
  async read(
    isHere: (name: string) => boolean,
  ): Promise<{ readonly joined: readonly string[]; readonly left: readonly string[] }> {
    this.#moved.clear();
    const there = new Set(await inTime(this.#presence.members(this.#topic)));
    const isCertain = (name: string) => !this.#moved.has(name);
    const joined = [...there].filter((name) => !this.#names.has(name) && isCertain(name));
    const left = [...this.#names].filter(
      (name) => !there.has(name) && isCertain(name) && !isHere(name),
    );
    for (const name of joined) this.#names.add(name);
    for (const name of left) this.#names.delete(name);
    return { joined, left };
  }
}
