import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Position } from '../../dist/index.js';
import { until } from './ledger.ts';
import type { EngineKind } from './topic-engines.ts';

/** To publish to all topics all the time, to append to the history of the first one all the time, or to stop that. */
export type Order = 'publish' | 'append' | 'stop';

export interface Appended {
  readonly text: string;
  readonly position: Position;
}

export type Report =
  | { readonly url: string }
  | { readonly error: string }
  /** So many messages to the first topic were taken by the engine. */
  | { readonly taken: number }
  | { readonly appended: Appended }
  /** What was published in all, by topic. */
  | { readonly published: Readonly<Record<string, number>> };

const program = fileURLToPath(new URL('./topics-node.js', import.meta.url));

/** A server as a process of its own. It is killed when the test ends. */
export class TopicsProcess {
  readonly name: string;
  url = '';
  taken = 0;
  readonly appended: Appended[] = [];
  readonly errors: string[] = [];
  /** Known once it has stopped. */
  published: Readonly<Record<string, number>> | undefined = undefined;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(t: TestContext, name: string, args: readonly string[]) {
    this.name = name;
    this.#child = fork(program, [name, ...args], { execArgv: [] });
    // What it has told may be read after its exit, but not after its channel's end.
    this.#ended = Promise.all([once(this.#child, 'exit'), once(this.#child, 'disconnect')]);
    t.after(() => this.kill());
    this.#child.on('message', (report: Report) => {
      if ('url' in report) this.url = report.url;
      else if ('taken' in report) this.taken = report.taken;
      else if ('appended' in report) this.appended.push(report.appended);
      else if ('published' in report) this.published = report.published;
      else this.errors.push(report.error);
    });
  }

  /** Resolves once it listens. */
  static async start(
    t: TestContext,
    name: string,
    kind: EngineKind,
    enginePort: number,
    topics: readonly string[],
  ): Promise<TopicsProcess> {
    const made = new TopicsProcess(t, name, [kind.name, String(enginePort), ...topics]);
    await until(`${name} listening`, () => made.url !== '' || made.#child.exitCode !== null);
    if (made.url === '') throw new Error(`${name} has ended`);
    return made;
  }

  order(order: Order): void {
    this.#child.send(order);
  }

  /** Resolves once it is gone, with all that it had told. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  /** Resolves to its exit code; to null where a signal has ended it. */
  async ended(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }
}
