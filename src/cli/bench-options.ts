import { parseArgs } from 'node:util';
import { compressionOptionTypes } from './compression-options.ts';
import { clientConnectOptions, clientOptionTypes, theUrl } from './connect-options.ts';
import type { LoadPlan } from './load/load.ts';
import { seconds, wholeNumber } from './option-values.ts';
import { UsageError, usage } from './usage.ts';

const optionTypes = {
  ...compressionOptionTypes,
  ...clientOptionTypes,
  mode: { type: 'string' },
  connections: { type: 'string' },
  size: { type: 'string' },
  'in-flight': { type: 'string' },
  rate: { type: 'string' },
  duration: { type: 'string' },
  'warm-up': { type: 'string' },
} as const;

const modes: readonly LoadPlan['mode'][] = ['echo', 'fan-out', 'handshake', 'idle'];
/** Options that say something about messages. */
const ofMessages = ['size', 'in-flight', 'rate', 'binary'] as const;

const MOST_CONNECTIONS = 1_000_000;
/** A payload must fit into one string. */
const LARGEST_SIZE = 256 * 1024 * 1024;
const MOST_IN_FLIGHT = 1_000_000;
const HIGHEST_RATE = 100_000_000;

export interface BenchCommandOptions {
  readonly plan: LoadPlan;
  readonly json: boolean;
}

/**
 * Reads the options of `aperto bench`; undefined where help was asked for and given.
 * @throws {UsageError}
 */
export function benchOptions(args: readonly string[]): BenchCommandOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: optionTypes,
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(usage.bench);
    return undefined;
  }
  const url = theUrl('bench', positionals);
  const mode = modes.find((one) => one === (values.mode ?? 'echo'));
  if (mode === undefined) {
    const given = JSON.stringify(values.mode);
    throw new UsageError(`--mode is echo, fan-out, handshake or idle, not ${given}`);
  }
  const sends = mode === 'echo' || mode === 'fan-out';
  const senseless = ofMessages.find((option) => !sends && values[option] !== undefined);
  if (senseless !== undefined) {
    throw new UsageError(`--${senseless} is for echo and fan-out: ${mode} sends no messages`);
  }
  if (values.rate !== undefined && values['in-flight'] !== undefined)
    throw new UsageError('--rate and --in-flight exclude each other');
  const rate =
    values.rate === undefined ? undefined : wholeNumber('--rate', values.rate, 1, HIGHEST_RATE);
  const inFlight = wholeNumber('--in-flight', values['in-flight'] ?? '1', 1, MOST_IN_FLIGHT);
  const durationMs = seconds('--duration', values.duration ?? '10') * 1000;
  if (durationMs === 0) throw new UsageError('--duration is more than 0 seconds');
  return {
    plan: {
      url,
      mode,
      connections: wholeNumber('--connections', values.connections ?? '100', 1, MOST_CONNECTIONS),
      size: sends ? wholeNumber('--size', values.size ?? '20', 0, LARGEST_SIZE) : 0,
      inFlight: sends && rate === undefined ? inFlight : undefined,
      rate,
      binary: values.binary === true,
      json: values.deflate === true,
      durationMs,
      warmUpMs: seconds('--warm-up', values['warm-up'] ?? '1') * 1000,
      connect: clientConnectOptions(values),
    },
    json: values.json === true,
  };
}
