import { type ReconnectingClient, reconnect } from 'aperto';
import {
  type Joined,
  type Missed,
  type Presence,
  parseServerMessage,
  type Refused,
  type SaidInRoom,
  type ServerMessage,
} from './messages.ts';
import type { Outbox, Pending } from './outbox.ts';

/** `waiting`: there is no connection, and none is being made at the moment. */
export type ConnectionState = 'connecting' | 'open' | 'waiting';

export interface ConnectionHandlers {
  state(state: ConnectionState): void;
  joined(message: Joined): void;
  said(message: SaidInRoom): void;
  presence(message: Presence): void;
  missed(message: Missed): void;
  /** A message of ours that will never be said, and why. */
  notSaid(pending: Pending, why: string): void;
  /** The server does not let us in, and why. */
  notJoined(message: Refused): void;
}

/** Time for the server to answer what it must answer. */
const answerMs = 10_000;

/** How long to wait, at least, before what was refused for the time being is sent again. */
const pauseMs: ReadonlyMap<string, number> = new Map([
  ['rate-limited', 500],
  ['unavailable', 1_000],
]);

/**
 * Keeps the page in its room, over as many connections as it takes.
 *
 * Messages go out one at a time, the next when the last was acknowledged: so they keep their order,
 * and one that was lost with its connection or refused for its rate is simply sent again.
 */
export class Connection {
  readonly #url: string;
  readonly #outbox: Outbox;
  readonly #handlers: ConnectionHandlers;
  #place: { readonly room: string; readonly name: string } | undefined;
  /** From the first time that somebody enters. */
  #client: ReconnectingClient | undefined;
  /** Where the server has let us in, on this connection. */
  readonly #rooms = new Set<string>();
  /** The id of the message that the server has yet to acknowledge. */
  #inFlight: string | undefined;
  #deadline: number | undefined;
  /** Until then nothing is sent. */
  #pause: number | undefined;
  /** The rooms to be joined after it. */
  readonly #joinAgain = new Set<string>();

  constructor(url: string, outbox: Outbox, handlers: ConnectionHandlers) {
    this.#url = url;
    this.#outbox = outbox;
    this.#handlers = handlers;
  }

  /** Goes to a room under a name, from wherever it is now. */
  enter(room: string, name: string): void {
    this.#place = { room, name };
    if (this.#client === undefined) this.#client = this.#connect();
    else if (this.#client.state === 'open') this.#join(room);
    else this.wake();
  }

  /** There is something new in the outbox. */
  flush(): void {
    if (this.#client?.state !== 'open') return;
    if (this.#inFlight !== undefined || this.#pause !== undefined) return;
    const pending = this.#outbox.next(this.#rooms);
    if (pending === undefined) return;
    this.#inFlight = pending.id;
    const { room, text, id } = pending;
    this.#send({ type: 'say', room, text, id });
    this.#expectAnswer();
  }

  /** Tries at once where it was waiting to: somebody looks at the page again. */
  wake(): void {
    this.#client?.retry();
  }

  /** Goes for good. */
  end(): void {
    this.#lost();
    this.#client?.close();
  }

  #connect(): ReconnectingClient {
    return reconnect(this.#url, {
      protocols: ['superchat', 'chat'],
      // Whatever a server closes with, it or the next one may let us in again.
      finalCodes: [],
      // The outbox is the queue, and knows what was said. Nothing fits into this one.
      queue: { maxBytes: 1 },
      connecting: () => this.#handlers.state('connecting'),
      open: (client) => {
        // A server that speaks only `chat` has no ids and so no acknowledgements: not for this page.
        if (client.protocol === 'superchat') this.#opened();
        else client.restart();
      },
      message: (_client, data) => {
        if (typeof data !== 'string') return;
        const message = parseServerMessage(data);
        if (message !== undefined) this.#receive(message);
      },
      waiting: () => this.#lost(),
    });
  }

  #opened(): void {
    const rooms = new Set(this.#outbox.rooms());
    if (this.#place !== undefined) rooms.add(this.#place.room);
    for (const room of rooms) this.#join(room);
  }

  #receive(message: ServerMessage): void {
    switch (message.type) {
      case 'joined':
        this.#answered();
        this.#rooms.add(message.room);
        if (message.room === this.#place?.room) {
          this.#handlers.state('open');
          this.#handlers.joined(message);
        }
        this.#leaveOthers();
        this.flush();
        break;
      case 'said':
        if (message.room === this.#place?.room) this.#handlers.said(message);
        this.#settled(message.id);
        break;
      case 'presence':
        if (message.room === this.#place?.room) this.#handlers.presence(message);
        break;
      case 'history':
        if (message.room === this.#place?.room) this.#handlers.missed(message);
        for (const { id } of message.history) this.#settled(id);
        break;
      case 'error':
        this.#refused(message);
        break;
    }
  }

  #refused(message: Refused): void {
    const { code, id, room } = message;
    const pause = pauseMs.get(code);
    if (pause !== undefined) {
      if (id === undefined && room !== undefined) this.#joinAgain.add(room);
      this.#pauseFor(pause * (1 + Math.random()));
      if (code === 'unavailable' && !this.#rooms.has(this.#place?.room ?? '')) {
        this.#handlers.state('waiting');
      }
    } else if (code === 'not-joined' && id !== undefined && room !== undefined) {
      this.#rooms.delete(room);
      this.#inFlight = undefined;
      this.#join(room);
    } else if (id !== undefined) {
      const pending = this.#outbox.settle(id);
      if (pending !== undefined) this.#handlers.notSaid(pending, message.message);
      this.#settled(id);
    } else if (room !== undefined && room === this.#place?.room) {
      this.#answered();
      this.#handlers.state('open');
      this.#handlers.notJoined(message);
    }
  }

  #pauseFor(ms: number): void {
    this.#answered();
    this.#inFlight = undefined;
    clearTimeout(this.#pause);
    this.#pause = setTimeout(() => {
      this.#pause = undefined;
      const rooms = [...this.#joinAgain];
      this.#joinAgain.clear();
      for (const room of rooms) this.#join(room);
      this.flush();
    }, ms);
  }

  #settled(id: string): void {
    this.#outbox.settle(id);
    if (id !== this.#inFlight) return;
    this.#inFlight = undefined;
    this.#answered();
    this.#leaveOthers();
    this.flush();
  }

  /** A room that we went out of is left when nothing waits to be said there any more. */
  #leaveOthers(): void {
    const needed = this.#outbox.rooms();
    for (const room of this.#rooms) {
      if (room === this.#place?.room || needed.has(room)) continue;
      this.#rooms.delete(room);
      this.#send({ type: 'leave', room });
    }
  }

  #join(room: string): void {
    if (this.#place === undefined) return;
    this.#send({ type: 'join', room, name: this.#place.name });
    this.#expectAnswer();
  }

  #send(message: Readonly<Record<string, string>>): void {
    this.#client?.send(JSON.stringify(message));
  }

  /** A connection that died without a word shows in that what must come does not come. */
  #expectAnswer(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#client?.restart(), answerMs);
  }

  #answered(): void {
    clearTimeout(this.#deadline);
  }

  #lost(): void {
    clearTimeout(this.#deadline);
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#inFlight = undefined;
    this.#rooms.clear();
    this.#joinAgain.clear();
    this.#handlers.state('waiting');
  }
}
