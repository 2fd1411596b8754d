import { backoff } from './backoff.ts';
import {
  type Joined,
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
  /** A message of ours that will never be said, and why. */
  notSaid(pending: Pending, why: string): void;
  /** The server does not let us in, and why. */
  notJoined(message: Refused): void;
}

/** Time for the server to answer what it must answer, and to accept a connection. */
const answerMs = 10_000;
/** A connection that lasted this long was a good one: the next attempt starts afresh. */
const goodMs = 5000;

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
  #socket: WebSocket | undefined;
  /** Where the server has let us in, on this connection. */
  readonly #rooms = new Set<string>();
  /** The id of the message that the server has yet to acknowledge. */
  #inFlight: string | undefined;
  #attempt = 0;
  #openedAt = 0;
  #retry: number | undefined;
  #deadline: number | undefined;
  #pause: number | undefined;

  constructor(url: string, outbox: Outbox, handlers: ConnectionHandlers) {
    this.#url = url;
    this.#outbox = outbox;
    this.#handlers = handlers;
  }

  /** Goes to a room under a name, from wherever it is now. */
  enter(room: string, name: string): void {
    this.#place = { room, name };
    if (this.#socket?.readyState === WebSocket.OPEN) this.#join(room);
    else this.wake();
  }

  /** There is something new in the outbox. */
  flush(): void {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    if (this.#inFlight !== undefined || this.#pause !== undefined) return;
    const pending = this.#outbox.next(this.#rooms);
    if (pending === undefined) return;
    this.#inFlight = pending.id;
    const { room, text, id } = pending;
    this.#send({ type: 'say', room, text, id });
    this.#expectAnswer();
  }

  /** Tries at once where it was waiting to: the network is back, or somebody looks at the page again. */
  wake(): void {
    if (this.#place === undefined || this.#socket !== undefined) return;
    clearTimeout(this.#retry);
    this.#connect();
  }

  #connect(): void {
    this.#handlers.state('connecting');
    let socket: WebSocket;
    try {
      socket = new WebSocket(this.#url, ['superchat', 'chat']);
    } catch {
      this.#lost();
      return;
    }
    this.#socket = socket;
    this.#expectAnswer();
    socket.onopen = () => {
      // A server that speaks only `chat` has no ids and so no acknowledgements: not for this page.
      if (socket.protocol !== 'superchat') this.#drop();
      else this.#opened();
    };
    socket.onmessage = (event: MessageEvent<unknown>) => {
      if (typeof event.data !== 'string') return;
      const message = parseServerMessage(event.data);
      if (message !== undefined) this.#receive(message);
    };
    socket.onclose = () => this.#lost();
  }

  #opened(): void {
    this.#openedAt = performance.now();
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
      case 'error':
        this.#refused(message);
        break;
    }
  }

  #refused(message: Refused): void {
    const { code, id, room } = message;
    if (code === 'rate-limited') {
      this.#answered();
      this.#inFlight = undefined;
      this.#pause = setTimeout(
        () => {
          this.#pause = undefined;
          if (id === undefined && room !== undefined) this.#join(room);
          this.flush();
        },
        500 + 500 * Math.random(),
      );
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
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** A connection that died without a word shows in that what must come does not come. */
  #expectAnswer(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#drop(), answerMs);
  }

  #answered(): void {
    clearTimeout(this.#deadline);
  }

  /** Gives the connection up at once: a dead one would take a minute to report its close. */
  #drop(): void {
    this.#socket?.close();
    this.#lost();
  }

  #lost(): void {
    if (this.#socket !== undefined) {
      this.#socket.onopen = null;
      this.#socket.onmessage = null;
      this.#socket.onclose = null;
      this.#socket = undefined;
    }
    clearTimeout(this.#deadline);
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#inFlight = undefined;
    this.#rooms.clear();
    const good = this.#openedAt > 0 && performance.now() - this.#openedAt > goodMs;
    this.#openedAt = 0;
    if (good) this.#attempt = 0;
    this.#handlers.state('waiting');
    this.#retry = setTimeout(() => this.#connect(), backoff(this.#attempt));
    this.#attempt += 1;
  }
}
