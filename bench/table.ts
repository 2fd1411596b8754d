import type { BenchResults, FigureName, Measurement, RivalResult, RowResult } from './results.ts';
import { benchmarkOf, yardstickOf } from './rows.ts';

const NOTHING = '-';

/** Lines of cells as a Markdown table whose columns are aligned also for the eye. The first is the head. */
export function markdownTable(lines: readonly (readonly string[])[]): string {
  const [head = []] = lines;
  const widths = head.map((_, column) =>
    Math.max(3, ...lines.map((line) => line[column]?.length ?? 0)),
  );
  const isNumeric = head.map((_, column) =>
    lines.slice(1).every((line) => /^([\d,.~%-]*x?)$/.test(line[column] ?? '')),
  );
  const drawn = lines.map((line) => {
    const cells = widths.map((width, column) => {
      const cell = line[column] ?? '';
      return isNumeric[column] ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${cells.join(' | ')} |`;
  });
  const rule = widths.map((width, column) =>
    isNumeric[column] ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width),
  );
  return [drawn[0], `| ${rule.join(' | ')} |`, ...drawn.slice(1)].join('\n');
}

/** A number with three digits that matter, in full where it has more before the point. */
export function round(value: number | undefined): string {
  if (value === undefined) return NOTHING;
  const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString('en', {
    minimumFractionDigits: Math.min(digits, 3),
    maximumFractionDigits: Math.min(digits, 3),
  });
}

function percent(value: number | undefined): string {
  return value === undefined ? NOTHING : `${Math.round(value * 100)}%`;
}

export function ratio(value: number | undefined, base: number | undefined): string {
  if (value === undefined || base === undefined || base === 0) return NOTHING;
  return `${(value / base).toFixed(2)}x`;
}

interface Column {
  /** Over the rows of one benchmark, of which one is given. */
  title(row: RowResult): string;
  cell(rival: RivalResult, row: RowResult): string;
}

/** Columns without any value in a benchmark are left out. */
const columns: readonly Column[] = [
  figureColumn('messagesPerSecond', 'messages/s', round),
  figureColumn('messagesPerCpuSecond', 'per CPU second', round),
  figureColumn('bytesPerConnection', 'bytes a connection', round),
  {
    title: (row) => `against ${yardstickOf(row)}`,
    cell(rival, row) {
      const yardstick = row.rivals.find(({ name }) => name === yardstickOf(row));
      return ratio(rival.medians[row.figure], yardstick?.medians[row.figure]);
    },
  },
  figureColumn('bytesPerConnectionBeforeGc', 'before GC', round),
  figureColumn('p50Ms', 'p50 ms', round),
  figureColumn('p99Ms', 'p99 ms', round),
  figureColumn('engineMicroseconds', "engine's us a publish", round),
  figureColumn('rssMiB', 'RSS MiB', round),
  figureColumn('loadCpuShare', "load's CPU", percent),
  { title: () => 'went wrong', cell: ({ measurements }) => wentWrong(measurements) || NOTHING },
];

function figureColumn(
  name: FigureName,
  title: string,
  format: (value: number | undefined) => string,
): Column {
  return { title: () => title, cell: ({ medians }) => format(medians[name]) };
}

/** What the rounds of a rival show besides figures; '' where that is nothing. */
export function wentWrong(measurements: readonly Measurement[]): string {
  const sum = (of: (one: Measurement) => number): number =>
    measurements.reduce((total, one) => total + of(one), 0);
  const wrong = sum((one) => one.wrong);
  const failed = sum((one) => one.failed);
  const problems = measurements.flatMap(({ problem }) => problem ?? []);
  const all = measurements.length;
  const times = problems.length === all ? '' : ` (${problems.length} of ${all} rounds)`;
  return [
    ...(wrong === 0 ? [] : [`${wrong.toLocaleString('en')} messages wrong`]),
    ...(failed === 0 ? [] : [`${failed.toLocaleString('en')} connections lost`]),
    ...new Set(problems.map((problem) => `${problem.replaceAll('|', '\\|')}${times}`)),
  ].join('; ');
}

/** What one measurement saw, in a line. */
export function describeFigures(measurement: Measurement): string {
  const { figures } = measurement;
  const seen = [
    ...told(figures.messagesPerSecond, (value) => `${round(value)}/s`),
    ...told(figures.messagesPerCpuSecond, (value) => `${round(value)} per CPU second`),
    ...told(figures.bytesPerConnection, (value) => `${round(value)} bytes a connection`),
    ...told(figures.p99Ms, (value) => `p99 ${round(value)} ms`),
    wentWrong([measurement]),
  ];
  return seen.filter((text) => text !== '').join(', ');
}

function told(value: number | undefined, say: (value: number) => string): string[] {
  return value === undefined ? [] : [say(value)];
}

/** All results, in Markdown. */
export function describeResults(results: BenchResults): string {
  const names = [...new Set(results.rows.map(benchmarkOf))];
  const tables = names.map((name) => {
    const rows = results.rows.filter((row) => benchmarkOf(row) === name);
    return `### ${name}\n\n${benchmarkTable(rows)}\n`;
  });
  return [...describeRun(results), ...tables, ...growth(results.rows)].join('\n');
}

function describeRun({ machine, settings, versions, missing, ...run }: BenchResults): string[] {
  const { cpu, cores, memoryGiB, system, node, pinned, cpuTimes } = machine;
  const { rounds, durationSeconds, warmUpSeconds } = settings;
  const of = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const not = Object.entries(missing).map(([name, why]) => `- ${name}: ${why}`);
  return [
    `- ${run.startedAt}, ${run.seconds} s`,
    `- ${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node}`,
    `- ${of.join(', ')}`,
    ...not,
    `- medians of ${rounds} round${rounds === 1 ? '' : 's'} of ${durationSeconds} s after ${warmUpSeconds} s of warming up`,
    pinned
      ? '- what is measured had core 0, the other side core 1'
      : '- programs were not pinned to cores',
    ...(cpuTimes
      ? []
      : ['- no CPU times of other processes here: servers are compared by the clock']),
    '',
  ];
}

function benchmarkTable(rows: readonly RowResult[]): string {
  const lines = rows.flatMap((row) =>
    row.rivals.map((rival) => columns.map((column) => column.cell(rival, row))),
  );
  const shown = columns.flatMap((_, at) => (lines.some((line) => line[at] !== NOTHING) ? at : []));
  const cells = lines.map((line) => shown.map((at) => line[at] ?? ''));
  const firsts = rows.flatMap(({ title, rivals }) =>
    rivals.map(({ name }, index) => [index === 0 ? title : '', name]),
  );
  return markdownTable([
    [
      '',
      'library',
      ...rows.slice(0, 1).flatMap((row) => shown.map((at) => columns[at]?.title(row) ?? '')),
    ],
    ...cells.map((line, index) => [...(firsts[index] ?? []), ...line]),
  ]);
}

/** What a message costs as there is more to do. */
function growth(rows: readonly RowResult[]): string[] {
  const lines = rows.flatMap((row) => {
    const base = rows.find(({ id }) => id === row.growsFrom);
    if (base === undefined || row.figure !== base.figure) return [];
    return row.rivals.map(({ name, medians }) => {
      const before = base.rivals.find((rival) => rival.name === name)?.medians[row.figure];
      const now = medians[row.figure];
      // A message's cost is the reciprocal of how many there are in a second.
      return [row.title, name, microseconds(now), microseconds(before), ratio(before, now)];
    });
  });
  if (lines.length === 0) return [];
  const head = ['', 'library', 'us of CPU a message', 'in the smaller row', 'growth'];
  return [`### growth\n\n${markdownTable([head, ...lines])}\n`];
}

function microseconds(perSecond: number | undefined): string {
  return perSecond === undefined ? NOTHING : round(1e6 / perSecond);
}
