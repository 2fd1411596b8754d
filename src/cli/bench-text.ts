import { clearLine, cursorTo } from 'node:readline';
import type { LatencyHistogram } from './load/latency-histogram.ts';
import type { LoadPlan } from './load/load.ts';
import type { LoadResult, LoadWatch } from './load/run-load.ts';

const REDRAW_MS = 200;
const PROGRESS_BAR = 30;
const HISTOGRAM_BAR = 40;
/** But for one at either end. */
const HISTOGRAM_ROWS = 10;
/** The part of all at either end that is rare. */
const RARE = 0.005;
/** Where a row may end in each power of ten: the finest of these that makes few enough rows is taken. */
const scales: readonly (readonly number[])[] = [
  [1, 1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8],
  [1, 1.6, 2.5, 4, 6.3],
  [1, 2, 5],
  [1],
];

/** For people: at a terminal a line that shows the progress and a histogram, and a table in the end. */
export class TextReport implements LoadWatch {
  readonly #plan: LoadPlan;
  readonly #isTerminal: boolean = process.stdout.isTTY === true;
  #ticking: NodeJS.Timeout | undefined = undefined;
  #isDrawn = false;
  #drawnAt = Number.NEGATIVE_INFINITY;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
  }

  opening(connections: number): void {
    const now = performance.now();
    if (now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    const done = connections / this.#plan.connections;
    this.#draw(`${bar(done)} ${grouped(connections)} of ${grouped(this.#plan.connections)} open`);
  }

  connected(connections: number, seconds: number): void {
    this.#draw(`${grouped(connections)} connections open in ${seconds.toFixed(1)} s; warming up`);
  }

  measuring(latencies: LatencyHistogram): void {
    if (!this.#isTerminal) return;
    const startedAt = performance.now();
    let lastAt = startedAt;
    let lastCount = 0;
    const tick = (): void => {
      const now = performance.now();
      const { count } = latencies;
      const speed = now === lastAt ? 0 : ((count - lastCount) * 1000) / (now - lastAt);
      lastAt = now;
      lastCount = count;
      const { durationMs, mode } = this.#plan;
      const elapsed = Math.min(now - startedAt, durationMs);
      const time = `${(elapsed / 1000).toFixed(1)} s of ${durationMs / 1000} s`;
      const rate = mode === 'idle' ? '' : `  ${grouped(speed)} ${unitOf(this.#plan)}/s`;
      this.#draw(`${bar(elapsed / durationMs)} ${time}${rate}`);
    };
    tick();
    this.#ticking = setInterval(tick, REDRAW_MS);
  }

  measured(): void {
    clearInterval(this.#ticking);
    this.#draw('waiting for what is on its way');
  }

  result(result: LoadResult): void {
    this.end();
    const lines = table(this.#plan, result);
    if (this.#isTerminal && result.latencies.count > 0)
      lines.push('', ...histogramRows(result.latencies));
    console.log(lines.join('\n'));
  }

  /** Leaves the line of the progress empty. */
  end(): void {
    clearInterval(this.#ticking);
    this.#draw('');
  }

  #draw(line: string): void {
    if (!this.#isTerminal || (line === '' && !this.#isDrawn)) return;
    this.#isDrawn = line !== '';
    cursorTo(process.stdout, 0);
    clearLine(process.stdout, 0);
    // A line that wraps could not be drawn over. A terminal that does not know its width says 0.
    process.stdout.write(line.slice(0, (process.stdout.columns || 80) - 1));
  }
}

function bar(done: number): string {
  const full = Math.round(PROGRESS_BAR * done);
  return `[${'#'.repeat(full)}${'.'.repeat(PROGRESS_BAR - full)}]`;
}

function grouped(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

function unitOf({ mode }: LoadPlan): string {
  return mode === 'handshake' ? 'handshakes' : 'messages';
}

/** The result, with the figures flush right. */
function table(plan: LoadPlan, result: LoadResult): string[] {
  const { seconds, latencies, wrong, failed, cpuSeconds } = result;
  const unit = unitOf(plan);
  const perSecond = seconds === 0 ? 0 : latencies.count / seconds;
  const rows: [string, string][] = [['connections', grouped(plan.connections)]];
  rows.push(['seconds', seconds.toFixed(2)]);
  if (plan.mode === 'idle') rows.push(['still open', grouped(plan.connections - failed)]);
  else {
    rows.push([unit, grouped(latencies.count)], [`${unit}/s`, grouped(perSecond)]);
    if (plan.mode !== 'handshake') rows.push(['MB/s', ((perSecond * plan.size) / 1e6).toFixed(2)]);
    rows.push(
      ['latency p50', inMs(latencies.quantile(0.5))],
      ['latency p90', inMs(latencies.quantile(0.9))],
      ['latency p99', inMs(latencies.quantile(0.99))],
      ['latency max', inMs(latencies.max)],
      ['latency mean', inMs(latencies.mean)],
    );
    if (plan.mode !== 'handshake') rows.push(['wrong', grouped(wrong)]);
  }
  rows.push(['failed connections', grouped(failed)]);
  // To be punctual, a rate keeps a core busy however little there is to do.
  if (plan.rate === undefined && seconds > 0)
    rows.push(['CPU of this program', `${grouped((cpuSeconds / seconds) * 100)} %`]);
  return aligned(rows);
}

function aligned(rows: readonly (readonly [string, string])[]): string[] {
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `${name.padEnd(left)}  ${value.padStart(right)}`);
}

function inMs(ms: number | undefined): string {
  return ms === undefined ? '-' : `${ms.toFixed(3)} ms`;
}

/** How many took how long. Rows grow with the latency; what is rare at either end is one row. */
export function histogramRows(latencies: LatencyHistogram): string[] {
  const { count, max = 0 } = latencies;
  const least = latencies.quantile(0) ?? 0;
  const borders = rowBorders(
    latencies.quantile(RARE) ?? least,
    latencies.quantile(1 - RARE) ?? max,
  );
  const shorter = latencies.countBetween(0, borders[0] ?? 0);
  const longer = latencies.countBetween(borders.at(-1) ?? 0, Number.POSITIVE_INFINITY);
  const ends = [
    ...(shorter > 0 ? [least] : []),
    ...borders,
    ...(longer > 0 ? [Math.max(max, borders.at(-1) ?? 0)] : []),
  ];
  const labels = ends.map((ms) => String(Number(ms.toPrecision(3))));
  const rows = ends.slice(0, -1).map((from, row) => {
    const isLast = row === ends.length - 2;
    // The histogram's own buckets end elsewhere: the outer rows take all that is left.
    const to = isLast ? Number.POSITIVE_INFINITY : (ends[row + 1] ?? from);
    return latencies.countBetween(row === 0 ? 0 : from, to);
  });
  const widest = Math.max(...labels.map(({ length }) => length));
  const most = Math.max(...rows);
  return rows.map((some, row) => {
    const span = `${labels[row]?.padStart(widest)} - ${labels[row + 1]?.padStart(widest)}`;
    const percent = `${((some / count) * 100).toFixed(1)} %`.padStart(8);
    return `${span} ms ${percent}  ${'#'.repeat(Math.ceil((some / most) * HISTOGRAM_BAR))}`.trimEnd();
  });
}

/** From the last round number up to `from` to the first above `to`; not below a microsecond. */
function rowBorders(from: number, to: number): number[] {
  const least = Math.max(from, 0.001);
  const most = Math.max(to, least);
  const firstPower = Math.floor(Math.log10(least)) - 1;
  const lastPower = Math.floor(Math.log10(most)) + 1;
  const powers = Array.from({ length: lastPower - firstPower + 1 }, (_, at) => firstPower + at);
  let borders: number[] = [];
  for (const scale of scales) {
    const all = powers.flatMap((power) => scale.map((factor) => factor * 10 ** power));
    const start = all.findLastIndex((border) => border <= least);
    const end = all.findIndex((border) => border > most);
    borders = all.slice(Math.max(0, start), end + 1);
    if (borders.length <= HISTOGRAM_ROWS + 1) break;
  }
  return borders;
}
