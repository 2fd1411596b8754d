import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { eventOf, resultOf } from './load-program.ts';
import type { Asked, SelfMeasured } from './measured-program.ts';
import { cpuSeconds, residentBytes } from './process-usage.ts';
import { Program, ProgramError } from './program.ts';
import { type Figures, type Measurement, rates, type Settings } from './results.ts';
import { findRival, type Rival } from './rivals.ts';
import type { ClientRow, IdleRow, MemoryRow, PublishRow, Row, ServerRow } from './rows.ts';
import { takeScaleOut } from './scale-out/take-scale-out.ts';
import {
  collected,
  PATIENCE_MS,
  patienceMs,
  portOf,
  programPath,
  startServer,
} from './server-program.ts';

/** The cores that are used; undefined where programs cannot be pinned. */
export interface Cores {
  readonly measured: number;
  readonly other: number;
}

export interface Setting extends Settings {
  readonly cores: Cores | undefined;
}

/** What was seen of a rival once. */
export type Taken = Pick<Measurement, 'figures' | 'wrong' | 'failed'>;

const MIB = 1024 * 1024;

const aperto = join(
  dirname(createRequire(import.meta.url).resolve('aperto/package.json')),
  'dist/cli/main.js',
);

/** Measures a rival once. What goes wrong is in what it resolves to. */
export async function measure(
  row: Row,
  rival: Rival,
  round: number,
  setting: Setting,
): Promise<Measurement> {
  try {
    return { round, ...(await take(row, rival, setting)) };
  } catch (error) {
    if (!(error instanceof ProgramError)) throw error;
    return { round, figures: {}, wrong: 0, failed: 0, problem: error.message };
  }
}

function take(row: Row, rival: Rival, setting: Setting): Promise<Taken> {
  switch (row.kind) {
    case 'server':
      return takeServer(row, rival, setting);
    case 'idle':
      return takeIdle(row, rival, setting);
    case 'client':
      return takeClient(row, rival, setting);
    case 'memory':
      return takeMemory(row, rival, setting);
    case 'publish':
      return takePublish(row, rival, setting);
    case 'scale-out':
      return takeScaleOut(row, rival, setting);
  }
}

async function takeServer(row: ServerRow, rival: Rival, setting: Setting): Promise<Taken> {
  const work = row.mode === 'fan-out' ? 'broadcast' : 'echo';
  const { compressing, tls } = row;
  const asked = { work, compressing, tls } as const;
  await using server = await startServer(rival, asked, setting.cores?.measured, setting);
  const port = await portOf(server);
  const { durationSeconds } = setting;
  const warmUpSeconds = setting.warmUpSeconds * (row.warmUps ?? 1);
  const ofMessages = ['--size', `${row.size}`, '--in-flight', `${row.inFlight}`];
  await using load = startLoad(urlOf(row, port), setting, [
    ...['--mode', row.mode, '--connections', `${row.connections}`],
    ...['--duration', `${durationSeconds}`, '--warm-up', `${warmUpSeconds}`],
    ...(row.mode === 'handshake' ? [] : ofMessages),
    ...(row.binary ? ['--binary'] : []),
    ...(compressing === undefined ? [] : ['--deflate', '--threshold', '0']),
    ...(compressing === 'takeover' ? ['--takeover'] : []),
    ...connectOptions(row, rival),
  ]);
  await eventOf(load, [server], 'measuring');
  const before = cpuSeconds(server.pid);
  await eventOf(load, [server], 'measured');
  const after = cpuSeconds(server.pid);
  const rss = residentBytes(server.pid);
  const result = await resultOf(load, [server]);
  checkConnections(row, rival, await collected(server));
  const cpu = before === undefined || after === undefined ? undefined : after - before;
  const { p99 } = result.latencyMs;
  const figures: Figures = {
    ...rates(result.messages, result.seconds, cpu),
    ...(p99 === null ? {} : { p99Ms: p99 }),
    ...(rss === undefined ? {} : { rssMiB: rss / MIB }),
    loadCpuShare: result.cpuSeconds / result.seconds,
  };
  return { figures, wrong: result.wrong, failed: result.failed };
}

