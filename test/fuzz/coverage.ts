import { type Profiler, Session } from 'node:inspector';

/** What of a script has run, a byte for each character of it: 1 where it has. */
interface Script {
  seen: Uint8Array;
}

/**
 * Which code of the library runs, from V8 itself: so inputs that reach new code can be told without instrumenting
 * anything and without native code. V8 counts by blocks only in what is compiled after `start`, so the library is
 * imported after it.
 */
export class Coverage {
  readonly #session: Session = new Session();
  readonly #scripts: Map<string, Script> = new Map();
  #pending: [script: Script, at: number][] = [];
  #reached = 0;

  start(): void {
    this.#session.connect();
    this.#session.post('Profiler.enable');
    this.#session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  stop(): void {
    this.#session.post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** Characters of the library's code that have run. */
  get reached(): number {
    return this.#reached;
  }

  /** Whether what ran since the last call has reached something for the first time. It counts once `keep` is called. */
  look(): boolean {
    let result: Profiler.ScriptCoverage[] = [];
    // In-process sessions answer at once.
    this.#session.post('Profiler.takePreciseCoverage', (error, taken) => {
      if (error !== null) throw error;
      result = taken.result;
    });
    this.#pending = [];
    for (const { url, functions } of result) {
      if (url.includes('/dist/')) this.#compare(url, functions);
    }
    return this.#pending.length > 0;
  }

  keep(): void {
    for (const [{ seen }, at] of this.#pending) {
      if (seen[at] === 0) this.#reached++;
      seen[at] = 1;
    }
    this.#pending = [];
  }

  #compare(url: string, functions: readonly Profiler.FunctionCoverage[]): void {
    let script = this.#scripts.get(url);
    if (script === undefined) {
      script = { seen: new Uint8Array(0) };
      this.#scripts.set(url, script);
    }
    for (const { ranges } of functions) {
      const [whole] = ranges;
      if (whole === undefined || whole.count === 0) continue;
      const { startOffset, endOffset } = whole;
      if (script.seen.length < endOffset) {
        const longer = new Uint8Array(2 * endOffset);
        longer.set(script.seen);
        script.seen = longer;
      }
      // Ranges come from the outside in: what is inside says it better.
      const ran = new Uint8Array(endOffset - startOffset);
      for (const range of ranges) {
        ran.fill(
          range.count > 0 ? 1 : 0,
          range.startOffset - startOffset,
          range.endOffset - startOffset,
        );
      }
      for (let at = 0; at < ran.length; at++) {
        if (ran[at] === 1 && script.seen[startOffset + at] === 0) {
          this.#pending.push([script, startOffset + at]);
        }
      }
    }
  }
}
