import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../apps/chat/dist/server/main.js', import.meta.url));

/** The chat as it is started from a command line. It is killed when the test ends. */
export class ChatProcess {
  readonly child: ChildProcess;
  /** Resolves to its exit code when it has ended, and its output with it; to null where a signal ended it. */
  readonly ended: Promise<number | null>;
  output = '';
  errors = '';

  private constructor(child: ChildProcess) {
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (piece: string) => {
      this.output += piece;
    });
    child.stderr?.setEncoding('utf8').on('data', (piece: string) => {
      this.errors += piece;
    });
    this.ended = once(child, 'close').then(() => child.exitCode);
  }

  static run(
    t: TestContext,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): ChatProcess {
    const { PORT: _port, HOST: _host, REDIS_URL: _redis, NATS_URL: _nats, ...rest } = process.env;
    const child = spawn(process.execPath, [main, ...args], { env: { ...rest, ...env } });
    t.after(() => child.kill('SIGKILL'));
    return new ChatProcess(child);
  }

  /** Resolves once it listens, to the line that it prints then. */
  async greeting(): Promise<string> {
    await this.#until(() => this.output.includes('\n'), 'stdout');
    return this.output;
  }

  /** Resolves once something stands in what it said on stderr. */
  async complains(pattern: RegExp): Promise<void> {
    await this.#until(() => pattern.test(this.errors), 'stderr');
  }

  async #until(isSo: () => boolean, stream: 'stdout' | 'stderr'): Promise<void> {
    const readable = this.child[stream];
    assert.ok(readable !== null);
    while (!isSo()) {
      const end = await Promise.race([this.ended.then(() => true), once(readable, 'data')]);
      assert.ok(end !== true || isSo(), `it ended: ${this.errors}`);
    }
  }

  /** Where the page is, once it listens. */
  async url(): Promise<string> {
    const [url] = /http:\/\/\S+\//.exec(await this.greeting()) ?? [];
    assert.ok(url !== undefined, this.output);
    return url;
  }

  /** The processes that it has begun, as Linux has them. */
  workers(): number[] {
    const { pid } = this.child;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children.trim().split(' ').filter(Boolean).map(Number);
  }
}
