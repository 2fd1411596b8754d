import { describeMachine, findCores } from './machine.ts';
import { measure, type Setting } from './measure.ts';
import {
  type BenchResults,
  type FigureName,
  type Measurement,
  type RowResult,
  rivalResult,
  type Settings,
  valuesOf,
} from './results.ts';
import { findRival, type Rival, type RivalName } from './rivals.ts';
import type { Row } from './rows.ts';
import { describeFigures } from './table.ts';

/** What is to be run. */
export interface RunPlan extends Settings {
  readonly rows: readonly Row[];
  readonly rivals: readonly RivalName[];
}

/**
 * Measures row by row: in each round all rivals of the row in turn, so that what else the machine does
 * meets them alike. Tells `progress` what it does and sees.
 */
export async function runBenchmarks(
  plan: RunPlan,
  progress: (text: string) => void,
): Promise<BenchResults> {
  const startedAt = new Date();
  const cores = findCores();
  const { rounds, durationSeconds, warmUpSeconds } = plan;
  const setting: Setting = { rounds, durationSeconds, warmUpSeconds, cores };
  const rivals = new Map<RivalName, Rival>();
  const missing: Partial<Record<RivalName, string>> = {};
  for (const name of plan.rivals) {
    const found = findRival(name);
    if ('missing' in found) {
      missing[name] = found.missing;
      progress(`${name}: ${found.missing}\n`);
    } else rivals.set(name, found);
  }
  const work = plan.rows.map((row) => ({
    row,
    rivals: row.rivals.flatMap((name) => rivals.get(name) ?? []),
  }));
  const reporter = new Reporter(
    work.reduce((sum, { rivals: { length } }) => sum + length * rounds, 0),
    progress,
  );
  const rows: RowResult[] = [];
  for (const { row, rivals: those } of work) {
    if (those.length > 0) rows.push(await runRow(row, those, setting, reporter));
  }
  return {
    format: 1,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((Date.now() - startedAt.getTime()) / 1000),
    machine: describeMachine(cores),
    settings: { rounds, durationSeconds, warmUpSeconds },
    versions: Object.fromEntries([...rivals].map(([name, { version }]) => [name, version])),
    missing,
    rows,
  };
}

async function runRow(
  row: Row,
  rivals: readonly Rival[],
  setting: Setting,
  reporter: Reporter,
): Promise<RowResult> {
  const taken = rivals.map((rival) => ({ rival, measurements: [] as Measurement[] }));
  for (let round = 1; round <= setting.rounds; round++) {
    for (const { rival, measurements } of taken) {
      reporter.begin(`${row.id}, round ${round} of ${setting.rounds}, ${rival.name}`);
      const measurement = await measure(row, rival, round, setting);
      measurements.push(measurement);
      reporter.end(describeFigures(measurement));
    }
  }
  const { id, title, growsFrom, yardstick } = row;
  return {
    id,
    title,
    figure: figureOf(
      row,
      taken.flatMap(({ measurements }) => measurements),
    ),
    ...(growsFrom === undefined ? {} : { growsFrom }),
    ...(yardstick === undefined ? {} : { yardstick }),
    rivals: taken.map(({ rival, measurements }) => rivalResult(rival.name, measurements)),
  };
}

function figureOf(row: Row, measurements: readonly Measurement[]): FigureName {
  if (row.kind === 'idle') return 'bytesPerConnection';
  const hasCpu = valuesOf(measurements, 'messagesPerCpuSecond').length > 0;
  return hasCpu ? 'messagesPerCpuSecond' : 'messagesPerSecond';
}

/** Tells how far it is and how long it may still take. */
class Reporter {
  readonly #total: number;
  readonly #progress: (text: string) => void;
  readonly #startedAt = Date.now();
  #done = 0;

  constructor(total: number, progress: (text: string) => void) {
    this.#total = total;
    this.#progress = progress;
  }

  begin(what: string): void {
    this.#progress(`[${this.#done + 1}/${this.#total}${this.#left()}] ${what}: `);
  }

  end(seen: string): void {
    this.#done++;
    this.#progress(`${seen}\n`);
  }

  #left(): string {
    if (this.#done === 0) return '';
    const msEach = (Date.now() - this.#startedAt) / this.#done;
    const seconds = Math.ceil((msEach * (this.#total - this.#done)) / 1000);
    return `, ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} left`;
  }
}
