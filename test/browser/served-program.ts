import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

// This file runs from build/browser/.
const root = new URL('../../', import.meta.url);

/** A server of the project that runs as a process of its own, as a user starts it. */
export class ServedProgram implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** What it printed when it was ready: its address is in it. */
  readonly greeting: string;

  private constructor(child: ChildProcess, greeting: string) {
    this.#child = child;
    this.greeting = greeting;
  }

  /** Runs a built file, by its path in the project; resolves with its first line. */
  static async start(file: string, args: readonly string[]): Promise<ServedProgram> {
    const child = spawn(process.execPath, [fileURLToPath(new URL(file, root)), ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const onExit = (): boolean => child.kill('SIGKILL');
    process.on('exit', onExit);
    child.on('exit', () => process.off('exit', onExit));
    const lines = createInterface(child.stdout);
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${code}`);
    });
    const [greeting] = await Promise.race([once(lines, 'line'), ended]);
    return new ServedProgram(child, String(greeting));
  }

  get port(): number {
    const port = /:(\d+)/.exec(this.greeting)?.[1];
    if (port === undefined) throw new Error(`no port in: ${this.greeting}`);
    return Number(port);
  }

  /** Asks it to end, and waits until it has; resolves with its exit code. */
  async end(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit');
      this.#child.kill('SIGTERM');
      await exited;
    }
    return this.#child.exitCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
