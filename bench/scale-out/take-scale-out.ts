import { join } from 'node:path';
import { eventOf, resultOf } from '../load-program.ts';
import type { Setting, Taken } from '../measure.ts';
import { residentBytes, threadSeconds } from '../process-usage.ts';
import { Program } from '../program.ts';
import { type Figures, rates } from '../results.ts';
import type { Rival } from '../rivals.ts';
import type { ScaleOutRow } from '../rows.ts';
import { patienceMs, portOf, startServer } from '../server-program.ts';
import { Engine } from './engine.ts';
import type { ScaleOutLoad } from './load.ts';

const MIB = 1024 * 1024;
/** What has not come for so long does not come. */
const STALLED_MS = 5_000;

/** What was started, ended in the end. */
class Programs implements AsyncDisposable {
  readonly all: Program[] = [];

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((program) => program[Symbol.asyncDispose]()));
  }
}

/** Several servers share their topics over an engine; without one, a single process has all subscribers. */
export async function takeScaleOut(
  row: ScaleOutRow,
  rival: Rival,
  setting: Setting,
): Promise<Taken> {
  const { cores, durationSeconds } = setting;
  const warmUpSeconds = setting.warmUpSeconds * row.warmUps;
  const patience = patienceMs({ durationSeconds, warmUpSeconds });
  await using engine =
    rival.engine === undefined
      ? null
      : await Engine.start(rival.engine, cores?.other, 2 * patience);
  await using servers = new Programs();
  const processes = engine === null ? 1 : row.servers;
  while (servers.all.length < processes) {
    const asked = { work: 'broadcast', engine: engine?.url } as const;
    servers.all.push(await startServer(rival, asked, cores?.measured, setting));
  }
  const ports = await Promise.all(servers.all.map(portOf));
  const ofLoad: ScaleOutLoad = {
    dialect: rival.dialect ?? 'plain',
    ports: Array.from({ length: row.servers }, (_, index) => ports[index % processes] ?? 0),
    subscribers: row.subscribers,
    publishers: row.publishers,
    inFlight: row.inFlight,
    size: row.size,
    durationMs: durationSeconds * 1000,
    warmUpMs: warmUpSeconds * 1000,
    stalledMs: STALLED_MS,
  };
  const command = [process.execPath, join(import.meta.dirname, 'load.js'), JSON.stringify(ofLoad)];
  await using load = new Program('the load', command, cores?.other, patience);
  await eventOf(load, servers.all, 'measuring');
  const before = servers.all.map(({ pid }) => threadSeconds(pid));
  const engineBefore = engine === null ? undefined : threadSeconds(engine.pid);
  await eventOf(load, servers.all, 'measured');
  const after = servers.all.map(({ pid }) => threadSeconds(pid));
  const engineAfter = engine === null ? undefined : threadSeconds(engine.pid);
  const rss = sum(servers.all.map(({ pid }) => residentBytes(pid)));
  const result = await resultOf(load, servers.all);
  const cpu = difference(sum(after), sum(before));
  const engineCpu = difference(engineAfter, engineBefore);
  const published = result.messages / (row.servers * row.subscribers);
  const { p50, p99 } = result.latencyMs;
  const figures: Figures = {
    ...rates(result.messages, result.seconds, cpu),
    ...(p50 === null ? {} : { p50Ms: p50 }),
    ...(p99 === null ? {} : { p99Ms: p99 }),
    ...(engineCpu === undefined ? {} : { engineMicroseconds: (engineCpu * 1e6) / published }),
    ...(rss === undefined ? {} : { rssMiB: rss / MIB }),
    loadCpuShare: result.cpuSeconds / result.seconds,
  };
  return { figures, wrong: result.wrong, failed: result.failed };
}

/** Undefined where one of them is. */
function sum(values: readonly (number | undefined)[]): number | undefined {
  let total = 0;
  for (const value of values) {
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

function difference(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b;
}
