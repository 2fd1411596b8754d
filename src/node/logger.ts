import type { CloseInfo } from './peer-handlers.ts';
import type { ServerHealth } from './server-health.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** A logger of the shape that pino has: first what is to be found by, then what a person reads. */
export interface Logger {
  debug(details: object, text: string): void;
  info(details: object, text: string): void;
  warn(details: object, text: string): void;
  error(details: object, text: string): void;
}

/** What a server writes to its log. Queries are left out of URLs: they may hold secrets. */
export class ServerLog {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  refused(request: UpgradeRequest, status: number, reason: string): void {
    this.#logger.info({ ...about(request), status, reason }, 'WebSocket handshake refused');
  }

  opened(request: UpgradeRequest, protocol: string): void {
    this.#logger.debug({ ...about(request), protocol }, 'WebSocket open');
  }

  closed(request: UpgradeRequest, { code, reason, error }: CloseInfo): void {
    const details = { ...about(request), code, reason };
    if (error === undefined) this.#logger.debug(details, 'WebSocket closed');
    else this.#logger.info({ ...details, error: error.code }, error.message);
  }

  failed(error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    this.#logger.error({ err: error }, text);
  }

  health(health: ServerHealth): void {
    if (health.status === 'degraded') this.#logger.warn({ health }, 'the engine is away');
    else this.#logger.info({ health }, `the server is ${health.status}`);
  }
}

function about({ url, remoteAddress }: UpgradeRequest): object {
  return { path: url.split('?', 1)[0], remoteAddress };
}
