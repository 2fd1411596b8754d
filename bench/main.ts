import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, readArguments, UsageError, usage } from './arguments.ts';
import { compareResults } from './compare.ts';
import { type BenchResults, parseResults } from './results.ts';
import { allRows } from './rows.ts';
import { runBenchmarks } from './run.ts';
import { describeResults, markdownTable } from './table.ts';

/** bench/results, from bench/dist. */
const resultsFolder = join(import.meta.dirname, '../results');

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(readArguments(args));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`bench: ${error.message}`);
    return 2;
  }
}

async function run(command: Command): Promise<number> {
  switch (command.command) {
    case 'help':
      console.log(usage);
      return 0;
    case 'list':
      console.log(describeRows());
      return 0;
    case 'compare':
      console.log(compareResults(await read(command.before), await read(command.after)));
      return 0;
    case 'run': {
      const results = await runBenchmarks(command.plan, (text) => process.stderr.write(text));
      console.log(describeResults(results));
      const path = command.output ?? defaultPath(results);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${JSON.stringify(results, undefined, 2)}\n`);
      console.error(`written to ${path}`);
      return wasMeasured(results) ? 0 : 1;
    }
  }
}

function describeRows(): string {
  const lines = allRows.map(({ id, title, rivals }) => [id, title, rivals.join(', ')]);
  return markdownTable([['row', 'what', 'libraries'], ...lines]);
}

async function read(path: string): Promise<BenchResults> {
  try {
    return parseResults(await readFile(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Colons are not for file names everywhere. */
function defaultPath({ startedAt }: BenchResults): string {
  return join(resultsFolder, `${startedAt.slice(0, 19).replaceAll(':', '-')}.json`);
}

function wasMeasured({ rows }: BenchResults): boolean {
  const measurements = rows.flatMap(({ rivals }) => rivals.flatMap((rival) => rival.measurements));
  return measurements.length > 0 && measurements.every(({ problem }) => problem === undefined);
}
