import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import type { Limits, Route, ServeOptions } from '../index.ts';
import { compressionOption, compressionOptionTypes } from './compression-options.ts';
import { wholeNumber } from './option-values.ts';
import { UsageError, usage } from './usage.ts';

const optionTypes = {
  ...compressionOptionTypes,
  port: { type: 'string' },
  host: { type: 'string' },
  'max-message': { type: 'string' },
  'max-fragments': { type: 'string' },
  'max-streams': { type: 'string' },
  protocol: { type: 'string', multiple: true },
  origin: { type: 'string', multiple: true },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  h2c: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** Where a server command listens and whom it lets in; its route lacks only the handlers. */
export interface ServerCommandOptions {
  readonly listen: Omit<ServeOptions<undefined>, 'routes'>;
  readonly route: Pick<Route<undefined>, 'protocols' | 'origins'>;
}

/**
 * Reads the options that all server commands share; undefined where help was asked for and given.
 * @throws {UsageError}
 */
export function serverOptions(
  command: 'echo' | 'broadcast',
  args: readonly string[],
): ServerCommandOptions | undefined {
  const { values } = parseArgs({ args: [...args], options: optionTypes });
  if (values.help === true) {
    console.log(usage[command]);
    return undefined;
  }
  const limits: { -readonly [Name in keyof Limits]?: Limits[Name] } = {};
  const maxMessage = values['max-message'];
  const maxFragments = values['max-fragments'];
  if (maxMessage !== undefined)
    limits.maxMessageBytes = wholeNumber('--max-message', maxMessage, 1);
  if (maxFragments !== undefined)
    limits.maxFragments = wholeNumber('--max-fragments', maxFragments, 1);
  const maxStreams = values['max-streams'];
  if (maxStreams !== undefined) {
    if (
      values.h2c !== true &&
      values['tls-cert'] === undefined &&
      values['tls-key'] === undefined
    ) {
      throw new UsageError('--max-streams is of HTTP/2: it goes with --h2c or --tls-cert');
    }
    limits.maxStreams = wholeNumber('--max-streams', maxStreams, 1);
  }
  const port = wholeNumber('--port', values.port ?? '9001', 0);
  if (port > 65_535) throw new UsageError(`--port is 0 to 65535, not ${port}`);
  if (values.h2c === true && values['tls-cert'] !== undefined) {
    throw new UsageError('--h2c is without TLS, which offers HTTP/2 by itself');
  }
  const names = ['--tls-cert', '--tls-key'] as const;
  const tls = certificateAndKey(names, values['tls-cert'], values['tls-key']);
  return {
    listen: {
      port,
      host: values.host ?? '127.0.0.1',
      limits,
      compression: compressionOption(values),
      ...(tls === undefined ? {} : { tls }),
      ...(values.h2c === true ? { http2: true } : {}),
    },
    route: { protocols: values.protocol ?? [], origins: origins(values.origin) },
  };
}

/** @throws {UsageError} where the file cannot be read. */
export function readFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${option}: ${why}`);
  }
}

/**
 * A certificate and its key; undefined where neither is given.
 * @param options their names.
 * @throws {UsageError}
 */
export function certificateAndKey(
  options: readonly [cert: string, key: string],
  cert: string | undefined,
  key: string | undefined,
): { readonly cert: Buffer; readonly key: Buffer } | undefined {
  if (cert === undefined && key === undefined) return undefined;
  const both = options.join(' and ');
  if (cert === undefined || key === undefined) {
    throw new UsageError(`${both} go together: one was given without the other`);
  }
  const files = { cert: readFile(options[0], cert), key: readFile(options[1], key) };
  try {
    createSecureContext(files);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `${both} take a certificate and its key, as PEM without a passphrase: ${why}`,
    );
  }
  return files;
}

/**
 * The same origin, and the one in the RFC's example handshake (RFC 6455 1.2), so that a server for testing
 * answers it as it is printed. Nobody can own that origin (RFC 2606 3).
 */
const defaultOrigins: readonly string[] = ['same-origin', 'http://example.com'];

function origins(given: readonly string[] | undefined): '*' | readonly string[] {
  if (given === undefined) return defaultOrigins;
  return given.includes('*') ? '*' : given;
}
