import type { ChatLimits } from './limits.ts';
import type { Room } from './room.ts';
import type { Rooms } from './rooms.ts';
import type { Said } from './said.ts';
import type { Visitor } from './session.ts';

/** Why somebody is not let in: the connection or the server has too many rooms, or the engine is away. */
export type Entered = 'in' | 'connection-full' | 'server-full' | 'unavailable';

/** What became of a text: it was said, now or before, or the engine is away. */
export type Spoken = { readonly earlier: Said | undefined } | 'unavailable';

/** Who is where, and what they do there. For one visitor, one thing after another. */
export class Conversation {
  readonly limits: ChatLimits;
  readonly #rooms: Rooms;
  readonly #now: () => number;
  readonly #onFailed: (error: unknown) => void;
  #guests = 0;

  /**
   * @param now milliseconds since 1970 UTC: the times of messages.
   * @param onFailed is told what the engine could not do.
   */
  constructor(
    rooms: Rooms,
    limits: ChatLimits,
    now: () => number,
    onFailed: (error: unknown) => void,
  ) {
    this.limits = limits;
    this.#rooms = rooms;
    this.#now = now;
    this.#onFailed = onFailed;
  }

  /** A room that somebody on this server is in. */
  room(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /**
   * Takes a seat in a room, or another name where the connection is in it already.
   * @param welcome is called before anything else is told in the room: what the room has then, and nothing of what comes
   * after.
   */
  async join(
    peer: Visitor,
    roomName: string,
    name: string,
    welcome: (room: Room) => void,
  ): Promise<Entered> {
    const before = peer.data.seats.get(roomName);
    const room = this.#rooms.get(roomName);
    if (before !== undefined && room !== undefined) {
      if (before !== name) await this.#rename(peer, room, before, name);
      welcome(room);
      return 'in';
    }
    return this.#enter(peer, roomName, welcome, async (entered) => ({
      name,
      isNew: await entered.enterName(name),
    }));
  }

  /** As `join`, under a name that nobody in the room has. */
  joinAsGuest(
    peer: Visitor,
    roomName: string,
    welcome: (room: Room, name: string) => void,
  ): Promise<Entered> {
    return this.#enter(peer, roomName, welcome, async (room) => {
      for (;;) {
        this.#guests += 1;
        const name = `guest-${this.#guests}`;
        if (room.has(name)) continue;
        if (await room.enterName(name)) return { name, isNew: true };
        // A guest of another server.
        await this.#giveBack(room, name);
      }
    });
  }

  async #enter(
    peer: Visitor,
    roomName: string,
    welcome: (room: Room, name: string) => void,
    takeName: (room: Room) => Promise<{ readonly name: string; readonly isNew: boolean }>,
  ): Promise<Entered> {
    const { seats } = peer.data;
    if (seats.size >= this.limits.roomsPerConnection) return 'connection-full';
    const room = await this.#rooms.hold(roomName).catch((error) => this.#failed(error));
    if (room === 'unavailable') return room;
    if (room === undefined) return 'server-full';
    const { name, isNew } = await takeName(room);
    seats.set(roomName, name);
    room.seat(peer, name, isNew);
    welcome(room, name);
    return 'in';
  }

  async #rename(peer: Visitor, room: Room, from: string, to: string): Promise<void> {
    // The new one first, so that nobody sees the visitor go.
    const isNew = await room.enterName(to);
    peer.data.seats.set(room.name, to);
    const isGone = await room.leaveName(from);
    room.rename(peer, from, to, isGone, isNew);
  }

  /** Gives up the seat in a room; false where there was none. */
  async leave(peer: Visitor, roomName: string): Promise<boolean> {
    const name = peer.data.seats.get(roomName);
    const room = this.#rooms.get(roomName);
    if (name === undefined || room === undefined) return false;
    peer.data.seats.delete(roomName);
    room.unseat(peer);
    await this.#giveBack(room, name);
    this.#rooms.release(room);
    return true;
  }

  async #giveBack(room: Room, name: string): Promise<void> {
    if (await room.leaveName(name)) room.left(name);
  }

  async leaveAll(peer: Visitor): Promise<void> {
    await Promise.all([...peer.data.seats.keys()].map((roomName) => this.leave(peer, roomName)));
  }

  /**
   * Says a text to everyone in the room, the sender too. An id that was seen in this room is not said twice: what was
   * said under it before is returned, unless the sender has been told already.
   */
  async say(room: Room, from: string, text: string, id: string): Promise<Spoken> {
    try {
      return { earlier: await room.say({ from, text, at: this.#now(), id }) };
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): 'unavailable' {
    this.#onFailed(error);
    return 'unavailable';
  }
}
