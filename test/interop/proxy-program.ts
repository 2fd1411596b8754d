import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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
  /** Where its files are. */
  readonly folder: string;
  readonly #proxy: ProxyProgram;
  #child: ChildProcess;
  /** The end of what it has written to stderr. */
  #said = '';

  private constructor(proxy: ProxyProgram, folder: string, ports: readonly number[]) {
    this.#proxy = proxy;
    this.folder = folder;
    this.ports = ports;
    this.#child = this.#spawn();
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
      const running = new RunningProxy(proxy, folder, ports);
      if (await running.#answers()) return running;
      await running.end();
      // Somebody else may have taken a port meanwhile.
      if (attempt === ATTEMPTS) throw new Error(`${proxy.program} did not start: ${running.#said}`);
    }
  }

  #spawn(): ChildProcess {
    const { folder } = this;
    const child = spawn(this.#proxy.program ?? '', this.#proxy.args(folder), {
      cwd: folder,
      // What it keeps for the next time goes away with the rest.
      env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const onExit = (): boolean => child.kill('SIGKILL');
    process.on('exit', onExit);
    child.on('exit', () => process.off('exit', onExit));
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-2_000);
    });
    child.on('error', (error) => {
      this.#said += error.message;
    });
    return child;
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

  /** Ends it at once, as a crash would, with the processes that it has started. */
  async kill(): Promise<void> {
    if (this.#hasEnded) return;
    const workers = await childrenOf(this.#child.pid);
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
    for (const pid of workers) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended with the first.
      }
    }
    for (const port of this.ports) while (await connects(port)) await sleep(20);
  }

  /** Ends it as `kill` does, and starts it again on its ports. */
  async restart(): Promise<void> {
    await this.kill();
    this.#child = this.#spawn();
    if (!(await this.#answers())) throw new Error(`it did not start again: ${this.#said}`);
  }

  /** Changes a file of its. */
  async change(name: string, text: string): Promise<void> {
    await writeFile(join(this.folder, name), text);
  }

  /**
   * Sends the first of its processes a signal that it knows.
   * @param answer what it says then, where it may overlook a signal that comes early: it is sent until it does.
   */
  async signal(signal: NodeJS.Signals, answer?: RegExp): Promise<void> {
    this.#said = '';
    do {
      this.#child.kill(signal);
      for (let i = 0; i < 20 && answer?.test(this.#said) === false; i++) await sleep(20);
    } while (answer?.test(this.#said) === false && !this.#hasEnded);
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
    await rm(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}

async function childrenOf(pid: number | undefined): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
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
