/** A message that was said. `at` is in milliseconds since 1970 UTC. */
export interface Said {
  readonly from: string;
  readonly text: string;
  readonly at: number;
  readonly id: string;
}

function cost(said: Said): number {
  // Two bytes a character, and about what the objects around them take.
  return 2 * (said.from.length + said.text.length + said.id.length) + 128;
}

/**
 * Who is in a room and what was said there.
 *
 * A name is present as long as one connection has it. So a page that reconnects before its dead
 * connection was noticed neither finds its name taken nor leaves and joins in everybody's sight, and
 * one person may have two windows.
 */
export class Room {
  readonly name: string;
  readonly #remembered: number;
  readonly #connections = new Map<string, number>();
  /** By id, oldest first. */
  readonly #messages = new Map<string, Said>();
  #bytes = 0;

  constructor(name: string, remembered: number) {
    this.name = name;
    this.#remembered = remembered;
  }

  /** About what the messages take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#connections.size === 0;
  }

  get isBlank(): boolean {
    return this.isEmpty && this.#messages.size === 0;
  }

  /** The names present, in the order in which they came. */
  members(): string[] {
    return [...this.#connections.keys()];
  }

  has(name: string): boolean {
    return this.#connections.has(name);
  }

  /** One more connection has this name; true when it is the first. */
  enter(name: string): boolean {
    const before = this.#connections.get(name) ?? 0;
    this.#connections.set(name, before + 1);
    return before === 0;
  }

  /** One connection fewer has this name; true when it was the last. */
  leave(name: string): boolean {
    const before = this.#connections.get(name) ?? 0;
    if (before > 1) {
      this.#connections.set(name, before - 1);
      return false;
    }
    return this.#connections.delete(name);
  }

  find(id: string): Said | undefined {
    return this.#messages.get(id);
  }

  remember(said: Said): void {
    this.#messages.set(said.id, said);
    this.#bytes += cost(said);
    if (this.#messages.size <= this.#remembered) return;
    for (const [id, oldest] of this.#messages) {
      this.#messages.delete(id);
      this.#bytes -= cost(oldest);
      break;
    }
  }

  forget(): void {
    this.#messages.clear();
    this.#bytes = 0;
  }

  /** The last `count` messages, oldest first. */
  history(count: number): Said[] {
    return [...this.#messages.values()].slice(-count);
  }
}
