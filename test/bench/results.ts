import {
  type BenchResults,
  type FigureName,
  type Measurement,
  type RowResult,
  rivalResult,
} from '../../bench/dist/results.js';

type RivalName = RowResult['rivals'][number]['name'];

/** Measurements of one figure, one a round. */
export function rounds(figure: FigureName, values: readonly number[]): Measurement[] {
  return values.map((value, index) => ({
    round: index + 1,
    figures: { [figure]: value },
    wrong: 0,
    failed: 0,
  }));
}

/** A row with one figure of some rivals. */
export function row(
  id: string,
  values: Partial<Record<RivalName, readonly number[]>>,
  figure: FigureName = 'messagesPerCpuSecond',
): RowResult {
  const names = Object.keys(values) as RivalName[];
  return {
    id,
    title: `title of ${id}`,
    figure,
    rivals: names.map((name) => rivalResult(name, rounds(figure, values[name] ?? []))),
  };
}

/** A run with these rows, on a machine that does not exist. */
export function results(rows: readonly RowResult[]): BenchResults {
  return {
    format: 1,
    startedAt: '2026-01-02T03:04:05.678Z',
    seconds: 12,
    machine: {
      cpu: 'Abacus',
      cores: 2,
      memoryGiB: 1,
      system: 'Linux 0 x64',
      node: 'v20.19.0',
      pinned: true,
      cpuTimes: true,
    },
    settings: { rounds: 3, durationSeconds: 0.8, warmUpSeconds: 0.3 },
    versions: { aperto: '0.1.0', ws: '8.0.0' },
    missing: {},
    rows,
  };
}

/** The cells of the line of a Markdown table that begins with these. */
export function lineOf(markdown: string, ...cells: readonly string[]): string[] | undefined {
  return markdown
    .split('\n')
    .map((line) =>
      line
        .split(/(?<!\\)\|/)
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .find((line) => cells.every((cell, index) => line[index] === cell));
}
