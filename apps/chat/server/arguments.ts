import { parseArgs } from 'node:util';

export interface Arguments {
  readonly port: number;
  readonly host: string;
  readonly certificate?: string;
  readonly key?: string;
  readonly origins: readonly string[];
}

/** What was asked for cannot be done; the message says why, in a sentence. */
export class UsageError extends Error {}

export const usage = `Usage: npm start -- [options]

  --port N          the port to listen on, 0 for any that is free (PORT; 8080)
  --host HOST       the address to listen on (HOST; 127.0.0.1); 0.0.0.0 for all interfaces
  --tls-cert FILE   a certificate in PEM, for https: and wss:
  --tls-key FILE    its key
  --origin ORIGIN   let pages of this origin connect too; may be given more than once
  --help            print this
`;

/**
 * Reads the command line, and PORT and HOST from the environment; undefined when help was asked for.
 * @throws {UsageError}
 */
export function readArguments(
  args: readonly string[],
  env: { readonly PORT?: string | undefined; readonly HOST?: string | undefined },
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
  return {
    port,
    host,
    origins,
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

/** Whether a text is an origin as browsers write it: scheme, host and port, nothing behind. */
function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text && /^https?:/.test(text);
}
