import { join } from 'node:path';
import { certificateEnvironment } from './certificate.ts';
import { Program, ProgramError } from './program.ts';
import type { Settings } from './results.ts';
import type { Rival } from './rivals.ts';
import { type Channel, type Compressing, ENGINE, type Work } from './servers/control.ts';

/** How long a program may take besides its warm-up and measuring. */
export const PATIENCE_MS: number = 60_000;

export function patienceMs({
  durationSeconds,
  warmUpSeconds,
}: Pick<Settings, 'durationSeconds' | 'warmUpSeconds'>): number {
  return (durationSeconds + warmUpSeconds) * 1000 + PATIENCE_MS;
}

interface AskedOfServer {
  readonly work: Work;
  readonly compressing?: Compressing | undefined;
  readonly tls?: boolean | undefined;
  /** Where the engine is that it shares its topics over. */
  readonly engine?: string | undefined;
}

export async function startServer(
  rival: Rival,
  { work, compressing = 'none', tls = false, engine }: AskedOfServer,
  core: number | undefined,
  setting: Settings,
): Promise<Program> {
  const inTheClear: Channel = rival.http2 === true ? 'h2c' : 'tcp';
  const channel: Channel = tls ? 'tls' : inTheClear;
  const program = programPath('servers', rival);
  const command = [...rival.command, program, work, compressing, channel];
  const environment = {
    ...rival.environment,
    ...(tls ? await certificateEnvironment() : {}),
    ...(engine === undefined ? {} : { [ENGINE]: engine }),
  };
  const name = `the server of ${rival.name}`;
  return new Program(name, command, core, 2 * patienceMs(setting), environment);
}

export async function portOf(server: Program): Promise<number> {
  const line = await server.line();
  const port = /^port (\d+)$/.exec(line)?.[1];
  if (port === undefined) throw new ProgramError(`the server said ${JSON.stringify(line)}`);
  return Number(port);
}

/** Has a server collect its garbage. @returns how many connections it has taken so far, 0 where it cannot tell. */
export async function collected(server: Program): Promise<number> {
  server.tell('collect');
  return Number(/^collected, (\d+) connections$/.exec(await server.line())?.[1] ?? 0);
}

export function programPath(folder: string, { file }: Rival): string {
  return join(import.meta.dirname, folder, `${file}.js`);
}
