import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

// This file runs from build/cli/.
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** A command that runs, with what it has printed so far. */
export class Command {
  readonly child: ChildProcessWithoutNullStreams;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<unknown>;
  #hasEnded = false;

  constructor(...args: readonly string[]) {
    const [program = '', ...rest] = this.commandLine(args);
    this.child = spawn(program, rest, {
      env: { ...process.env, NO_COLOR: '1', TERM: 'xterm' },
      // What never ends or never prints what it should fails its test, and is not left behind.
      timeout: 30_000,
      killSignal: 'SIGKILL',
    });
    this.child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
    });
    this.#ended = once(this.child, 'close').then(() => {
      this.#hasEnded = true;
    });
    // One that ended does not read its input.
    this.child.stdin.on('error', () => {});
  }

  protected commandLine(args: readonly string[]): readonly string[] {
    return [process.execPath, main, ...args];
  }

  /** Resolves when what was printed matches. */
  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout);
      if (match !== null) return match;
      if (this.#hasEnded) throw new Error(`it ended: ${this.stdout}${this.stderr}`);
      await Promise.race([once(this.child.stdout, 'data'), this.#ended]);
    }
  }

  /** Resolves to the exit code when all that was printed is here. */
  async end(): Promise<number | null> {
    await this.#ended;
    return this.child.exitCode;
  }

  /** Sends a signal and waits for the end. */
  signal(signal: NodeJS.Signals): Promise<number | null> {
    this.child.kill(signal);
    return this.end();
  }
}

/** A command at a terminal, which script(1) of Linux makes; all that the terminal shows is `stdout`. */
export class TerminalCommand extends Command {
  protected override commandLine(args: readonly string[]): readonly string[] {
    const quoted = super.commandLine(args).map((word) => `'${word}'`);
    return ['script', '--quiet', '--return', '--command', quoted.join(' '), '/dev/null'];
  }
}

/** Runs a command to its end, with some input. */
export async function run(args: readonly string[], input = ''): Promise<Command> {
  const command = new Command(...args);
  command.child.stdin.end(input);
  await command.end();
  return command;
}

/** Starts a server on a free port, ended with the test. */
export async function startServer(
  t: { after(task: () => Promise<unknown>): void },
  ...args: readonly string[]
): Promise<{ server: Command; url: string; port: number }> {
  const server = new Command(...args, '--port', '0');
  t.after(() => server.signal('SIGTERM'));
  const [, url = '', port = ''] = await server.printed(/ listening on (wss?:\/\/[^:]+:(\d+))\n/);
  return { server, url, port: Number(port) };
}
