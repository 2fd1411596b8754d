import { randomUUID } from 'node:crypto';
import { CloseCode } from 'aperto';
import { type Conversation, saidLine } from './conversation.ts';
import { checkName, checkRoom, checkText } from './names.ts';
import { type Dialect, tell, type Visitor } from './session.ts';

/** The subprotocol of lines, for any client and a human hand: one room a connection. */
export class ChatLines implements Dialect {
  readonly #conversation: Conversation;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  /** Enters the room of `?room=`: what was said there, then a notice of who is there. */
  open(peer: Visitor): void {
    const { limits } = this.#conversation;
    const checked = checkRoom(peer.data.askedRoom, limits);
    if (!checked.ok) {
      notice(peer, checked.problem);
      peer.close(CloseCode.POLICY_VIOLATION, checked.problem);
      return;
    }
    const name = this.#conversation.guestName(checked.value);
    const entered = this.#conversation.join(peer, checked.value, name);
    if (!entered.ok) {
      notice(peer, 'the server has too many rooms');
      peer.close(CloseCode.TRY_AGAIN_LATER, 'the server has too many rooms');
      return;
    }
    const { room } = entered;
    for (const said of room.history(limits.historyMessages)) tell(peer, saidLine(said));
    notice(peer, `you are ${name} in ${room.name}; here: ${room.members().join(', ')}`);
  }

  text(peer: Visitor, data: string): void {
    // A line may come with the line break that ended it.
    const line = data.replace(/\r?\n$/, '');
    if (line.trim() === '') return;
    const command = /^\/(?!\/)(\S*)\s*(.*)$/su.exec(line);
    if (command !== null) {
      this.#command(peer, command[1] ?? '', command[2] ?? '');
      return;
    }
    this.#say(peer, line.startsWith('//') ? line.slice(1) : line);
  }

  binary(peer: Visitor): void {
    notice(peer, 'not sent: a line is text, not binary');
  }

  tooFast(peer: Visitor): void {
    const { messagesPerSecond } = this.#conversation.limits;
    notice(peer, `not sent: at most ${messagesPerSecond} lines a second`);
  }

  #command(peer: Visitor, command: string, argument: string): void {
    const [seat] = peer.data.seats;
    if (seat === undefined) return;
    const [roomName] = seat;
    if (command === 'nick') {
      this.#rename(peer, roomName, argument);
    } else if (command === 'who') {
      const members = this.#conversation.room(roomName)?.members() ?? [];
      notice(peer, `here: ${members.join(', ')}`);
    } else {
      // What was typed is not repeated: it could carry anything.
      notice(peer, 'unknown command; there are /nick NAME and /who, and // says a slash');
    }
  }

  #rename(peer: Visitor, roomName: string, given: string): void {
    const checked = checkName(given, this.#conversation.limits);
    if (!checked.ok) notice(peer, `${checked.problem}: /nick NAME`);
    else if (checked.value === peer.data.seats.get(roomName))
      notice(peer, `you are ${checked.value}`);
    else this.#conversation.join(peer, roomName, checked.value);
  }

  #say(peer: Visitor, line: string): void {
    const [seat] = peer.data.seats;
    const room = seat === undefined ? undefined : this.#conversation.room(seat[0]);
    if (seat === undefined || room === undefined) return;
    const checked = checkText(line, this.#conversation.limits);
    if (!checked.ok) {
      notice(peer, `not sent: ${checked.problem}`);
      return;
    }
    // One message is one line, whatever breaks it had inside.
    const text = checked.value.replace(/\n+/g, ' ');
    this.#conversation.say(peer, room, seat[1], text, randomUUID());
  }
}

function notice(peer: Visitor, text: string): void {
  tell(peer, `* ${text}`);
}
