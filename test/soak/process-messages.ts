/** What the processes of a soak tell each other. */
import type { Plan } from './plan.ts';
import type { Idle, LoadSample, PublisherSample, ServerSample } from './samples.ts';

/** What a process is started with, as JSON. */
export interface ServerAsked {
  readonly plan: Plan;
  /** Port of Redis; undefined where there is none. */
  readonly enginePort: number | undefined;
  /** An address besides 127.0.0.1: this machine's end of the network namespace. */
  readonly farHost: string | undefined;
}

export interface Listening {
  readonly type: 'listening';
  readonly tcp: number;
  readonly tls: number;
  readonly far: number;
  readonly certificate: string;
}

export type FromServer =
  | Listening
  | { readonly type: 'sample'; readonly sample: ServerSample }
  | { readonly type: 'idle'; readonly idle: Idle }
  /** A half-open peer was found, at that `Date.now()`. */
  | { readonly type: 'found'; readonly id: string; readonly at: number; readonly why: string };

export type ToServer = { readonly type: 'idle' | 'stop-publishing' | 'close' };

export interface PublisherAsked {
  readonly plan: Plan;
  readonly enginePort: number;
}

export type FromPublisher =
  | { readonly type: 'ready' }
  | { readonly type: 'sample'; readonly sample: PublisherSample }
  /** The last number of each topic. */
  | { readonly type: 'stopped'; readonly last: readonly number[] };

export type ToPublisher = { readonly type: 'stop' };

export interface LoadAsked {
  readonly plan: Plan;
  readonly listening: Listening;
  /** Whether there is an engine that brings messages of another server. */
  readonly hasFar: boolean;
}

export type FromLoad =
  | { readonly type: 'sample'; readonly sample: LoadSample }
  /** All have left. */
  | { readonly type: 'left'; readonly sample: LoadSample };

export type ToLoad = { readonly type: 'leave'; readonly lastFar: readonly number[] | undefined };

export interface HalfOpenAsked {
  readonly url: string;
  readonly count: number;
  readonly prefix: string;
}

export type FromHalfOpen =
  | { readonly type: 'open' }
  | { readonly type: 'failed'; readonly why: string };

/** In a started process: what it was asked. */
export function asked<T>(): T {
  const value: T = JSON.parse(process.argv[2] ?? 'null');
  return value;
}

/** In a started process: tells the one that started it. */
export function tell(message: FromServer | FromPublisher | FromLoad | FromHalfOpen): void {
  // It may have gone: then so does this process.
  if (process.connected) process.send?.(message, undefined, undefined, () => {});
}

/**
 * In a started process: hears the one that started it, and ends with it. Signals are for that one alone: a terminal sends
 * them to all.
 */
export function listen<T>(hear: (message: T) => void): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => {});
  process.on('message', (message: T) => hear(message));
  process.on('disconnect', () => process.exit());
}
