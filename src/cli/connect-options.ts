import { X509Certificate } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ConnectOptions } from '../index.ts';
import { readFile } from './server-options.ts';
import { UsageError, usage } from './usage.ts';

const optionTypes = {
  protocol: { type: 'string', multiple: true },
  header: { type: 'string', multiple: true },
  origin: { type: 'string' },
  binary: { type: 'boolean' },
  json: { type: 'boolean' },
  execute: { type: 'string', multiple: true },
  wait: { type: 'string' },
  ca: { type: 'string' },
  'no-check': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

export interface ConnectCommandOptions {
  readonly url: string;
  readonly connect: Pick<ConnectOptions, 'protocols' | 'headers' | 'tls'>;
  readonly binary: boolean;
  readonly json: boolean;
  /** What to send in place of the input. */
  readonly execute: readonly string[] | undefined;
  readonly waitMs: number;
}

/**
 * Reads the options of `aperto connect`; undefined where help was asked for and given.
 * @throws {UsageError}
 */
export function connectOptions(args: readonly string[]): ConnectCommandOptions | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: optionTypes,
    allowPositionals: true,
  });
  if (values.help === true) {
    console.log(usage.connect);
    return undefined;
  }
  const [url, ...more] = positionals;
  if (url === undefined)
    throw new UsageError('aperto connect needs a URL, such as ws://127.0.0.1:9001');
  if (more.length > 0)
    throw new UsageError(`one URL is enough; ${JSON.stringify(more[0])} is one too many`);
  const headers: Record<string, string> = {};
  for (const header of values.header ?? []) {
    const colon = header.indexOf(':');
    if (colon < 1)
      throw new UsageError(`--header takes 'Name: value', not ${JSON.stringify(header)}`);
    headers[header.slice(0, colon).trim()] = header.slice(colon + 1).trim();
  }
  if (values.origin !== undefined) headers['Origin'] = values.origin;
  return {
    url,
    connect: {
      protocols: values.protocol ?? [],
      headers,
      tls: {
        ...(values.ca === undefined ? {} : { ca: certificate(values.ca) }),
        ...(values['no-check'] === true ? { rejectUnauthorized: false } : {}),
      },
    },
    binary: values.binary === true,
    json: values.json === true,
    execute: values.execute,
    waitMs: seconds(values.wait ?? '1') * 1000,
  };
}

/** node:tls would pass over a file that is no certificate, and trust nobody more. */
function certificate(path: string): Buffer {
  const file = readFile('--ca', path);
  try {
    if (file.includes('-----BEGIN ') && new X509Certificate(file).raw.length > 0) return file;
  } catch {
    // Told below.
  }
  throw new UsageError(`--ca takes a certificate, PEM; ${path} is none`);
}

function seconds(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 1_000_000) return value;
  throw new UsageError(`--wait takes seconds, such as 2 or 0.5, not ${JSON.stringify(text)}`);
}
