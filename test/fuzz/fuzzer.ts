import { Random } from '../random.ts';
import type { Coverage } from './coverage.ts';
import { minimise } from './minimise.ts';
import { mutate } from './mutate.ts';
import type { Target } from './target.ts';

export interface Failure {
  /** As small as it was made. */
  readonly input: Uint8Array;
  readonly error: unknown;
}

export interface Report {
  readonly executions: number;
  readonly seconds: number;
  /** Inputs at the beginning and at the end. */
  readonly seeds: number;
  readonly corpus: number;
  readonly outcomes: number;
  /** Those that were added. */
  readonly found: readonly Uint8Array[];
  readonly failure: Failure | undefined;
}

/** V8 takes a while to say what has run, so it is asked after so many inputs, and after fewer only where that is new. */
const BATCH = 64;

/** An error where the invariant does not hold. */
export async function failureOf(
  target: Target,
  input: Uint8Array,
  onOutcome: (outcome: string) => void = () => {},
): Promise<{ readonly error: unknown } | undefined> {
  const chance = Math.random;
  // What the library leaves to chance is the same each time, so that an input always does the same.
  Math.random = () => 0.5;
  try {
    const outcome = target.run(input.slice());
    onOutcome(typeof outcome === 'string' ? outcome : await outcome);
    return undefined;
  } catch (error) {
    return { error };
  } finally {
    Math.random = chance;
  }
}

/** Runs a target for a while, with inputs made of those that have reached something new. */
export class Fuzzer {
  readonly #target: Target;
  readonly #coverage: Coverage;
  readonly #random: Random;
  readonly #corpus: Uint8Array[];
  readonly #outcomes: Set<string> = new Set();
  readonly #found: Uint8Array[] = [];
  #current: Uint8Array = new Uint8Array(0);
  #executions = 0;

  constructor(target: Target, seeds: readonly Uint8Array[], coverage: Coverage, seed: number) {
    this.#target = target;
    this.#coverage = coverage;
    this.#random = new Random(seed);
    this.#corpus = seeds.length > 0 ? [...seeds] : [new Uint8Array(0)];
  }

  /** What the target was last given. */
  get current(): Uint8Array {
    return this.#current;
  }

  async run(seconds: number): Promise<Report> {
    const startedAt = performance.now();
    const seeds = this.#corpus.length;
    let failure = await this.#batch([...this.#corpus], false);
    // At least once: on a slow machine the seeds alone may take the time.
    do {
      if (failure !== undefined) break;
      const inputs = Array.from({ length: BATCH }, () =>
        mutate(this.#corpus, this.#random, this.#target),
      );
      failure = await this.#batch(inputs, true);
    } while (performance.now() - startedAt < seconds * 1_000);
    return {
      executions: this.#executions,
      seconds: (performance.now() - startedAt) / 1_000,
      seeds,
      corpus: this.#corpus.length,
      outcomes: this.#outcomes.size,
      found: this.#found,
      failure: failure && (await this.#smallest(failure)),
    };
  }

  async #batch(inputs: readonly Uint8Array[], keep: boolean): Promise<Failure | undefined> {
    const isNew = new Set<Uint8Array>();
    for (const input of inputs) {
      const failed = await this.#execute(input, isNew);
      if (failed !== undefined) return { input, error: failed.error };
    }
    if (this.#coverage.look()) await this.#findNew(inputs, isNew);
    if (!keep) return undefined;
    this.#corpus.push(...isNew);
    this.#found.push(...isNew);
    return undefined;
  }

  /** Runs inputs again, by halves, to find which of them reach something new. */
  async #findNew(inputs: readonly Uint8Array[], isNew: Set<Uint8Array>): Promise<void> {
    for (const input of inputs) await this.#execute(input, isNew);
    if (!this.#coverage.look()) return;
    const [first] = inputs;
    if (inputs.length === 1 && first !== undefined) {
      this.#coverage.keep();
      isNew.add(first);
      return;
    }
    await this.#findNew(inputs.slice(0, inputs.length >> 1), isNew);
    await this.#findNew(inputs.slice(inputs.length >> 1), isNew);
  }

  async #execute(
    input: Uint8Array,
    isNew: Set<Uint8Array>,
  ): Promise<{ readonly error: unknown } | undefined> {
    this.#executions++;
    this.#current = input;
    return await failureOf(this.#target, input, (outcome) => {
      if (this.#outcomes.has(outcome)) return;
      this.#outcomes.add(outcome);
      isNew.add(input);
    });
  }

  async #smallest({ input, error }: Failure): Promise<Failure> {
    let last = error;
    const smallest = await minimise(input, async (smaller) => {
      const failed = await failureOf(this.#target, smaller);
      if (failed !== undefined) last = failed.error;
      return failed !== undefined;
    });
    return { input: smallest, error: last };
  }
}
