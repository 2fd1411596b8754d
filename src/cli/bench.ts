import { ApertoError } from '../index.ts';
import { JsonReport } from './bench-json.ts';
import { benchOptions } from './bench-options.ts';
import { TextReport } from './bench-text.ts';
import type { LoadPlan } from './load/load.ts';
import { type LoadResult, runLoad } from './load/run-load.ts';
import { visible } from './transcript.ts';
import { CommandError, UsageError } from './usage.ts';

/** Codes of errors that the command line can be blamed for. */
const misuse: ReadonlySet<string> = new Set(['INVALID_URL', 'INVALID_PROTOCOL', 'INVALID_HEADER']);

/** `aperto bench`: loads a server and measures it. Resolves to the exit code. */
export async function bench(args: readonly string[]): Promise<number> {
  const options = benchOptions(args);
  if (options === undefined) return 0;
  const { plan, json } = options;
  // Whoever reads our output may leave; then nothing is left to be told.
  process.stdout.on('error', () => process.exit(1));
  const ending = new AbortController();
  const onSignal = (): void => {
    if (ending.signal.aborted) process.exit(1);
    ending.abort(new CommandError('interrupted before all connections were open'));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  const report = json ? new JsonReport(plan) : new TextReport(plan);
  try {
    const { result, closed } = await runLoad(plan, report, ending.signal);
    report.result(result);
    const complaints = complaintsOf(plan, result, ending.signal.aborted);
    for (const complaint of complaints) console.error(`aperto: ${complaint}`);
    await closed;
    return complaints.length === 0 ? 0 : 1;
  } catch (error) {
    throw explained(error);
  } finally {
    report.end();
  }
}

/** What went wrong though it ran. */
function complaintsOf(plan: LoadPlan, result: LoadResult, interrupted: boolean): string[] {
  const { failed, failure, wrong, latencies } = result;
  const complaints: string[] = [];
  if (failed > 0) {
    const first = failed === 1 ? '' : ' the first';
    complaints.push(
      `lost ${failed} of ${plan.connections} connections:${first} ${visible(failure)}`,
    );
  }
  if (wrong > 0) complaints.push(`messages damaged, doubled, late or missing: ${wrong}`);
  const isNothing = latencies.count === 0 && plan.mode !== 'idle' && !interrupted;
  if (isNothing)
    complaints.push(`no ${plan.mode === 'handshake' ? 'handshake' : 'message'} was counted`);
  return complaints;
}

/** The error that tells a person why a connection could not be opened. */
function explained(error: unknown): unknown {
  if (!(error instanceof ApertoError)) return error;
  if (misuse.has(error.code)) return new UsageError(error.message);
  const { cause } = error;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'EMFILE' || code === 'ENFILE') {
    return new CommandError(
      'too many open files: each connection takes one; raise the limit (ulimit -n), or open fewer with --connections',
    );
  }
  const body = error.response?.body.trim().slice(0, 500) ?? '';
  return new CommandError(body === '' ? error.message : `${error.message}\n${visible(body)}`);
}
