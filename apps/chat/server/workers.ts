import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { constants } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkerGreeting, WorkerOrder } from './run-chat.ts';

/** Until another worker is started for one that has crashed. */
const PAUSE_MS = 1_000;

/** Runs the chat in several processes behind one port, until a signal ends them. */
export async function runWorkers(count: number): Promise<void> {
  const workers = new Workers();
  // What is wrong with the arguments or the port is told by the first alone.
  const greeting = await workers.startFirst();
  await Promise.all(Array.from({ length: count - 1 }, () => workers.start()));
  process.stdout.write(`${greeting}\n`);
}

/** The processes of the chat. One that ends without having been asked is replaced. */
class Workers {
  /** Whether each listens. */
  readonly #running = new Map<Worker, boolean>();
  readonly #asked = new Set<Worker>();
  #isEnding = false;
  #isReplacing = false;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => this.#end(signal));
    }
    process.on('SIGUSR2', () => void this.#replaceAll());
  }

  /** Resolves once it listens, to what it greets with. Ends this process where it does not come to that. */
  async startFirst(): Promise<string> {
    const worker = this.#fork();
    const greeting = await this.#greeting(worker);
    if (greeting !== undefined) return greeting;
    process.exit(this.#isEnding ? 0 : (worker.process.exitCode ?? 1));
  }

  /** Resolves once another one listens, however often that has to be tried. */
  async start(): Promise<void> {
    while (!this.#isEnding) {
      if ((await this.#greeting(this.#fork())) !== undefined) return;
      await sleep(PAUSE_MS);
    }
  }

  #fork(): Worker {
    const worker = cluster.fork();
    this.#running.set(worker, false);
    worker.once('exit', (code, signal) => this.#ended(worker, signal ?? `exit code ${code}`));
    return worker;
  }

  /** Resolves to undefined where it ends before it listens. */
  async #greeting(worker: Worker): Promise<string | undefined> {
    const ended = once(worker, 'exit').then(() => undefined);
    const [told]: [WorkerGreeting?] = await Promise.race([
      once(worker, 'message') as Promise<[WorkerGreeting]>,
      ended.then((): [] => []),
    ]);
    if (told !== undefined && this.#running.has(worker)) this.#running.set(worker, true);
    return told?.greeting;
  }

  #ended(worker: Worker, how: string): void {
    const hasListened = this.#running.get(worker) === true;
    this.#running.delete(worker);
    const wasAsked = this.#asked.delete(worker);
    if (this.#isEnding) {
      if (this.#running.size === 0) process.exit(0);
    } else if (hasListened && !wasAsked) {
      process.stderr.write(`Worker ${worker.id} has ended (${how}); another one is started.\n`);
      void sleep(PAUSE_MS).then(() => this.start());
    }
  }

  #end(signal: 'SIGINT' | 'SIGTERM'): void {
    // Who asks twice does not want to wait for the visitors.
    if (this.#isEnding) {
      for (const worker of this.#running.keys()) worker.process.kill('SIGKILL');
      process.exit(128 + constants.signals[signal]);
    }
    this.#isEnding = true;
    const order: WorkerOrder = { end: signal === 'SIGINT' ? 'interrupted' : 'with-notice' };
    for (const worker of this.#running.keys()) this.#ask(worker, order);
    if (this.#running.size === 0) process.exit(0);
  }

  #ask(worker: Worker, order: WorkerOrder): void {
    this.#asked.add(worker);
    // Where it has ended meanwhile there is nothing to do.
    if (this.#running.get(worker) === true) worker.send(order, () => {});
    else worker.process.kill('SIGTERM');
  }

  /** Puts a new process in the place of each, one after another. */
  async #replaceAll(): Promise<void> {
    if (this.#isReplacing) return;
    this.#isReplacing = true;
    for (const worker of [...this.#running.keys()]) {
      await this.start();
      if (this.#isEnding) return;
      if (!this.#running.has(worker)) continue;
      const ended = once(worker, 'exit');
      this.#ask(worker, { end: 'without-notice' });
      await ended;
    }
    this.#isReplacing = false;
  }
}
