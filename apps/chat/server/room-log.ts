import type { History, Position } from 'aperto';
import { inTime } from './engine.ts';
import { costOf, decodeSaid, type Said } from './said.ts';

/** What a reading of the history has brought. */
export interface News {
  /** What was said since the last one, oldest first. */
  readonly said: readonly Said[];
  /** Whether more was said, which the history no longer has. */
  readonly isMissing: boolean;
}

/**
 * The end of a room's history. It is read, not told: so that every server has what was said in the one order that the
 * history has, each message once, whatever became of the notices that there is something new.
 */
export class RoomLog {
  readonly #history: History;
  readonly #topic: string;
  readonly #most: number;
  /** Behind the last message that was read. */
  #position: Position | undefined = undefined;
  /** By id, oldest first. */
  readonly #said = new Map<string, Said>();
  #bytes = 0;

  /** @param most how many messages are kept here. */
  constructor(history: History, topic: string, most: number) {
    this.#history = history;
    this.#topic = topic;
    this.#most = most;
  }

  /** About what it takes in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The last messages, oldest first. */
  all(): Said[] {
    return [...this.#said.values()];
  }

  find(id: string): Said | undefined {
    return this.#said.get(id);
  }

  /**
   * Reads on; at first the last messages. To be called one at a time.
   * @throws where the engine does not answer.
   */
  async read(): Promise<News> {
    const after = this.#position;
    const limit = after === undefined ? this.#most : undefined;
    const { entries, position, complete } = await inTime(
      this.#history.read(this.#topic, after, limit),
    );
    const isMissing = after !== undefined && !complete;
    // Of what is before the last ones, it cannot be said who has seen it.
    const read = (isMissing ? entries.slice(-this.#most) : entries)
      .map(({ data }) => decodeSaid(data))
      .filter((said) => said !== undefined);
    const said = isMissing ? read.filter(({ id }) => !this.#said.has(id)) : read;
    this.#position = position;
    if (isMissing) this.forget();
    for (const one of read) this.#keep(one);
    return { said, isMissing };
  }

  /** Looks for a message among all that the history has. */
  async findEarlier(id: string): Promise<Said | undefined> {
    const { entries } = await inTime(this.#history.read(this.#topic));
    return entries.map(({ data }) => decodeSaid(data)).findLast((said) => said?.id === id);
  }

  /** Gives its memory back. What is said from now on is kept. */
  forget(): void {
    this.#said.clear();
    this.#bytes = 0;
  }

  #keep(said: Said): void {
    const before = this.#said.get(said.id);
    if (before !== undefined) this.#drop(before);
    this.#said.set(said.id, said);
    this.#bytes += costOf(said);
    if (this.#said.size <= this.#most) return;
    const [oldest] = this.#said.values();
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(said: Said): void {
    this.#said.delete(said.id);
    this.#bytes -= costOf(said);
  }
}
