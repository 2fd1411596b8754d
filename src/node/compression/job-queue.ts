/** Work for another thread. */
export interface Job {
  /** Begins it; must not end it yet. */
  start(): void;
}

/** At most so many at once: libuv has four threads by default, and files, DNS and crypto need them too. */
export const CONCURRENCY = 2;

/** Starts jobs in the order they came. */
class JobQueue {
  readonly #waiting: Set<Job> = new Set();
  #running = 0;

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  add(job: Job): void {
    if (this.#running < CONCURRENCY) this.#start(job);
    else this.#waiting.add(job);
  }

  /** Whether it still waited; then it never starts. */
  remove(job: Job): boolean {
    return this.#waiting.delete(job);
  }

  /** To be called once for each job that was started, when no thread works for it any more. */
  ended(): void {
    this.#running--;
    const [next] = this.#waiting;
    if (next === undefined) return;
    this.#waiting.delete(next);
    this.#start(next);
  }

  #start(job: Job): void {
    this.#running++;
    job.start();
  }
}

/** The one of this process, for all connections. */
export const jobs: JobQueue = new JobQueue();
