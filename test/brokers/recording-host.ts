import type { BrokerHost } from '../../dist/topics/broker.js';

const WAIT_MS = 60_000;
const LOOK_MS = 10;

/** Keeps all that a broker tells, for a test to wait for. */
export class RecordingHost implements BrokerHost {
  /** What was told of the engine, oldest first. */
  readonly events: ('up' | 'down' | 'gap')[] = [];
  readonly errors: unknown[] = [];
  readonly gaps: (readonly string[] | undefined)[] = [];
  /** How many messages there were in all. */
  total = 0;
  readonly #messages = new Map<string, Uint8Array[]>();
  /** How many events of each kind a test has waited for. */
  readonly #seen = { up: 0, down: 0, gap: 0 };

  received(topic: string, bytes: Uint8Array): void {
    this.total += 1;
    const messages = this.#messages.get(topic);
    if (messages === undefined) this.#messages.set(topic, [bytes]);
    else messages.push(bytes);
  }

  up(): void {
    this.events.push('up');
  }

  down(error: unknown): void {
    this.events.push('down');
    this.errors.push(error);
  }

  gap(topics?: readonly string[]): void {
    this.events.push('gap');
    this.gaps.push(topics);
  }

  /** Topics that something was received of. */
  get topics(): readonly string[] {
    return [...this.#messages.keys()];
  }

  /** Waits for an event that no test has waited for. Resolves to the error, if it has one. */
  async told(event: 'up' | 'down' | 'gap'): Promise<unknown> {
    await this.until(() => this.#count(event) > this.#seen[event], event);
    this.#seen[event] = this.#count(event);
    return event === 'down' ? this.errors.at(-1) : undefined;
  }

  /** What was told by now is not waited for. */
  seen(): void {
    for (const event of ['up', 'down', 'gap'] as const) this.#seen[event] = this.#count(event);
  }

  #count(event: 'up' | 'down' | 'gap'): number {
    return this.events.filter((each) => each === event).length;
  }

  /** What has come to a topic, once there are so many messages; never more of them. */
  async messages(topic: string, count: number): Promise<readonly Uint8Array[]> {
    const found = (): readonly Uint8Array[] => this.#messages.get(topic) ?? [];
    await this.until(
      () => found().length >= count,
      `${count} messages to ${topic}`,
      () => String(found().length),
    );
    if (found().length > count) throw new Error(`${found().length} messages, not ${count}`);
    return found();
  }

  async texts(topic: string, count: number): Promise<readonly string[]> {
    await this.messages(topic, count);
    return this.textsOf(topic);
  }

  textsOf(topic: string): readonly string[] {
    return (this.#messages.get(topic) ?? []).map((bytes) => new TextDecoder().decode(bytes));
  }

  /** Counts no more what was received of these topics. */
  forget(topics: readonly string[]): void {
    for (const topic of topics) {
      this.total -= this.#messages.get(topic)?.length ?? 0;
      this.#messages.delete(topic);
    }
  }

  async until(
    isSo: () => boolean | Promise<boolean>,
    what = 'what a test waits for',
    found = (): string => this.events.join(' '),
  ): Promise<void> {
    const end = performance.now() + WAIT_MS;
    while (!(await isSo())) {
      if (performance.now() > end) throw new Error(`${what} has not come: ${found()}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}
