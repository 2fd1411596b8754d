import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Mailbox } from '../node/connections.ts';
import { within } from './raw-socket.ts';

/** server-process.ts, run and read by a test; it ends with it. */
export class ServerChild {
  readonly process: ChildProcess;
  readonly lines: Mailbox<string> = new Mailbox<string>();
  readonly exited: Promise<unknown[]>;
  port = 0;

  private constructor(child: ChildProcess) {
    this.process = child;
    this.exited = once(child, 'exit');
  }

  /** @param files how many descriptors it may have. */
  static async start(t: TestContext, plan: object, files?: number): Promise<ServerChild> {
    const program = fileURLToPath(new URL('./server-process.js', import.meta.url));
    const command = [process.execPath, program, JSON.stringify(plan)];
    const [file = '', ...args] =
      files === undefined
        ? command
        : ['/bin/sh', '-c', `ulimit -n ${files}; exec "$@"`, 'sh', ...command];
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const server = new ServerChild(child);
    createInterface(child.stdout).on('line', server.lines.put);
    t.after(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await server.exited;
    });
    server.port = Number((await server.line('port')).split(' ')[1]);
    return server;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  /** The next line that begins so; others before it are passed over. */
  async line(beginning: string): Promise<string> {
    for (;;) {
      const line = await this.lines.next();
      if (line.startsWith(beginning)) return line;
    }
  }

  /** How it ended: code and signal. */
  async ended(): Promise<unknown[]> {
    return await within('the server to exit', this.exited);
  }
}
