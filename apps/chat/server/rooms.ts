import type { ChatLimits } from './limits.ts';
import { Room, type Said } from './room.ts';

/** All rooms in memory, which is bounded: by their number and by what was said in them. */
export class Rooms {
  readonly #limits: ChatLimits;
  /** By name, least recently used first. */
  readonly #rooms = new Map<string, Room>();
  #bytes = 0;

  constructor(limits: ChatLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#rooms.size;
  }

  get(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /**
   * The room of that name, made where there is none. To make place, the empty room that was used
   * longest ago is forgotten; undefined when there are too many and somebody is in each.
   */
  open(name: string): Room | undefined {
    const known = this.#rooms.get(name);
    if (known !== undefined) {
      this.#touch(known);
      return known;
    }
    if (this.#rooms.size >= this.#limits.rooms && !this.#dropOneEmpty()) return undefined;
    const room = new Room(name, this.#limits.rememberedMessages);
    this.#rooms.set(name, room);
    return room;
  }

  /** Keeps a message; rooms used longest ago lose theirs when all take too much together. */
  remember(room: Room, said: Said): void {
    this.#touch(room);
    this.#bytes -= room.bytes;
    room.remember(said);
    this.#bytes += room.bytes;
    if (this.#bytes <= this.#limits.memoryBytes) return;
    for (const candidate of this.#rooms.values()) {
      this.#bytes -= candidate.bytes;
      candidate.forget();
      this.release(candidate);
      if (this.#bytes <= this.#limits.memoryBytes) return;
    }
  }

  /** To be called when somebody left: a room with nobody and nothing in it is not kept. */
  release(room: Room): void {
    if (room.isBlank) this.#rooms.delete(room.name);
  }

  #touch(room: Room): void {
    this.#rooms.delete(room.name);
    this.#rooms.set(room.name, room);
  }

  #dropOneEmpty(): boolean {
    for (const room of this.#rooms.values()) {
      if (!room.isEmpty) continue;
      this.#rooms.delete(room.name);
      this.#bytes -= room.bytes;
      return true;
    }
    return false;
  }
}
