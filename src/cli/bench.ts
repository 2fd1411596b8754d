import { JsonReport } from './bench-json.ts';
import { benchOptions } from './bench-options.ts';
import { TextReport } from './bench-text.ts';
import { connectFailure } from './connect-failure.ts';
import type { LoadPlan } from './load/load.ts';
import { type LoadResult, runLoad } from './load/run-load.ts';
import { visible } from './transcript.ts';
import { CommandError } from './usage.ts';

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
    throw connectFailure(error);
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
