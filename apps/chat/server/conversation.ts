import { type PreparedMessage, prepareMessage } from 'aperto';
import type { ChatLimits } from './limits.ts';
import type { Room, Said } from './room.ts';
import { Rooms } from './rooms.ts';
import { tell, type Visitor } from './session.ts';
import { encode, type ServerMessage } from './superchat-messages.ts';

export type Entered =
  | { readonly ok: true; readonly room: Room }
  | { readonly ok: false; readonly full: 'connection' | 'server' };

/** A message as each subprotocol has it. */
interface Forms {
  readonly chat: PreparedMessage;
  readonly superchat: PreparedMessage;
}

/**
 * The rooms, and who is told what happens there. Each room has one topic a subprotocol, so that what
 * goes to a thousand members is encoded twice, not a thousand times.
 */
export class Conversation {
  readonly limits: ChatLimits;
  readonly #rooms: Rooms;
  readonly #now: () => number;
  #guests = 0;

  /** @param now milliseconds since 1970 UTC: the times of messages. */
  constructor(limits: ChatLimits, now: () => number) {
    this.limits = limits;
    this.#rooms = new Rooms(limits);
    this.#now = now;
  }

  /** A room that somebody is in, or that is remembered. */
  room(name: string): Room | undefined {
    return this.#rooms.get(name);
  }

  /** A name that nobody in the room has. */
  guestName(roomName: string): string {
    const room = this.#rooms.get(roomName);
    let name: string;
    do {
      this.#guests += 1;
      name = `guest-${this.#guests}`;
    } while (room?.has(name));
    return name;
  }

  /** Takes a seat in a room, or another name where the connection is in it already. */
  join(peer: Visitor, roomName: string, name: string): Entered {
    const { seats } = peer.data;
    const before = seats.get(roomName);
    if (before === undefined && seats.size >= this.limits.roomsPerConnection) {
      return { ok: false, full: 'connection' };
    }
    const room = this.#rooms.open(roomName);
    if (room === undefined) return { ok: false, full: 'server' };
    if (before === name) return { ok: true, room };

    seats.set(roomName, name);
    const arrived = room.enter(name);
    if (before === undefined) {
      peer.subscribe(topic(isSuperchat(peer) ? 'superchat' : 'chat', roomName));
      if (arrived) this.#tellOthers(peer, roomName, joinedForms(roomName, name));
      return { ok: true, room };
    }

    const gone = room.leave(before);
    const renamed = prepareMessage(`* ${before} is now ${name}`);
    peer.publish(topic('chat', roomName), renamed);
    if (!isSuperchat(peer)) tell(peer, renamed);
    if (gone) peer.publish(topic('superchat', roomName), leftForms(roomName, before).superchat);
    if (arrived) peer.publish(topic('superchat', roomName), joinedForms(roomName, name).superchat);
    return { ok: true, room };
  }

  /** Gives up the seat in a room; false where there was none. */
  leave(peer: Visitor, roomName: string): boolean {
    const name = peer.data.seats.get(roomName);
    const room = this.#rooms.get(roomName);
    if (name === undefined || room === undefined) return false;
    peer.data.seats.delete(roomName);
    peer.unsubscribe(topic(isSuperchat(peer) ? 'superchat' : 'chat', roomName));
    if (room.leave(name)) this.#tellOthers(peer, roomName, leftForms(roomName, name));
    this.#rooms.release(room);
    return true;
  }

  leaveAll(peer: Visitor): void {
    for (const roomName of [...peer.data.seats.keys()]) this.leave(peer, roomName);
  }

  /**
   * Says a text to everyone in the room, the sender too. An id that was seen in this room is not said
   * twice: only the sender is told, what was said under it and when.
   */
  say(peer: Visitor, room: Room, from: string, text: string, id: string): void {
    const before = room.find(id);
    if (before !== undefined) {
      tell(peer, saidForm(peer, room.name, before));
      return;
    }
    const said: Said = { from, text, at: this.#now(), id };
    this.#rooms.remember(room, said);
    const forms: Forms = {
      chat: prepareMessage(saidLine(said)),
      superchat: prepareMessage(encode(saidMessage(room.name, said))),
    };
    tell(peer, isSuperchat(peer) ? forms.superchat : forms.chat);
    this.#tellOthers(peer, room.name, forms);
  }

  #tellOthers(peer: Visitor, roomName: string, forms: Forms): void {
    peer.publish(topic('chat', roomName), forms.chat);
    peer.publish(topic('superchat', roomName), forms.superchat);
  }
}

/** A message as a line of the `chat` subprotocol: its line breaks are spaces there. */
export function saidLine(said: Said): string {
  return `${said.from}: ${said.text.replace(/\n+/g, ' ')}`;
}

function saidMessage(room: string, { from, text, at, id }: Said): ServerMessage {
  return { type: 'said', room, from, text, at, id };
}

function saidForm(peer: Visitor, room: string, said: Said): string {
  return isSuperchat(peer) ? encode(saidMessage(room, said)) : saidLine(said);
}

function joinedForms(room: string, name: string): Forms {
  return {
    chat: prepareMessage(`* ${name} joined`),
    superchat: prepareMessage(encode({ type: 'presence', room, joined: name })),
  };
}

function leftForms(room: string, name: string): Forms {
  return {
    chat: prepareMessage(`* ${name} left`),
    superchat: prepareMessage(encode({ type: 'presence', room, left: name })),
  };
}

function isSuperchat(peer: Visitor): boolean {
  return peer.protocol === 'superchat';
}

function topic(subprotocol: 'chat' | 'superchat', room: string): string {
  return `${subprotocol}:${room}`;
}