async function takeIdle(row: IdleRow, rival: Rival, setting: Setting): Promise<Taken> {
  const asked = { work: 'echo', tls: row.tls } as const;
  await using server = await startServer(rival, asked, setting.cores?.measured, setting);
  const port = await portOf(server);
  await collected(server);
  const before = residentBytes(server.pid);
  // It is interrupted as soon as memory has been looked at.
  await using load = startLoad(urlOf(row, port), setting, [
    ...['--mode', 'idle', '--connections', `${row.connections}`],
    ...['--duration', `${PATIENCE_MS / 1000}`, '--warm-up', '0'],
    ...connectOptions(row, rival),
  ]);
  await eventOf(load, [server], 'measuring');
  const grown = residentBytes(server.pid);
  checkConnections(row, rival, await collected(server));
  const after = residentBytes(server.pid);
  load.interrupt();
  const { failed } = await resultOf(load, [server]);
  if (before === undefined || grown === undefined || after === undefined) {
    throw new ProgramError('memory of other processes cannot be read on this system');
  }
  const figures: Figures = {
    bytesPerConnection: (after - before) / row.connections,
    bytesPerConnectionBeforeGc: (grown - before) / row.connections,
    rssMiB: after / MIB,
  };
  return { figures, wrong: 0, failed };
}

async function takeClient(row: ClientRow, rival: Rival, setting: Setting): Promise<Taken> {
  const echo = findRival('aperto');
  if ('missing' in echo) throw new ProgramError(echo.missing);
  await using server = await startServer(echo, { work: 'echo' }, setting.cores?.other, setting);
  const what = `ws://127.0.0.1:${await portOf(server)}/`;
  const { size, inFlight } = row;
  // Not before it has ended may the server go.
  return await takeProgram('clients', rival, setting, { what, size, inFlight });
}

function takeMemory(row: MemoryRow, rival: Rival, setting: Setting): Promise<Taken> {
  return takeProgram('memory', rival, setting, { what: row.work, size: row.size, inFlight: 1 });
}

function takePublish(row: PublishRow, rival: Rival, setting: Setting): Promise<Taken> {
  const { subscribers, inTick, size } = row;
  return takeProgram('publish', rival, setting, { what: `${subscribers}`, size, inFlight: inTick });
}

/** A program that measures itself. */
async function takeProgram(
  folder: string,
  rival: Rival,
  setting: Setting,
  { what, size, inFlight }: Pick<Asked, 'what' | 'size' | 'inFlight'>,
): Promise<Taken> {
  const command = [
    ...rival.command,
    ...[programPath(folder, rival), what, '--size', `${size}`, '--in-flight', `${inFlight}`],
    ...['--duration', `${setting.durationSeconds}`, '--warm-up', `${setting.warmUpSeconds}`],
  ];
  const core = setting.cores?.measured;
  const patience = patienceMs(setting);
  await using program = new Program(rival.name, command, core, patience, rival.environment);
  const result = await program.object();
  if (!isSelfMeasured(result)) throw new ProgramError(`${rival.name} told no result`);
  const figures: Figures = {
    ...rates(result.messages, result.seconds, result.cpuSeconds),
    rssMiB: result.rssBytes / MIB,
  };
  return { figures, wrong: result.wrong, failed: 0 };
}

function isSelfMeasured(value: object): value is SelfMeasured {
  return 'messages' in value && 'cpuSeconds' in value && 'rssBytes' in value;
}

/** @throws {ProgramError} where what is to be told of one connection of HTTP/2 came otherwise. */
function checkConnections(
  { connections }: ServerRow | IdleRow,
  { http2 }: Rival,
  taken: number,
): void {
  if (http2 === undefined) return;
  const expected = http2 ? 1 : connections;
  if (taken === expected) return;
  throw new ProgramError(`${taken} TCP connections were taken, not ${expected}`);
}

// --- The load: `aperto bench`

function urlOf({ tls = false }: ServerRow | IdleRow, port: number): string {
  return `${tls ? 'wss' : 'ws'}://127.0.0.1:${port}/`;
}

function connectOptions({ tls = false }: ServerRow | IdleRow, { http2 = false }: Rival): string[] {
  return [...(tls ? ['--no-check'] : []), ...(http2 ? ['--http2'] : [])];
}

function startLoad(url: string, setting: Setting, options: readonly string[]): Program {
  const command = [process.execPath, aperto, 'bench', url, '--json', ...options];
  return new Program('the load', command, setting.cores?.other, patienceMs(setting));
}
