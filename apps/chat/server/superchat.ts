import type { Conversation } from './conversation.ts';
import { saidMessage } from './room-events.ts';
import { type Dialect, tell, type Visitor } from './session.ts';
import {
  type ClientMessage,
  encode,
  parseClientMessage,
  type Refusal,
  refusal,
  type ServerMessage,
  type Subject,
} from './superchat-messages.ts';

/** The JSON subprotocol: several rooms a connection. */
export class Superchat implements Dialect {
  readonly #conversation: Conversation;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  /** Nothing is sent until the client joins a room. */
  async open(): Promise<void> {}

  async text(peer: Visitor, data: string): Promise<void> {
    const message = parseClientMessage(data, this.#conversation.limits);
    switch (message.type) {
      case 'join':
        await this.#join(peer, message);
        break;
      case 'say':
        await this.#say(peer, message);
        break;
      case 'leave':
        await this.#leave(peer, message);
        break;
      case 'error':
        reply(peer, message);
    }
  }

  binary(peer: Visitor): void {
    reply(peer, refusal('bad-message', 'a message is text, not binary'));
  }

  tooFast(peer: Visitor, data: string | undefined): void {
    const { limits } = this.#conversation;
    // The id tells the client which of its messages to send again.
    const subject = data === undefined ? {} : about(parseClientMessage(data, limits));
    const most = `at most ${limits.messagesPerSecond} messages a second; send it again later`;
    reply(peer, refusal('rate-limited', most, subject));
  }

  async #join(peer: Visitor, { room, name }: ClientMessage & { type: 'join' }): Promise<void> {
    const { limits } = this.#conversation;
    const entered = await this.#conversation.join(peer, room, name, (joined) =>
      reply(peer, {
        type: 'joined',
        room,
        name,
        members: joined.members(),
        history: joined.history(),
      }),
    );
    switch (entered) {
      case 'connection-full': {
        const most = `a connection is in at most ${limits.roomsPerConnection} rooms`;
        reply(peer, refusal('too-many-rooms', most, { room }));
        break;
      }
      case 'server-full':
        reply(peer, refusal('server-full', 'the server has too many rooms', { room }));
        break;
      case 'unavailable':
        reply(peer, refusal('unavailable', unavailable, { room }));
    }
  }

  async #say(
    peer: Visitor,
    { room: roomName, text, id }: ClientMessage & { type: 'say' },
  ): Promise<void> {
    const name = peer.data.seats.get(roomName);
    const room = this.#conversation.room(roomName);
    const subject = { room: roomName, id };
    if (name === undefined || room === undefined) {
      reply(peer, refusal('not-joined', 'join the room first', subject));
      return;
    }
    const spoken = await this.#conversation.say(room, name, text, id);
    if (spoken === 'unavailable') reply(peer, refusal('unavailable', unavailable, subject));
    else if (spoken.earlier !== undefined) reply(peer, saidMessage(roomName, spoken.earlier));
  }

  async #leave(peer: Visitor, { room }: ClientMessage & { type: 'leave' }): Promise<void> {
    const name = peer.data.seats.get(room);
    if (name === undefined) {
      reply(peer, refusal('not-joined', 'the connection is not in that room', { room }));
      return;
    }
    await this.#conversation.leave(peer, room);
    reply(peer, { type: 'presence', room, left: name });
  }
}

const unavailable = 'the room cannot be reached at the moment; send it again later';

function reply(peer: Visitor, message: ServerMessage): void {
  tell(peer, encode(message));
}

function about(message: ClientMessage | Refusal): Subject {
  const { room } = message;
  const id = 'id' in message ? message.id : undefined;
  return { ...(room === undefined ? {} : { room }), ...(id === undefined ? {} : { id }) };
}
