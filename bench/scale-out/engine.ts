import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Program, ProgramError } from '../program.ts';

/** What carries topics from server to server. */
export type EngineName = 'redis' | 'nats';

const programs = {
  redis: { name: 'redis-server', variable: 'APERTO_REDIS_SERVER' },
  nats: { name: 'nats-server', variable: 'APERTO_NATS_SERVER' },
} as const;

/** Between two attempts to connect to an engine that has not begun to listen. */
const AGAIN_MS = 10;

/** Where the engine's program is, or why there is none. */
export function findEngine(
  engine: EngineName,
): { readonly path: string } | { readonly missing: string } {
  const { name, variable } = programs[engine];
  const given = process.env[variable] ?? '';
  if (given !== '') return { path: given };
  // Debian puts servers where a user's PATH does not look.
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const path = folders.map((folder) => join(folder, name)).find(isProgram);
  return path === undefined ? { missing: `${name} is not installed` } : { path };
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** An engine of its own, on a free port, that keeps nothing. */
export class Engine implements AsyncDisposable {
  readonly url: string;
  readonly #program: Program;
  readonly #folder: string;

  private constructor(url: string, program: Program, folder: string) {
    this.url = url;
    this.#program = program;
    this.#folder = folder;
  }

  /**
   * @param core the one that it runs on; undefined for any.
   * @param timeoutMs after so long it is ended.
   * @throws {ProgramError} where it is not installed, or does not start.
   */
  static async start(
    name: EngineName,
    core: number | undefined,
    timeoutMs: number,
  ): Promise<Engine> {
    const found = findEngine(name);
    if ('missing' in found) throw new ProgramError(found.missing);
    const folder = await mkdtemp(join(tmpdir(), 'aperto-bench-'));
    const port = await freePort();
    const command = [found.path, ...optionsOf(name, port, folder)];
    const program = new Program(programs[name].name, command, core, timeoutMs);
    const engine = new Engine(`${name}://127.0.0.1:${port}`, program, folder);
    try {
      while (!(await isListening(port))) {
        if (program.problem !== undefined) throw new ProgramError(program.problem);
        await sleep(AGAIN_MS);
      }
      return engine;
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
  }

  get pid(): number {
    return this.#program.pid;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program[Symbol.asyncDispose]();
    await rm(this.#folder, { recursive: true });
  }
}

function optionsOf(name: EngineName, port: number, folder: string): string[] {
  if (name === 'nats') return ['--addr', '127.0.0.1', '--port', `${port}`];
  return [
    ...['--bind', '127.0.0.1', '--port', `${port}`, '--dir', folder],
    ...['--save', '', '--appendonly', 'no'],
  ];
}

/** One that nobody listens on at the moment. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address: AddressInfo | string | null = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('does not listen on TCP');
  return address.port;
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
