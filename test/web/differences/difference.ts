import type { Json } from '../conformance-case.ts';

/** Ours, the global one of three lines of Node, and those of two browsers. */
export type Implementation =
  | 'aperto'
  | 'aperto-on-node-20'
  | 'node-22'
  | 'node-24'
  | 'node-26'
  | 'chromium'
  | 'firefox';

/** What some do instead of what the standards say. */
export interface Difference {
  /** What the standards say. */
  readonly standard: string;
  readonly instead: readonly Instead[];
  /** Who is right, and why. */
  readonly verdict: string;
}

interface Instead {
  readonly who: readonly Implementation[];
  readonly does: string;
  /** A race: at other times they do as they should. */
  readonly isAtTimes?: boolean;
  /** What they show, by the name of the case. */
  readonly seen: Readonly<Record<string, Json>>;
}

export const NODE: readonly Implementation[] = ['node-22', 'node-24', 'node-26'];

/** The same in several cases. */
export function each(names: readonly string[], seen: Json): Readonly<Record<string, Json>> {
  return Object.fromEntries(names.map((name) => [name, seen]));
}
