/** Work for another thread. */
export interface Job {
  /** Begins it; must not end it yet. */
  start(): void;
  /** Whether it is still to be done, once its turn has come. */
  isWanted(): boolean;
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
    for (const next of this.#waiting) {
      this.#waiting.delete(next);
      if (!next.isWanted()) continue;
      this.#start(next);
      return;
    }
  }

  #start(job: Job): void {
    this.#running++;
    job.start();
  }
}

/** The one of this process, for all connections. */
export const jobs: JobQueue = new JobQueue();
