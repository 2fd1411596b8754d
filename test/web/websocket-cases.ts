/**
 * What is to be seen of a WebSocket by the WHATWG's standards, whichever implements them. These modules run
 * as they are in a page and in Node: nothing of either is imported.
 */
import { bufferedAmountCases } from './cases/buffered-amount-cases.ts';
import { closingCases } from './cases/closing-cases.ts';
import { constructorCases } from './cases/constructor-cases.ts';
import { eventCases } from './cases/event-cases.ts';
import { failureCases } from './cases/failure-cases.ts';
import { handlerCases } from './cases/handler-cases.ts';
import { handshakeCases } from './cases/handshake-cases.ts';
import { receivingCases } from './cases/receiving-cases.ts';
import { sendingCases } from './cases/sending-cases.ts';
import { shapeCases } from './cases/shape-cases.ts';
import {
  type Case,
  IN_VAIN,
  type Json,
  Stage,
  type Surroundings,
  thrown,
} from './conformance-case.ts';

/**
 * In this order: Chromium waits before it connects where more attempts have failed than succeeded, and the last of
 * these are given up at once.
 */
export const cases: readonly Case[] = [
  ...handshakeCases,
  ...eventCases,
  ...handlerCases,
  ...sendingCases,
  ...bufferedAmountCases,
  ...receivingCases,
  ...closingCases,
  ...failureCases,
  ...shapeCases,
  ...constructorCases,
];

/** What each case saw, by its name. */
export type Observations = Readonly<Record<string, Json>>;

const PATIENCE_MS = 5_000;
const LITTLE_PATIENCE_MS = 300;

export interface Selection {
  /** Where nothing is expected to happen: not waited for long. */
  readonly inVain?: readonly string[];
  /** Only cases whose name has this. */
  readonly part?: string;
}

/** Runs the cases one after another. */
export async function observe(
  surroundings: Surroundings,
  { inVain = [], part = '' }: Selection = {},
): Promise<Observations> {
  const observations: Record<string, Json> = {};
  for (const one of cases) {
    if (!one.name.includes(part)) continue;
    const patience = inVain.includes(one.name) ? LITTLE_PATIENCE_MS : PATIENCE_MS;
    observations[one.name] = await observeOne(one, surroundings, patience);
  }
  return observations;
}

async function observeOne(
  one: Case,
  surroundings: Surroundings,
  patienceMs: number,
): Promise<Json> {
  surroundings.unhandled.length = 0;
  const stage = new Stage(surroundings);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<Json>((resolve) => {
    timer = setTimeout(resolve, patienceMs, IN_VAIN);
  });
  try {
    return await Promise.race([Promise.resolve(one.run(stage)), late]);
  } catch (error) {
    return thrown(error);
  } finally {
    clearTimeout(timer);
    stage.end();
  }
}
