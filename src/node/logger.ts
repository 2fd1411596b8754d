import { inspect } from 'node:util';
import { apertoError } from '../protocol/errors.ts';
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

const levels = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof levels)[number];

/** What a server writes to its log. Queries are left out of URLs: they may hold secrets. */
export class ServerLog {
  readonly #logger: Logger;

  /** @throws {ApertoError} INVALID_OPTION */
  constructor(logger: Logger) {
    if (!levels.every((level) => typeof logger?.[level] === 'function')) {
      const detail = `a logger has the methods ${levels.join(', ')}`;
      throw apertoError('INVALID_OPTION', { detail });
    }
    this.#logger = logger;
  }

  refused(request: UpgradeRequest, status: number, reason: string): void {
    this.#write('info', { ...about(request), status, reason }, 'WebSocket handshake refused');
  }

  opened(request: UpgradeRequest, protocol: string): void {
    this.#write('debug', { ...about(request), protocol }, 'WebSocket open');
  }

  closed(request: UpgradeRequest, { code, reason, error }: CloseInfo): void {
    const details = { ...about(request), code, reason };
    if (error === undefined) this.#write('debug', details, 'WebSocket closed');
    else this.#write('info', { ...details, error: error.code }, error.message);
  }

  failed(error: unknown): void {
    this.#write('error', { err: error }, error instanceof Error ? error.message : inspect(error));
  }

  health(health: ServerHealth): void {
    if (health.status === 'degraded') this.#write('warn', { health }, 'the engine is away');
    else this.#write('info', { health }, `the server is ${health.status}`);
  }

  /** A log that fails, on a full disk say, takes no connection with it. */
  #write(level: Level, details: object, text: string): void {
    try {
      this.#logger[level](details, text);
    } catch (error) {
      console.error(error);
    }
  }
}

function about({ url, remoteAddress }: UpgradeRequest): object {
  return { path: url.split('?', 1)[0], remoteAddress };
}
