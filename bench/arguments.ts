import { parseArgs } from 'node:util';
import { type RivalName, rivalNames } from './rivals.ts';
import { allRows, benchmarkOf, type Row } from './rows.ts';
import type { RunPlan } from './run.ts';

/** The command line was wrong. */
export class UsageError extends Error {}

export type Command =
  | { readonly command: 'help' | 'list' }
  | { readonly command: 'compare'; readonly before: string; readonly after: string }
  | { readonly command: 'run'; readonly plan: RunPlan; readonly output: string | undefined };

const MOST_ROUNDS = 100;
const MOST_SECONDS = 3600;

export const usage: string = `npm run bench -- [options] [BENCHMARK or ROW ...]
npm run bench -- compare FIRST.json SECOND.json

Measures Aperto and other libraries in turn; all there is, or what is named: a benchmark (echo) or one of
its rows (echo/20-B).

  --list               tell the benchmarks and their rows
  --rounds N           how often each row is measured (default 3)
  --duration SECONDS   how long each time (default 0.8)
  --warm-up SECONDS    how long it runs before that (default 0.3)
  --only NAMES         libraries, separated by commas: ${rivalNames.join(', ')}
  --output FILE        where the figures go, as JSON (default: bench/results/ with the date)

compare tells what changed from one file to another.

Exits with 1 where something could not be measured.`;

/** @throws {UsageError} */
export function readArguments(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { command: 'help' };
  if (values.list === true) return { command: 'list' };
  if (positionals[0] === 'compare') {
    const [, before, after, ...rest] = positionals;
    if (before !== undefined && after !== undefined && rest.length === 0) {
      return { command: 'compare', before, after };
    }
    throw new UsageError('compare takes two files');
  }
  const rivals = chosenRivals(values.only);
  return {
    command: 'run',
    plan: {
      rows: rowsWith(rivals, chosenRows(positionals)),
      rivals,
      rounds: whole('--rounds', values.rounds ?? '3'),
      durationSeconds: seconds('--duration', values.duration ?? '0.8', 0.01),
      warmUpSeconds: seconds('--warm-up', values['warm-up'] ?? '0.3', 0),
    },
    output: values.output,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        list: { type: 'boolean' },
        rounds: { type: 'string' },
        duration: { type: 'string' },
        'warm-up': { type: 'string' },
        only: { type: 'string' },
        output: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** In the order of the list, whatever the order asked for; all where none was. */
function chosenRows(names: readonly string[]): readonly Row[] {
  for (const name of names) {
    if (!allRows.some((row) => isNamed(row, name))) {
      throw new UsageError(`there is no benchmark ${JSON.stringify(name)}: --list tells them`);
    }
  }
  if (names.length === 0) return allRows;
  return allRows.filter((row) => names.some((name) => isNamed(row, name)));
}

function rowsWith(rivals: readonly RivalName[], rows: readonly Row[]): readonly Row[] {
  const some = rows.filter((row) => row.rivals.some((name) => rivals.includes(name)));
  if (some.length > 0) return some;
  throw new UsageError(`none of these rows measures ${rivals.join(' or ')}`);
}

function isNamed(row: Row, name: string): boolean {
  return row.id === name || benchmarkOf(row) === name;
}

function chosenRivals(text: string | undefined): readonly RivalName[] {
  if (text === undefined) return rivalNames;
  const names = text.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!rivalNames.some((one) => one === name)) {
      const known = rivalNames.join(', ');
      throw new UsageError(`--only takes some of ${known}, not ${JSON.stringify(name)}`);
    }
  }
  return rivalNames.filter((name) => names.includes(name));
}

function whole(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= MOST_ROUNDS) return value;
  throw new UsageError(
    `${option} takes a whole number from 1 to ${MOST_ROUNDS}, not ${JSON.stringify(text)}`,
  );
}

function seconds(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d*\.?\d+$/.test(text) && value >= least && value <= MOST_SECONDS) return value;
  throw new UsageError(
    `${option} takes seconds from ${least} to ${MOST_SECONDS}, not ${JSON.stringify(text)}`,
  );
}
