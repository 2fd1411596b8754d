import { ApertoError, type ServeOptions, type Server, serve } from '../index.ts';
import { CommandError, UsageError } from './usage.ts';

/** How long peers have to close after a signal. */
const CLOSE_TIMEOUT_MS = 3_000;

/**
 * Serves until SIGINT or SIGTERM; a second signal ends at once.
 * @throws {UsageError} for options that the server refuses, {CommandError} where it cannot listen.
 */
export async function runServer(name: string, options: ServeOptions<undefined>): Promise<Server> {
  const server = await start(options);
  let closing = false;
  const onSignal = (): void => {
    if (closing) process.exit(1);
    closing = true;
    server.close({ timeoutMs: CLOSE_TIMEOUT_MS }).then(() => process.exit(0));
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  console.log(`aperto ${name} listening on ${server.url}`);
  return server;
}

async function start(options: ServeOptions<undefined>): Promise<Server> {
  try {
    return await serve(options);
  } catch (error) {
    if (error instanceof ApertoError) throw new UsageError(error.message);
    const { host, port } = options;
    throw new CommandError(`cannot listen on ${host}:${port}: ${reason(error)}`);
  }
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') return 'the port is in use; choose another with --port';
  if (code === 'EACCES') return 'not allowed; ports below 1024 are for root';
  return error.message;
}
