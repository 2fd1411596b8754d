import type { PreparedMessage } from '../protocol/messages/prepared-message.ts';

/** The newest message of each topic that a peer which is behind gets once it has caught up. */
export class LatestMessages {
  readonly #byTopic = new Map<string, PreparedMessage>();

  /** Keeps the last one. Returns how many are given up for it. */
  keep(topic: string, messages: readonly PreparedMessage[]): number {
    const last = messages.at(-1);
    if (last === undefined) return 0;
    const before = this.drop(topic);
    this.#byTopic.set(topic, last);
    return before + messages.length - 1;
  }

  /** Gives up what is kept of a topic. Returns how many that are. */
  drop(topic: string): number {
    return this.#byTopic.delete(topic) ? 1 : 0;
  }

  get size(): number {
    return this.#byTopic.size;
  }

  /** Takes out the one that was kept first. */
  take(): PreparedMessage | undefined {
    for (const [topic, message] of this.#byTopic) {
      this.#byTopic.delete(topic);
      return message;
    }
    return undefined;
  }
}
