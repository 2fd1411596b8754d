/**
 * `npm run fuzz`: runs all targets, guided by what code of the library they reach. `--seconds 600` in total, `--target
 * NAME` one alone, `--seed N` for the same run again, `--input FILE` one input again, `--new FOLDER` to write
 * what reaches new code.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { corpusOf } from './corpus.ts';
import { Coverage } from './coverage.ts';
import { Fuzzer, failureOf, type Report } from './fuzzer.ts';
import { readSeed, writeSeed } from './seed-file.ts';
import type { Target } from './target.ts';

interface Options {
  readonly seconds: number;
  readonly seed: number;
  readonly target: string | undefined;
  readonly input: string | undefined;
  readonly new: string | undefined;
}

function options(): Options {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '600' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      target: { type: 'string' },
      input: { type: 'string' },
      new: { type: 'string' },
    },
  });
  const seconds = Number(values.seconds);
  const seed = Number(values.seed);
  if (!(seconds > 0)) throw new RangeError(`--seconds is a number above 0, not ${values.seconds}`);
  if (!Number.isInteger(seed)) throw new RangeError(`--seed is a whole number, not ${values.seed}`);
  return { seconds, seed, target: values.target, input: values.input, new: values.new };
}

function shown(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function tell(target: Target, report: Report, coverage: Coverage): void {
  const rate = Math.round(report.executions / report.seconds);
  console.log(
    `${target.name}: ${report.executions} executions in ${report.seconds.toFixed(1)} s (${rate}/s), corpus ${report.seeds} -> ${report.corpus}, ${report.outcomes} outcomes, ${coverage.reached} characters of the library reached so far`,
  );
}

function writeFailure(target: Target, input: Uint8Array, error: unknown): void {
  const file = `fuzz-failure-${target.name}.txt`;
  const [firstLine = ''] = String(error).split('\n');
  writeFileSync(file, writeSeed(input, firstLine));
  console.error(`${target.name}: does not hold: ${target.invariant}`);
  console.error(shown(error));
  console.error(`again: npm run fuzz -- --target ${target.name} --input ${file}`);
}

function writeFound(target: Target, folder: string, found: readonly Uint8Array[]): void {
  mkdirSync(`${folder}/${target.name}`, { recursive: true });
  found.forEach((input, i) => {
    writeFileSync(
      `${folder}/${target.name}/${i}.txt`,
      writeSeed(input, 'Reaches code that others did not.'),
    );
  });
}

/** Whether it holds for one input. */
async function again(target: Target, file: string): Promise<boolean> {
  const input = readSeed(readFileSync(file, 'utf8'));
  const failed = await failureOf(target, input, (outcome) => {
    console.log(`${target.name}: holds for these ${input.length} bytes: ${outcome}`);
  });
  if (failed === undefined) return true;
  console.error(`${target.name}: does not hold: ${target.invariant}\n${shown(failed.error)}`);
  return false;
}

async function fuzz(
  chosen: readonly Target[],
  given: Options,
  coverage: Coverage,
): Promise<boolean> {
  console.log(`seed ${given.seed}, ${given.seconds} s for ${chosen.length} targets`);
  let holds = true;
  for (const target of chosen) {
    const seeds = corpusOf(target.name).map(({ input }) => input);
    const fuzzer = new Fuzzer(target, seeds, coverage, given.seed);
    const onUncaught = (error: unknown): void => {
      writeFailure(target, fuzzer.current, error);
      process.exit(1);
    };
    process.on('uncaughtException', onUncaught);
    const report = await fuzzer.run(given.seconds / chosen.length);
    process.off('uncaughtException', onUncaught);
    tell(target, report, coverage);
    if (given.new !== undefined) writeFound(target, given.new, report.found);
    if (report.failure === undefined) continue;
    holds = false;
    writeFailure(target, report.failure.input, report.failure.error);
  }
  return holds;
}

async function main(): Promise<boolean> {
  const given = options();
  const coverage = new Coverage();
  coverage.start();
  // V8 counts blocks only in what it compiles from now on.
  const { targets } = await import('./targets.ts');
  const chosen = targets.filter(({ name }) => given.target === undefined || name === given.target);
  const [first] = chosen;
  if (first === undefined) {
    console.error(`fuzz: targets are ${targets.map(({ name }) => name).join(', ')}`);
    return false;
  }
  if (given.input === undefined) return await fuzz(chosen, given, coverage);
  if (given.target === undefined) throw new RangeError('--input needs --target');
  return await again(first, given.input);
}

try {
  if (!(await main())) process.exitCode = 1;
} catch (error) {
  console.error(`fuzz: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
}
