import { parseArgs } from 'node:util';
import { type Fault, knownFaults, type Plan } from './plan.ts';

export class UsageError extends Error {}

export type Command =
  | { readonly command: 'help' }
  | {
      readonly command: 'run';
      readonly plan: Plan;
      readonly output: string | undefined;
      readonly plot: boolean;
    }
  /** Tells of a run that is over. */
  | { readonly command: 'report'; readonly input: string | undefined; readonly plot: boolean };

const MOST_CONNECTIONS = 15_000;
const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

export const usage: string = `npm run soak -- [options]

Holds many connections to a server, with all the trouble that the internet has, and judges how it does.

  --duration TIME       how long, such as 90s, 2m or 1h (default 2m)
  --connections N       well-behaved clients at a time (default 3000)
  --seed N              what the clients' choices come from (default 1)
  --output FILE         where the samples go, one JSON object a line (default build/soak-results/TIME.jsonl)
  --plot                draws the run as docs/reliability.svg
  --report [FILE]       no run: prints a run's samples as Markdown, the last one's by default; draws it with --plot
  --ping-after TIME     the server's silence before a ping (default 5s)
  --ping-timeout TIME   and after it (default 10s)
  --fault NAMES         has the server do something wrong, to see that it is noticed, one or some of:
                        ${knownFaults.join(', ')}

Exits with 1 where the verdict is bad, with 2 for a mistake in the options.`;

/** @throws {UsageError} */
export function readArguments(args: readonly string[]): Command {
  const { values, positionals } = parse(args);
  if (values.help === true) return { command: 'help' };
  const [file, ...rest] = positionals;
  const isReport = values.report === true;
  if (rest.length > 0 || (file !== undefined && !isReport)) {
    throw new UsageError(`what is ${JSON.stringify(rest[0] ?? file)}?`);
  }
  const plot = values.plot === true;
  if (isReport) return { command: 'report', input: file, plot };
  return {
    command: 'run',
    plan: {
      durationMs: time('--duration', values.duration, 1_000),
      connections: whole('--connections', values.connections, 10, MOST_CONNECTIONS),
      seed: whole('--seed', values.seed, 0, 2 ** 32 - 1),
      pingAfterMs: time('--ping-after', values['ping-after'], 100),
      pingTimeoutMs: time('--ping-timeout', values['ping-timeout'], 500),
      faults: values.fault === undefined ? [] : values.fault.split(',').map(fault),
    },
    output: values.output,
    plot,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h' },
        duration: { type: 'string', default: '2m' },
        connections: { type: 'string', default: '3000' },
        seed: { type: 'string', default: '1' },
        output: { type: 'string' },
        plot: { type: 'boolean' },
        report: { type: 'boolean' },
        'ping-after': { type: 'string', default: '5s' },
        'ping-timeout': { type: 'string', default: '10s' },
        fault: { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function time(option: string, text: string, least: number): number {
  const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const ms = Math.round(Number(amount) * (units[unit] ?? Number.NaN));
  if (amount !== '' && ms >= least && ms <= 24 * 3_600_000) return ms;
  throw new UsageError(
    `${option} takes a time from ${least}ms to 24h, such as 90s, 2m or 1h, not ${JSON.stringify(text)}`,
  );
}

function whole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(
    `${option} takes a whole number from ${least} to ${most}, not ${JSON.stringify(text)}`,
  );
}

function fault(text: string): Fault {
  const known = knownFaults.find((name) => name === text);
  if (known !== undefined) return known;
  throw new UsageError(
    `--fault takes some of ${knownFaults.join(', ')}, not ${JSON.stringify(text)}`,
  );
}
