import type { Message } from '../protocol/messages/message-assembler.ts';

/**
 * A place in the history of a topic: behind one message, or at the beginning. To applications both are opaque; as JSON
 * they can be given to a client, which resumes with them on any node.
 */
export interface Position {
  /** Which history of the topic it is a place in: another one after the engine has lost the first. */
  readonly epoch: string;
  readonly offset: string;
}

export interface HistoryEntry {
  /** The place behind this message. */
  readonly position: Position;
  readonly data: Message;
}

/** What a reader gets. */
export interface HistoryRead {
  /** Oldest first. */
  readonly entries: readonly HistoryEntry[];
  /** The place behind the last entry: where to read on. */
  readonly position: Position;
  /**
   * Whether the entries are all that followed the position that was asked for. If not, messages are missing, and the
   * entries are the last ones that are kept. Without a position: whether they are all since the epoch began.
   */
  readonly complete: boolean;
}

export interface Appended {
  /** The place behind the message; where it was there before, behind that one. */
  readonly position: Position;
  /** Whether a message of that id was there before, so that nothing was appended. */
  readonly duplicate: boolean;
}

/**
 * The last messages of each topic, apart from the topics themselves: what is to be kept is appended, and then published.
 * A topic's history is the same on all nodes, in the order in which the engine took the messages.
 */
export interface History {
  /**
   * Appends a message. Resolves once the engine has it.
   * @param id where given, a message of the same id that is still known is not appended twice: so it may be tried again.
   * @throws {ApertoError} ENGINE_AWAY where it may not have been appended; INVALID_TOPIC; INVALID_DATA; INVALID_OPTION for an
   * id that is empty or no well-formed Unicode.
   */
  append(topic: string, data: Message, id?: string): Promise<Appended>;
  /**
   * The messages after a position, all of them or the answer that they are not all there; without one, the last ones.
   * A position that is malformed, forged, of another topic or of a lost history is answered with `complete: false`.
   * @param limit where no position is given, how many at most. Default all that are kept.
   * @throws {ApertoError} ENGINE_AWAY, INVALID_TOPIC; INVALID_OPTION for a limit that is no whole number.
   */
  read(topic: string, after?: Position, limit?: number): Promise<HistoryRead>;
}
