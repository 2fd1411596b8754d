import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Command, readArguments, UsageError, usage } from './arguments.ts';
import { drawRun } from './plot.ts';
import { describeRun } from './report.ts';
import { runSoak } from './run.ts';
import { parseRun, type Run, type Sample } from './samples.ts';
import { judge } from './verdict.ts';

// This file runs from build/soak/.
const root = join(import.meta.dirname, '../..');
const resultsFolder = join(root, 'build', 'soak-results');
const plotPath = join(root, 'docs', 'reliability.svg');
/** How often a line tells how it goes. */
const TELL_EACH_MS = 10_000;
/** On these a run ends, with what it has started. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    return await obey(readArguments(args));
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`soak: ${error.message}`);
    return 2;
  }
}

async function obey(command: Command): Promise<number> {
  if (command.command === 'help') {
    console.log(usage);
    return 0;
  }
  const run = command.command === 'report' ? await read(command.input) : await carryOut(command);
  console.log(describeRun(run));
  if (command.plot) {
    await writeFile(plotPath, drawRun(run));
    console.error(`drawn as ${plotPath}`);
  }
  return judge(run).good ? 0 : 1;
}

async function carryOut({ plan, output }: Extract<Command, { command: 'run' }>): Promise<Run> {
  const name = `${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.jsonl`;
  const path = output ?? join(resultsFolder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, '');
  // At once: what a run has seen is to be there however it ends.
  const write = (entry: object): void => appendFileSync(path, `${JSON.stringify(entry)}\n`);
  console.error(`samples go to ${path}`);
  const interrupted = new AbortController();
  const interrupt = (): void => interrupted.abort();
  for (const name of ENDING) process.on(name, interrupt);
  let told = 0;
  try {
    const run = await runSoak(
      plan,
      {
        started(start) {
          write(start);
          for (const what of start.notRun) console.error(`not run: ${what}`);
          console.error(`half-open peers: ${start.halfOpenBy}`);
        },
        sampled(sample) {
          write(sample);
          if (sample.at - told < TELL_EACH_MS) return;
          told = sample.at;
          console.error(describeSample(sample));
        },
        note: (text) => console.error(text),
      },
      interrupted.signal,
    );
    if (run.end !== undefined) write(run.end);
    write(judge(run));
    return run;
  } finally {
    for (const name of ENDING) process.off(name, interrupt);
  }
}

function describeSample({ at, server, load, halfOpen, engineRestarts }: Sample): string {
  const mib = Math.round(server.rss / 1024 / 1024);
  return [
    `${Math.round(at / 1000)} s: ${server.peers} peers`,
    `${mib} MiB`,
    `delay p99 ${server.delay.p99} ms`,
    `${load.received} received, ${load.lost} lost, ${load.announced} announced, ${server.dropped} dropped`,
    `${halfOpen.found}/${halfOpen.cutOff} half-open found`,
    `engine killed ${engineRestarts} times`,
    `${Object.keys(load.problems).length} kinds of problems`,
  ].join(', ');
}

async function read(path: string | undefined): Promise<Run> {
  const input = path ?? (await newest());
  try {
    return parseRun(await readFile(input, 'utf8'));
  } catch (error) {
    throw new UsageError(`${input}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function newest(): Promise<string> {
  const names = await readdir(resultsFolder).catch(() => []);
  const last = names
    .filter((name) => name.endsWith('.jsonl'))
    .sort()
    .at(-1);
  if (last === undefined) throw new UsageError('there is no run yet to tell of');
  return join(resultsFolder, last);
}
