/** Every difference between the implementations and what the cases expect by the standards. */
import { isDeepStrictEqual } from 'node:util';
import { IN_VAIN, type Json } from './conformance-case.ts';
import { connectionDifferences } from './differences/connection-differences.ts';
import type { Difference, Implementation } from './differences/difference.ts';
import { interfaceDifferences } from './differences/interface-differences.ts';
import { messageDifferences } from './differences/message-differences.ts';
import { cases, type Observations, type Selection } from './websocket-cases.ts';

export const differences: readonly Difference[] = [
  ...interfaceDifferences,
  ...messageDifferences,
  ...connectionDifferences,
];

/** What the list was made with. */
export const versions = {
  'node-22': '22.23.3',
  'node-24': '24.21.0',
  'node-26': '26.10.0',
  chromium: '156',
  firefox: '153',
} as const;

/** Who is looked at. */
export interface Observed {
  /** As what it is listed. */
  readonly who: readonly Implementation[];
  /**
   * Whether each listed difference must be there: in the versions that the list was made with. Others may have
   * repaired some; nobody may have new ones.
   */
  readonly isExact: boolean;
}

interface Listed {
  readonly seen: Json;
  readonly isAtTimes: boolean;
}

/** What these show instead of what is expected, by the name of the case. */
function listedFor(who: readonly Implementation[]): ReadonlyMap<string, Listed> {
  const all = new Map<string, Listed>();
  for (const one of differences.flatMap(({ instead }) => instead)) {
    if (!one.who.some((name) => who.includes(name))) continue;
    const { isAtTimes = false } = one;
    for (const [name, seen] of Object.entries(one.seen)) all.set(name, { seen, isAtTimes });
  }
  return all;
}

/** Cases in which nothing will happen are not waited for long. */
export function selectionFor({ who }: Observed): Selection {
  const inVain = [...listedFor(who)].filter(([, { seen }]) => seen === IN_VAIN);
  return { inVain: inVain.map(([name]) => name) };
}

/** The cases by theme: what stands before the colon of their names. */
export function themes(): ReadonlyMap<string, readonly string[]> {
  const all = new Map<string, string[]>();
  for (const { name } of cases) {
    const theme = name.slice(0, name.indexOf(':'));
    all.set(theme, [...(all.get(theme) ?? []), name]);
  }
  return all;
}

/** Of the cases that did not see what they have to see in an implementation, both, as JSON. */
export interface Comparison {
  readonly seen: Readonly<Record<string, string>>;
  readonly wanted: Readonly<Record<string, string>>;
  /** Those that saw what the standards say although a difference is listed. */
  readonly repaired: readonly string[];
}

export function compare(
  observations: Observations,
  names: readonly string[],
  { who, isExact }: Observed,
): Comparison {
  const listed = listedFor(who);
  const seen: Record<string, string> = {};
  const wanted: Record<string, string> = {};
  const repaired: string[] = [];
  for (const { name, expected } of cases) {
    if (!names.includes(name)) continue;
    const observed = observations[name];
    const instead = listed.get(name);
    const asListed = instead === undefined ? expected : instead.seen;
    if (isDeepStrictEqual(observed, asListed)) continue;
    if (instead !== undefined && isDeepStrictEqual(observed, expected)) {
      if (instead.isAtTimes) continue;
      repaired.push(name);
      if (!isExact) continue;
    }
    seen[name] = JSON.stringify(observed) ?? 'was not run';
    wanted[name] = JSON.stringify(asListed);
  }
  return { seen, wanted, repaired };
}
