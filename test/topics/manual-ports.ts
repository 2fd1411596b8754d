import type { TopicPorts } from '../../dist/topics/topic-ports.js';
import { testPlatform } from '../protocol/test-platform.ts';

/** Ports whose ticks end, and whose time passes, when the test says so. */
export class ManualPorts implements TopicPorts {
  readonly platform = { ...testPlatform, clock: () => this.#now };
  readonly tasks: (() => void)[] = [];
  readonly timers = new Map<object, { readonly at: number; readonly task: () => void }>();
  #now = 0;

  readonly atEndOfTick = (task: () => void): void => {
    this.tasks.push(task);
  };

  readonly after = (ms: number, task: () => void): (() => void) => {
    const id = {};
    this.timers.set(id, { at: this.#now + ms, task });
    return () => void this.timers.delete(id);
  };

  /** Ends the tick, and those that its tasks ask for. */
  endTick(): void {
    while (this.tasks.length > 0) this.tasks.shift()?.();
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const [id, { at, task }] of [...this.timers]) {
      if (at > this.#now) continue;
      this.timers.delete(id);
      task();
    }
  }
}
