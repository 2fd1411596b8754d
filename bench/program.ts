import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

/** The end of what a program wrote to stderr, for telling why it ended. */
const KEPT_ERRORS = 2_000;

/** A program did not do what it was started for. */
export class ProgramError extends Error {}

/** A program that was started, read line by line. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #timer: NodeJS.Timeout;
  readonly #closed: Promise<unknown>;
  #errors = '';
  #problem: string | undefined = undefined;
  #wake: (() => void) | undefined = undefined;

  /**
   * @param core the one that it runs on; undefined for any.
   * @param timeoutMs after so long it is ended.
   */
  constructor(
    name: string,
    command: readonly string[],
    core: number | undefined,
    timeoutMs: number,
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.#name = name;
    const pinned = core === undefined ? command : ['taskset', '-c', String(core), ...command];
    const [file = '', ...args] = pinned;
    this.#child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    // Comes also after a failure to start it.
    this.#closed = new Promise((resolve) => this.#child.once('close', resolve));
    this.#timer = setTimeout(() => {
      this.#fail(`took longer than ${timeoutMs / 1000} s`);
      this.#child.kill('SIGKILL');
    }, timeoutMs);
    this.#child.on('error', (error) => this.#fail(error.message));
    this.#child.on('close', (code, signal) => {
      clearTimeout(this.#timer);
      this.#fail(`ended with ${signal ?? `code ${code}`}${this.#lastError()}`);
    });
    // It may have ended.
    this.#child.stdin.on('error', () => undefined);
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-KEPT_ERRORS);
    });
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(line);
      this.#wake?.();
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** What went wrong with it; undefined while it runs. */
  get problem(): string | undefined {
    return this.#problem;
  }

  #fail(problem: string): void {
    this.#problem ??= `${this.#name} ${problem}`;
    this.#wake?.();
  }

  #lastError(): string {
    const lines = this.#errors.split('\n').filter((line) => line.trim() !== '');
    // A stack trace begins with what matters; otherwise the last line does.
    const told = lines.find((line) => /^(?:\w*Error\b|aperto: )/.test(line)) ?? lines.at(-1);
    return told === undefined ? '' : `: ${told.trim()}`;
  }

  /** The next line of its output. @throws {ProgramError} where it ended before. */
  async line(): Promise<string> {
    for (;;) {
      const line = this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#problem !== undefined) throw new ProgramError(this.#problem);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** The next line, which holds a JSON object. @throws {ProgramError} also where it does not. */
  async object(): Promise<object> {
    const line = await this.line();
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'object' && value !== null) return value;
    } catch {
      // Told below.
    }
    throw new ProgramError(`${this.#name} said ${JSON.stringify(line)}`);
  }

  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  /** Asks it to end early. */
  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  /** Ends it, so that it is not in the way of the next. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }
}
