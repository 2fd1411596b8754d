import type { LatencyHistogram } from './load/latency-histogram.ts';
import type { LoadPlan } from './load/load.ts';
import type { LoadResult, LoadWatch } from './load/run-load.ts';

/** One JSON object a line, for programs. A pipe has each line when `write` returns, on Linux and macOS. */
export class JsonReport implements LoadWatch {
  readonly #plan: LoadPlan;
  #ticking: NodeJS.Timeout | undefined = undefined;

  constructor(plan: LoadPlan) {
    this.#plan = plan;
  }

  opening(): void {}

  connected(connections: number, seconds: number): void {
    print({ event: 'connected', connections, seconds: rounded(seconds, 6) });
  }

  measuring(latencies: LatencyHistogram): void {
    print({ event: 'measuring' });
    const startedAt = performance.now();
    this.#ticking = setInterval(() => {
      const seconds = rounded((performance.now() - startedAt) / 1000, 3);
      print({ event: 'progress', seconds, messages: latencies.count });
    }, 1000);
  }

  measured(): void {
    clearInterval(this.#ticking);
    print({ event: 'measured' });
  }

  result({ seconds, latencies, wrong, failed, cpuSeconds }: LoadResult): void {
    const { url, mode, connections, size, inFlight, rate, binary } = this.#plan;
    const messages = latencies.count;
    const ms = (value: number | undefined): number | null =>
      value === undefined ? null : rounded(value, 4);
    print({
      event: 'result',
      url,
      mode,
      connections,
      size,
      inFlight: inFlight ?? null,
      rate: rate ?? null,
      binary,
      seconds: rounded(seconds, 6),
      messages,
      messagesPerSecond: seconds === 0 ? 0 : rounded(messages / seconds, 3),
      bytes: messages * size,
      wrong,
      failed,
      latencyMs: {
        mean: ms(latencies.mean),
        p50: ms(latencies.quantile(0.5)),
        p90: ms(latencies.quantile(0.9)),
        p99: ms(latencies.quantile(0.99)),
        max: ms(latencies.max),
      },
      cpuSeconds: rounded(cpuSeconds, 6),
    });
  }

  end(): void {
    clearInterval(this.#ticking);
  }
}

function print(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function rounded(value: number, digits: number): number {
  return Math.round(value * 10 ** digits) / 10 ** digits;
}
