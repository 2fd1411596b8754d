import { parseArgs } from 'node:util';

export interface Arguments {
  readonly port: number;
  readonly host: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly origins: readonly string[];
  /** The engine that the servers share, and where it is; undefined for none. */
  readonly engine?: { readonly kind: 'redis' | 'nats'; readonly url: string };
  /** Processes behind the one port. */
  readonly workers: number;
  /** How long it says that it is not ready before it closes anything, when it is asked to end. */
  readonly noticeMs: number;
  /** Over what time visitors are closed then; undefined for one that fits their number. */
  readonly spreadMs?: number;
}

/** What was asked for cannot be done; the message says why, in a sentence. */
export class UsageError extends Error {}

export const usage = `Usage: npm start -- [options]

  --port N          the port to listen on, 0 for any that is free (PORT; 8080)
  --host HOST       the address to listen on (HOST; 127.0.0.1); 0.0.0.0 for all interfaces
  --tls-cert FILE   a certificate in PEM, for https: and wss:
  --tls-key FILE    its key
  --origin ORIGIN   let pages of this origin connect too; may be given more than once
  --redis URL       share the rooms with all servers on this Redis (REDIS_URL),
                    such as redis://localhost:6379
  --nats URL        or on this NATS, with JetStream on (NATS_URL), such as nats://localhost:4222
  --workers N       processes behind the one port, with --redis or --nats; SIGUSR2 replaces them
                    by new ones, one after another
  --notice SECONDS  how long /ready says no before anything else when it ends (0)
  --spread SECONDS  over what time visitors are closed then (10 ms for each, 10 at most)
  --help            print this
`;

/**
 * Reads the command line, and PORT, HOST, REDIS_URL and NATS_URL from the environment; undefined when help was asked for.
 * @throws {UsageError}
 */
export function readArguments(
  args: readonly string[],
  env: Readonly<Partial<Record<'PORT' | 'HOST' | 'REDIS_URL' | 'NATS_URL', string | undefined>>>,
): Arguments | undefined {
  const values = parse(args);
  if (values.help) return undefined;

  // A variable that is set to nothing is not set.
  const port =
    values.port === undefined
      ? readPort(env.PORT || '8080', 'PORT')
      : readPort(values.port, '--port');
  const host = values.host ?? (env.HOST || '127.0.0.1');
  if (host === '') throw new UsageError('--host needs an address or a name.');

  const { 'tls-cert': certificate, 'tls-key': key, origin: origins = [] } = values;
  if ((certificate === undefined) !== (key === undefined)) {
    throw new UsageError('--tls-cert and --tls-key go together.');
  }
  for (const origin of origins) {
    if (!isOrigin(origin)) {
      throw new UsageError(
        `--origin takes an origin such as https://example.org, not "${origin}".`,
      );
    }
  }
  const engine = readEngine(values, env);
  const spreadMs = values.spread === undefined ? undefined : readMs(values.spread, '--spread');
  return {
    port,
    host,
    origins,
    workers: readWorkers(values.workers ?? '1'),
    noticeMs: readMs(values.notice ?? '0', '--notice'),
    ...(spreadMs === undefined ? {} : { spreadMs }),
    ...(engine === undefined ? {} : { engine }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
  };
}

interface Values {
  port?: string;
  host?: string;
  'tls-cert'?: string;
  'tls-key'?: string;
  origin?: string[];
  redis?: string;
  nats?: string;
  workers?: string;
  notice?: string;
  spread?: string;
  help?: boolean;
}

function parse(args: readonly string[]): Values {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        host: { type: 'string' },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        origin: { type: 'string', multiple: true },
        redis: { type: 'string' },
        nats: { type: 'string' },
        workers: { type: 'string' },
        notice: { type: 'string' },
        spread: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function readPort(given: string, from: string): number {
  const port = /^\d{1,5}$/.test(given) ? Number(given) : Number.NaN;
  if (!(port <= 65_535)) {
    throw new UsageError(`${from} takes a port from 0 to 65535, not "${given}".`);
  }
  return port;
}

const schemes = { redis: ['redis:', 'rediss:'], nats: ['nats:', 'tls:'] } as const;

/** What the command line says goes before what the environment says. */
function readEngine(
  { redis, nats }: Values,
  env: { readonly REDIS_URL?: string | undefined; readonly NATS_URL?: string | undefined },
): Arguments['engine'] {
  const isGiven = redis !== undefined || nats !== undefined;
  const urls = isGiven ? { redis, nats } : { redis: env.REDIS_URL, nats: env.NATS_URL };
  const [redisName, natsName] = isGiven ? ['--redis', '--nats'] : ['REDIS_URL', 'NATS_URL'];
  if (urls.redis && urls.nats) {
    throw new UsageError(`${redisName} and ${natsName} do not go together: choose one.`);
  }
  if (urls.redis !== undefined && (isGiven || urls.redis !== '')) {
    return { kind: 'redis', url: readEngineUrl(urls.redis, 'redis', redisName) };
  }
  if (urls.nats !== undefined && (isGiven || urls.nats !== '')) {
    return { kind: 'nats', url: readEngineUrl(urls.nats, 'nats', natsName) };
  }
  return undefined;
}

function readEngineUrl(given: string, kind: 'redis' | 'nats', from: string): string {
  const isRight =
    URL.canParse(given) &&
    schemes[kind].some((scheme) => new URL(given).protocol === scheme) &&
    new URL(given).hostname !== '';
  if (isRight) return given;
  // It may have a password in it.
  throw new UsageError(`${from} takes a URL such as ${schemes[kind][0]}//localhost.`);
}

function readWorkers(given: string): number {
  const workers = /^\d{1,3}$/.test(given) ? Number(given) : 0;
  if (workers > 0) return workers;
  throw new UsageError(`--workers takes a number from 1 to 999, not "${given}".`);
}

function readMs(given: string, from: string): number {
  const seconds = /^\d{1,4}(\.\d{1,3})?$/.test(given) ? Number(given) : Number.NaN;
  if (seconds <= 3600) return seconds * 1000;
  throw new UsageError(`${from} takes seconds from 0 to 3600, not "${given}".`);
}

/** Whether a text is an origin as browsers write it: scheme, host and port, nothing behind. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text);
}
