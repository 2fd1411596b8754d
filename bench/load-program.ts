import { type Program, ProgramError } from './program.ts';

/** What is read of a load's result. */
export interface LoadResult {
  readonly seconds: number;
  readonly messages: number;
  readonly wrong: number;
  readonly failed: number;
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null };
  readonly cpuSeconds: number;
}

/**
 * Waits for an event of the load.
 * @throws {ProgramError} that tells of a server where one has ended: the load's troubles come from it.
 */
export async function eventOf(
  load: Program,
  servers: readonly Program[],
  name: string,
): Promise<object> {
  try {
    for (;;) {
      const told = await load.object();
      if ('event' in told && told.event === name) return told;
    }
  } catch (error) {
    throwProblem(servers);
    throw error;
  }
}

/** @throws {ProgramError} also where a server has ended meanwhile. */
export async function resultOf(load: Program, servers: readonly Program[]): Promise<LoadResult> {
  const told = await eventOf(load, servers, 'result');
  throwProblem(servers);
  if (isLoadResult(told)) return told;
  throw new ProgramError('the load told no result');
}

function isLoadResult(value: object): value is LoadResult {
  return 'latencyMs' in value && 'cpuSeconds' in value && 'messages' in value;
}

function throwProblem(servers: readonly Program[]): void {
  const problem = servers.find((server) => server.problem !== undefined)?.problem;
  if (problem !== undefined) throw new ProgramError(problem);
}
