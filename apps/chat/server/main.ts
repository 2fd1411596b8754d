import cluster from 'node:cluster';
import process from 'node:process';
import { type Arguments, readArguments, UsageError, usage } from './arguments.ts';
import { fail, runChat } from './run-chat.ts';
import { runWorkers } from './workers.ts';

function argumentsOrExit(): Arguments {
  try {
    const given = readArguments(process.argv.slice(2), process.env);
    if (given !== undefined) return given;
  } catch (error) {
    if (error instanceof UsageError) fail(`${error.message}\n\n${usage}`, 2);
    throw error;
  }
  process.stdout.write(usage);
  process.exit(0);
}

const given = argumentsOrExit();
if (cluster.worker !== undefined) {
  await runChat(given, cluster.worker.id);
} else if (given.workers === 1) {
  await runChat(given, undefined);
} else if (given.engine === undefined) {
  process.stderr.write(
    'Workers share their rooms over an engine: without --redis or --nats, one process runs.\n',
  );
  await runChat({ ...given, workers: 1 }, undefined);
} else {
  await runWorkers(given.workers);
}
