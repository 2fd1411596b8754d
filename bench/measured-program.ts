import { parseArgs } from 'node:util';

/** What a program that measures itself is asked, as its options. */
export interface Asked {
  /** What the work is done with or to: a URL, or its name. */
  readonly what: string;
  readonly size: number;
  readonly inFlight: number;
  readonly durationMs: number;
  readonly warmUpMs: number;
}

/** What it tells, as one line of JSON. */
export interface SelfMeasured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly messages: number;
  readonly wrong: number;
  readonly rssBytes: number;
}

export function asked(): Asked {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      size: { type: 'string', default: '20' },
      'in-flight': { type: 'string', default: '1' },
      duration: { type: 'string', default: '1' },
      'warm-up': { type: 'string', default: '0.3' },
    },
  });
  return {
    what: positionals[0] ?? '',
    size: Number(values.size),
    inFlight: Number(values['in-flight']),
    durationMs: Number(values.duration) * 1000,
    warmUpMs: Number(values['warm-up']) * 1000,
  };
}

/** Counts between the end of warming up and the end of measuring, with the CPU time of this process. */
export class Meter {
  messages = 0;
  wrong = 0;
  #startedAt = 0;
  #cpuAtStart: NodeJS.CpuUsage = { user: 0, system: 0 };

  start(): void {
    this.messages = 0;
    this.#cpuAtStart = process.cpuUsage();
    this.#startedAt = performance.now();
  }

  read(): SelfMeasured {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    const { messages, wrong } = this;
    const rssBytes = process.memoryUsage.rss();
    return { seconds, cpuSeconds: (user + system) / 1e6, messages, wrong, rssBytes };
  }
}

/** Tells the result and ends the program, whatever is still open. */
export function tell(result: SelfMeasured): void {
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}
