import { type Command, run } from './command.ts';

interface BenchResult {
  readonly event: string;
  readonly mode: string;
  readonly connections: number;
  readonly size: number;
  readonly inFlight: number | null;
  readonly rate: number | null;
  readonly binary: boolean;
  readonly seconds: number;
  readonly messages: number;
  readonly messagesPerSecond: number;
  readonly bytes: number;
  readonly wrong: number;
  readonly failed: number;
  readonly latencyMs: Readonly<Record<'mean' | 'p50' | 'p90' | 'p99' | 'max', number | null>>;
  readonly cpuSeconds: number;
}

/** The names of the events that a command printed, and its result. */
export function eventsOf(command: Command): { names: string[]; result: BenchResult } {
  const events: BenchResult[] = command.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  const result = events.at(-1);
  if (result?.event !== 'result') throw new Error(`no result: ${command.stdout}${command.stderr}`);
  return { names: events.map(({ event }) => event), result };
}

/** A short `aperto bench --json`, to its end. */
export async function bench(
  url: string,
  options: string,
): Promise<{ command: Command; names: string[]; result: BenchResult }> {
  const words = `--duration 0.2 --warm-up 0 --json ${options}`.trimEnd().split(' ');
  const command = await run(['bench', url, ...words]);
  return { command, ...eventsOf(command) };
}
