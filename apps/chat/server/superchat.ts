import type { Conversation } from './conversation.ts';
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
  open(): void {}

  text(peer: Visitor, data: string): void {
    const message = parseClientMessage(data, this.#conversation.limits);
    switch (message.type) {
      case 'join':
        this.#join(peer, message);
        break;
      case 'say':
        this.#say(peer, message);
        break;
      case 'leave':
        this.#leave(peer, message);
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

  #join(peer: Visitor, { room: roomName, name }: ClientMessage & { type: 'join' }): void {
    const { limits } = this.#conversation;
    const entered = this.#conversation.join(peer, roomName, name);
    if (!entered.ok) {
      reply(
        peer,
        entered.full === 'connection'
          ? refusal(
              'too-many-rooms',
              `a connection is in at most ${limits.roomsPerConnection} rooms`,
              {
                room: roomName,
              },
            )
          : refusal('server-full', 'the server has too many rooms', { room: roomName }),
      );
      return;
    }
    const { room } = entered;
    reply(peer, {
      type: 'joined',
      room: roomName,
      name,
      members: room.members(),
      history: room.history(limits.historyMessages),
    });
  }

  #say(peer: Visitor, { room: roomName, text, id }: ClientMessage & { type: 'say' }): void {
    const name = peer.data.seats.get(roomName);
    const room = this.#conversation.room(roomName);
    if (name === undefined || room === undefined) {
      reply(peer, refusal('not-joined', 'join the room first', { room: roomName, id }));
      return;
    }
    this.#conversation.say(peer, room, name, text, id);
  }

  #leave(peer: Visitor, { room }: ClientMessage & { type: 'leave' }): void {
    const name = peer.data.seats.get(room);
    if (name === undefined) {
      reply(peer, refusal('not-joined', 'the connection is not in that room', { room }));
      return;
    }
    this.#conversation.leave(peer, room);
    reply(peer, { type: 'presence', room, left: name });
  }
}

function reply(peer: Visitor, message: ServerMessage): void {
  tell(peer, encode(message));
}

function about(message: ClientMessage | Refusal): Subject {
  const { room } = message;
  const id = 'id' in message ? message.id : undefined;
  return { ...(room === undefined ? {} : { room }), ...(id === undefined ? {} : { id }) };
}
