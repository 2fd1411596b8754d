import { randomUUID } from 'node:crypto';
import { CloseCode } from 'aperto';
import type { Conversation } from './conversation.ts';
import { checkName, checkRoom, checkText } from './names.ts';
import { saidLine } from './room-events.ts';
import { type Dialect, tell, type Visitor } from './session.ts';

/** The subprotocol of lines, for any client and a human hand: one room a connection. */
export class ChatLines implements Dialect {
  readonly #conversation: Conversation;

  constructor(conversation: Conversation) {
    this.#conversation = conversation;
  }

  /** Enters the room of `?room=`: what was said there, then a notice of who is there. */
  async open(peer: Visitor): Promise<void> {
    const { limits } = this.#conversation;
    const checked = checkRoom(peer.data.askedRoom, limits);
    if (!checked.ok) {
      notice(peer, checked.problem);
      peer.close(CloseCode.POLICY_VIOLATION, checked.problem);
      return;
    }
    const entered = await this.#conversation.joinAsGuest(peer, checked.value, (room, name) => {
      for (const said of room.history()) tell(peer, saidLine(said));
      notice(peer, `you are ${name} in ${room.name}; here: ${room.members().join(', ')}`);
    });
    if (entered === 'in') return;
    const problem =
      entered === 'unavailable'
        ? 'the room cannot be reached at the moment'
        : 'the server has too many rooms';
    notice(peer, problem);
    peer.close(CloseCode.TRY_AGAIN_LATER, problem);
  }

  async text(peer: Visitor, data: string): Promise<void> {
    // A line may come with the line break that ended it.
    const line = data.replace(/\r?\n$/, '');
    if (line.trim() === '') return;
    const command = /^\/(?!\/)(\S*)\s*(.*)$/su.exec(line);
    if (command === null) await this.#say(peer, line.startsWith('//') ? line.slice(1) : line);
    else await this.#command(peer, command[1] ?? '', command[2] ?? '');
  }

  binary(peer: Visitor): void {
    notice(peer, 'not sent: a line is text, not binary');
  }

  tooFast(peer: Visitor): void {
    const { messagesPerSecond } = this.#conversation.limits;
    notice(peer, `not sent: at most ${messagesPerSecond} lines a second`);
  }

  async #command(peer: Visitor, command: string, argument: string): Promise<void> {
    const [seat] = peer.data.seats;
    if (seat === undefined) return;
    const [roomName] = seat;
    if (command === 'nick') {
      await this.#rename(peer, roomName, argument);
    } else if (command === 'who') {
      const members = this.#conversation.room(roomName)?.members() ?? [];
      notice(peer, `here: ${members.join(', ')}`);
    } else {
      // What was typed is not repeated: it could carry anything.
      notice(peer, 'unknown command; there are /nick NAME and /who, and // says a slash');
    }
  }

  async #rename(peer: Visitor, roomName: string, given: string): Promise<void> {
    const checked = checkName(given, this.#conversation.limits);
    if (!checked.ok) notice(peer, `${checked.problem}: /nick NAME`);
    else if (checked.value === peer.data.seats.get(roomName))
      notice(peer, `you are ${checked.value}`);
    else await this.#conversation.join(peer, roomName, checked.value, () => {});
  }

  async #say(peer: Visitor, line: string): Promise<void> {
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
    const spoken = await this.#conversation.say(room, seat[1], text, randomUUID());
    if (spoken === 'unavailable') {
      notice(peer, 'perhaps not sent: the room cannot be reached at the moment');
    }
  }
}

function notice(peer: Visitor, text: string): void {
  tell(peer, `* ${text}`);
}
