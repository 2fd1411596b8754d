import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_MS = 20_000;
const ATTEMPTS = 3;

export interface ProxyProgram {
  readonly program: string | undefined;
  /** How many ports it listens on. */
  readonly ports: number;
  /** Its files, by name, in a folder of its own. */
  files(folder: string, ports: readonly number[]): Readonly<Record<string, string>>;
  /** To run in the foreground. */
  args(folder: string): readonly string[];
}

/** A proxy that runs as a process of its own. */
export class RunningProxy implements AsyncDisposable {
  readonly ports: readonly number[];
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, ports: readonly number[]) {
    this.#child = child;
    this.#folder = folder;
    this.ports = ports;
  }

  /** Starts it on free ports; resolves once it listens. */
  static async start(proxy: ProxyProgram): Promise<RunningProxy> {
    for (let attempt = 1; ; attempt++) {
      const folder = await mkdtemp(join(tmpdir(), 'aperto-proxy-'));
      // Started by root, some become a user of their own.
      chmodSync(folder, 0o755);
      const ports: number[] = [];
      while (ports.length < proxy.ports) ports.push(await freePort(ports));
      for (const [name, text] of Object.entries(proxy.files(folder, ports))) {
        await writeFile(join(folder, name), text);
      }
      const child = spawn(proxy.program ?? '', proxy.args(folder), {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      const onExit = (): boolean => child.kill('SIGKILL');
      process.on('exit', onExit);
      child.on('exit', () => process.off('exit', onExit));
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-2_000);
      });
      const running = new RunningProxy(child, folder, ports);
      child.on('error', (error) => {
        said += error.message;
      });
      if (await running.#answers()) return running;
      await running.end();
      // Somebody else may have taken a port meanwhile.
      if (attempt === ATTEMPTS) throw new Error(`${proxy.program} did not start: ${said}`);
    }
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#child;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  /** Whether it listens before it ends or time is over. */
  async #answers(): Promise<boolean> {
    const until = performance.now() + READY_MS;
    for (const port of this.ports) {
      while (!(await connects(port))) {
        if (this.#hasEnded || performance.now() > until) return false;
        await sleep(20);
      }
    }
    return !this.#hasEnded;
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  /** Asks it to end, and waits until it has. */
  async end(): Promise<void> {
    if (!this.#hasEnded) {
      const ended = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
    }
    await rm(this.#folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

/** One that nobody listens on, and none of `others`. */
async function freePort(others: readonly number[]): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    server.close();
    await once(server, 'close');
    if (typeof address !== 'object' || address === null) throw new Error('no port');
    if (!others.includes(address.port)) return address.port;
  }
}

function connects(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
