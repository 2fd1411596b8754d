import type { Platform } from '../protocol/platform.ts';

/** What topics need from outside. */
export interface TopicPorts {
  readonly platform: Platform;
  /** Runs a task when the tick ends. */
  readonly atEndOfTick: (task: () => void) => void;
  /** Runs a task after so many milliseconds, unless the function that it returns is called before. */
  readonly after: (ms: number, task: () => void) => () => void;
}
