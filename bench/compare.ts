import {
  type BenchResults,
  lessIsBetter,
  type RivalResult,
  type RowResult,
  valuesOf,
} from './results.ts';
import { overlap, spreadOf } from './statistics.ts';
import { markdownTable, ratio, round, wentWrong } from './table.ts';

/** What changed from one run to another, in Markdown. */
export function compareResults(before: BenchResults, after: BenchResults): string {
  const lines: string[][] = [];
  const unmatched: string[] = [];
  for (const row of after.rows) {
    const old = before.rows.find(({ id }) => id === row.id);
    if (old === undefined) unmatched.push(`- ${row.id}: only in the second file`);
    else if (old.figure !== row.figure) {
      unmatched.push(`- ${row.id}: ${old.figure} cannot be compared with ${row.figure}`);
    } else lines.push(...compareRows(old, row));
  }
  const ids = new Set(after.rows.map(({ id }) => id));
  for (const { id } of before.rows) {
    if (!ids.has(id)) unmatched.push(`- ${id}: only in the first file`);
  }
  const head = ['', 'library', 'first', 'second', 'second / first', 'change'];
  const parts = [
    ...differences(before, after),
    ...(lines.length === 0 ? ['No row is in both files.'] : [markdownTable([head, ...lines])]),
    ...(unmatched.length === 0 ? [] : [unmatched.join('\n')]),
    'A change is named where no round of one file lies within the rounds of the other.',
  ];
  return parts.join('\n\n');
}

/** Everything but the code that may be why figures differ. */
function differences(before: BenchResults, after: BenchResults): string[] {
  const pairs = [
    ...pairsOf(before.machine, after.machine),
    ...pairsOf(before.settings, after.settings),
    ...pairsOf(before.versions, after.versions),
  ];
  const told = pairs.map(([name, from, to]) => `- ${name}: ${from}, then ${to}`);
  return told.length === 0
    ? []
    : [`The runs differ in more than what they measured:\n\n${told.join('\n')}`];
}

function pairsOf(before: object, after: object): [string, string, string][] {
  const from = new Map(Object.entries(before));
  const to = new Map(Object.entries(after));
  return [...new Set([...from.keys(), ...to.keys()])].flatMap((name) => {
    const [a, b] = [String(from.get(name) ?? 'none'), String(to.get(name) ?? 'none')];
    return a === b ? [] : [[name, a, b] satisfies [string, string, string]];
  });
}

function compareRows(before: RowResult, after: RowResult): string[][] {
  const names = new Set([...before.rivals, ...after.rivals].map(({ name }) => name));
  return [...names].map((name, index) => {
    const a = before.rivals.find((rival) => rival.name === name);
    const b = after.rivals.find((rival) => rival.name === name);
    const { figure } = after;
    return [
      index === 0 ? `${after.id}, ${figure}` : '',
      name,
      round(a?.medians[figure]),
      round(b?.medians[figure]),
      ratio(b?.medians[figure], a?.medians[figure]),
      changeOf(after, a, b),
    ];
  });
}

/** What a comparison comes to; '' where the rounds of one file are within those of the other. */
function changeOf(
  { figure }: RowResult,
  before: RivalResult | undefined,
  after: RivalResult | undefined,
): string {
  if (before === undefined || after === undefined) return 'only in one file';
  const wrong = wentWrong(after.measurements);
  const [a, b] = [valuesOf(before.measurements, figure), valuesOf(after.measurements, figure)];
  const [from, to] = [spreadOf(a), spreadOf(b)];
  if (from === undefined || to === undefined) return wrong || 'not measured';
  if (a.length < 2 || b.length < 2) return wrong || 'one round: spread unknown';
  if (overlap(from, to)) return wrong;
  const better = to.least > from.most !== lessIsBetter(figure);
  return [better ? 'better' : 'worse', wrong].filter((text) => text !== '').join('; ');
}
