import type { RivalName } from './rivals.ts';
import { median } from './statistics.ts';

/**
 * What may be measured. `engineMicroseconds` is CPU time of Redis or NATS for each message published. `loadCpuShare` is how busy the load's process was: near 1 the server waited for it.
 */
const figureNames = [
  'messagesPerSecond',
  'messagesPerCpuSecond',
  'p50Ms',
  'p99Ms',
  'engineMicroseconds',
  'rssMiB',
  'loadCpuShare',
  'bytesPerConnection',
  'bytesPerConnectionBeforeGc',
] as const;

export type FigureName = (typeof figureNames)[number];
export type Figures = Partial<Record<FigureName, number>>;

/** One run of one rival. */
export interface Measurement {
  readonly round: number;
  readonly figures: Figures;
  /** Messages that came damaged, twice or not at all. */
  readonly wrong: number;
  /** Connections lost. */
  readonly failed: number;
  /** Why it could not be measured. */
  readonly problem?: string;
}

export interface RivalResult {
  readonly name: RivalName;
  readonly measurements: readonly Measurement[];
  readonly medians: Figures;
}

export interface RowResult {
  readonly id: string;
  readonly title: string;
  /** The row's own figure: what is compared. */
  readonly figure: FigureName;
  readonly growsFrom?: string;
  readonly yardstick?: RivalName;
  readonly rivals: readonly RivalResult[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  /** Whether servers and load each had a core of their own. */
  readonly pinned: boolean;
  /** Whether the CPU time of servers could be read. */
  readonly cpuTimes: boolean;
}

export interface Settings {
  readonly rounds: number;
  readonly durationSeconds: number;
  readonly warmUpSeconds: number;
}

export interface BenchResults {
  readonly format: 1;
  readonly startedAt: string;
  readonly seconds: number;
  readonly machine: Machine;
  readonly settings: Settings;
  readonly versions: Readonly<Partial<Record<RivalName, string>>>;
  /** Rivals that could not be run, and why. */
  readonly missing: Readonly<Partial<Record<RivalName, string>>>;
  readonly rows: readonly RowResult[];
}

/** @param cpu seconds of CPU time; undefined where that cannot be read. */
export function rates(messages: number, seconds: number, cpu: number | undefined): Figures {
  return {
    messagesPerSecond: messages / seconds,
    // What took no measurable time cannot be told by it.
    ...(cpu === undefined || cpu === 0 ? {} : { messagesPerCpuSecond: messages / cpu }),
  };
}

export function rivalResult(name: RivalName, measurements: readonly Measurement[]): RivalResult {
  return { name, measurements, medians: mediansOf(measurements) };
}

function mediansOf(measurements: readonly Measurement[]): Figures {
  const medians: Figures = {};
  for (const name of figureNames) {
    const value = median(valuesOf(measurements, name));
    if (value !== undefined) medians[name] = value;
  }
  return medians;
}

export function valuesOf(measurements: readonly Measurement[], name: FigureName): number[] {
  return measurements.flatMap(({ figures }) => figures[name] ?? []);
}

export function lessIsBetter(figure: FigureName): boolean {
  return figure === 'bytesPerConnection';
}

/** Reads what a run wrote. @throws {Error} where it is something else. */
export function parseResults(text: string): BenchResults {
  const value: unknown = JSON.parse(text);
  if (!isResults(value)) throw new Error('not a file that this benchmark wrote');
  return value;
}

/** Looks at what tells such a file from others; nobody writes one by hand. */
function isResults(value: unknown): value is BenchResults {
  return (
    typeof value === 'object' &&
    value !== null &&
    'format' in value &&
    value.format === 1 &&
    'machine' in value &&
    'rows' in value &&
    Array.isArray(value.rows)
  );
}
