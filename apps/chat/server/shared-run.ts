/**
 * A task that runs one at a time. Who asks while it runs shares the next run with all others who do: it begins after
 * they asked, and so sees what there was then.
 */
export class SharedRun {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | undefined = undefined;
  #next: Promise<void> | undefined = undefined;

  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  /** Resolves, or rejects, as the run does that begins now or next. */
  run(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    const begin = () => this.#begin();
    this.#next = this.#running.then(begin, begin);
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#task().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }
}
