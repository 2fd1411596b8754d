import { inTime } from './engine.ts';
import { Room, type RoomGround } from './room.ts';

/** The rooms that somebody on this server is in. They are bounded, by their number and by what was said in them. */
export class Rooms {
  readonly #ground: RoomGround;
  readonly #most: number;
  readonly #mostBytes: number;
  /** By name, the one used longest ago first. */
  readonly #rooms = new Map<string, { readonly room: Room; readonly opened: Promise<void> }>();
  readonly #sizes = new Map<Room, number>();
  #bytes = 0;

  constructor(
    ground: Omit<RoomGround, 'grown'>,
    limits: { readonly rooms: number; readonly memoryBytes: number },
  ) {
    this.#ground = { ...ground, grown: (room) => this.#grown(room) };
    this.#most = limits.rooms;
    this.#mostBytes = limits.memoryBytes;
  }

  get size(): number {
    return this.#rooms.size;
  }

  get(name: string): Room | undefined {
    return this.#rooms.get(name)?.room;
  }

  /**
   * The room of that name, opened where nobody is in it; to be given back with `release`. Undefined where there are too
   * many.
   * @throws where the engine does not answer.
   */
  async hold(name: string): Promise<Room | undefined> {
    let held = this.#rooms.get(name);
    if (held === undefined) {
      if (this.#rooms.size >= this.#most) return undefined;
      const room = new Room(name, this.#ground);
      held = { room, opened: inTime(room.open()) };
      this.#rooms.set(name, held);
    }
    const { room, opened } = held;
    room.holders += 1;
    try {
      await opened;
    } catch (error) {
      // Who comes next tries anew.
      this.#remove(room);
      throw error;
    }
    return room;
  }

  release(room: Room): void {
    room.holders -= 1;
    if (room.holders === 0) this.#remove(room);
  }

  close(): void {
    for (const { room } of this.#rooms.values()) room.close();
    this.#rooms.clear();
  }

  #remove(room: Room): void {
    room.close();
    if (this.get(room.name) === room) this.#rooms.delete(room.name);
    this.#bytes -= this.#sizes.get(room) ?? 0;
    this.#sizes.delete(room);
  }

  /** Rooms in which nobody said anything for the longest time give up their history where all take too much. */
  #grown(room: Room): void {
    this.#bytes += room.bytes - (this.#sizes.get(room) ?? 0);
    this.#sizes.delete(room);
    this.#sizes.set(room, room.bytes);
    if (this.#bytes <= this.#mostBytes) return;
    for (const [oldest, bytes] of this.#sizes) {
      oldest.forget();
      this.#sizes.set(oldest, 0);
      this.#bytes -= bytes;
      if (this.#bytes <= this.#mostBytes) return;
    }
  }
}
