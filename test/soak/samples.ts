import type { Plan } from './plan.ts';
import type { ProcessSample } from './process-sample.ts';

/** Whom a connection belongs to: by this it is judged how it may end. */
export type Kind = 'member' | 'drop' | 'latest' | 'close' | 'malformed' | 'half-open';

/** Peers that ended, by kind and by why: `member 1000`, `half-open PING_TIMEOUT`. */
export type Counts = Readonly<Record<string, number>>;

export interface ServerSample extends ProcessSample {
  readonly peers: number;
  readonly opened: number;
  /** Messages taken from and handed to peers; one published counts once for each subscriber. */
  readonly received: number;
  readonly published: number;
  readonly dropped: number;
  readonly gaps: number;
  readonly engineUp: boolean;
  readonly ends: Counts;
  /** Told to `onError`, by code. */
  readonly errors: Counts;
}

export interface PublisherSample {
  readonly rss: number;
  readonly published: number;
  readonly unpublished: number;
  readonly engineUp: boolean;
  readonly errors: Counts;
}

export interface LoadSample extends ProcessSample {
  readonly connections: number;
  readonly opened: number;
  /** Ended on purpose, by how. */
  readonly left: Counts;
  readonly echoes: number;
  readonly received: number;
  readonly lost: number;
  readonly announced: number;
  readonly dropped: number;
  readonly gaps: number;
  readonly repeated: number;
  /** What is lost without a word or repeated, by what kind of topic. */
  readonly wrong: Counts;
  readonly slowClosed: number;
  readonly malformed: number;
  readonly unfinished: number;
  /** What must not happen, by what it was. */
  readonly problems: Counts;
}

export interface HalfOpenSample {
  readonly cutOff: number;
  readonly found: number;
  /** Not found in time. */
  readonly late: number;
  readonly slowestMs: number;
}

export interface Sample {
  readonly type: 'sample';
  /** Since the load began, in ms. */
  readonly at: number;
  readonly server: ServerSample;
  readonly load: LoadSample;
  readonly publisher: PublisherSample | undefined;
  readonly halfOpen: HalfOpenSample;
  readonly engineRestarts: number;
}

/** What an idle server holds, before and after. */
export interface Idle {
  readonly descriptors: number | undefined;
  readonly handles: Counts;
  readonly peers: number;
}

export interface RunStart {
  readonly type: 'run';
  readonly startedAt: string;
  readonly plan: Plan;
  readonly machine: string;
  /** What is left out, and why. */
  readonly notRun: readonly string[];
  readonly halfOpenBy: string;
}

export interface RunEnd {
  readonly type: 'end';
  readonly before: Idle;
  readonly after: Idle;
  /** Whether the server's process ended by itself after `close`. */
  readonly endedByItself: boolean;
  /** What broke the run off. */
  readonly failures: readonly string[];
}

export interface Check {
  readonly name: string;
  readonly good: boolean;
  readonly detail: string;
}

export interface Verdict {
  readonly type: 'verdict';
  readonly good: boolean;
  readonly checks: readonly Check[];
}

export interface Run {
  readonly start: RunStart;
  readonly samples: readonly Sample[];
  readonly end: RunEnd | undefined;
}

/** @throws {Error} where the lines are not what a soak wrote. */
export function parseRun(text: string): Run {
  let start: RunStart | undefined;
  let end: RunEnd | undefined;
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const entry: RunStart | Sample | RunEnd | Verdict = JSON.parse(line);
    if (entry.type === 'run') start = entry;
    else if (entry.type === 'sample') samples.push(entry);
    else if (entry.type === 'end') end = entry;
  }
  if (start === undefined) throw new Error('not a file that a soak wrote');
  return { start, samples, end };
}

export function total(counts: Counts): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

export function count(counts: Record<string, number>, name: string, by = 1): void {
  counts[name] = (counts[name] ?? 0) + by;
}
