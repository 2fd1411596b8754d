import { X509Certificate } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { ConnectOptions } from '../index.ts';
import { compressionOption, compressionOptionTypes } from './compression-options.ts';
import { seconds, wholeNumber } from './option-values.ts';
import { certificateAndKey, readFile } from './server-options.ts';
import { UsageError, usage } from './usage.ts';

/** The options that all client commands share. */
export const clientOptionTypes = {
  protocol: { type: 'string', multiple: true },
  header: { type: 'string', multiple: true },
  origin: { type: 'string' },
  binary: { type: 'boolean' },
  json: { type: 'boolean' },
  http2: { type: 'boolean' },
  redirects: { type: 'string' },
  proxy: { type: 'string' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  'no-check': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

const optionTypes = {
  ...compressionOptionTypes,
  ...clientOptionTypes,
  execute: { type: 'string', multiple: true },
  wait: { type: 'string' },
} as const;

/** What a client command connects with, as far as options tell. */
export type ClientConnectOptions = Pick<
  ConnectOptions,
  'protocols' | 'headers' | 'tls' | 'compression' | 'http2' | 'maxRedirects' | 'proxy' | 'proxyTls'
>;

export interface ConnectCommandOptions {
  readonly url: string;
  readonly connect: ClientConnectOptions;
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
  return {
    url: theUrl('connect', positionals),
    connect: clientConnectOptions(values),
    binary: values.binary === true,
    json: values.json === true,
    execute: values.execute,
    waitMs: seconds('--wait', values.wait ?? '1') * 1000,
  };
}

/** @throws {UsageError} where there is not one URL. */
export function theUrl(command: string, positionals: readonly string[]): string {
  const [url, ...more] = positionals;
  if (url === undefined)
    throw new UsageError(`aperto ${command} needs a URL, such as ws://127.0.0.1:9001`);
  if (more.length > 0)
    throw new UsageError(`one URL is enough; ${JSON.stringify(more[0])} is one too many`);
  return url;
}

/**
 * Subprotocols, headers, TLS and the way to the server as they were given.
 * @throws {UsageError}
 */
export function clientConnectOptions(values: {
  readonly protocol?: readonly string[] | undefined;
  readonly header?: readonly string[] | undefined;
  readonly origin?: string | undefined;
  readonly http2?: boolean | undefined;
  readonly redirects?: string | undefined;
  readonly proxy?: string | undefined;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly 'no-check'?: boolean | undefined;
  readonly deflate?: boolean | undefined;
  readonly takeover?: boolean | undefined;
  readonly threshold?: string | undefined;
}): ClientConnectOptions {
  const headers: Record<string, string> = {};
  for (const header of values.header ?? []) {
    const colon = header.indexOf(':');
    if (colon < 1)
      throw new UsageError(`--header takes 'Name: value', not ${JSON.stringify(header)}`);
    headers[header.slice(0, colon).trim()] = header.slice(colon + 1).trim();
  }
  if (values.origin !== undefined) headers['Origin'] = values.origin;
  const trusted = {
    ...(values.ca === undefined ? {} : { ca: certificate(values.ca) }),
    ...(values['no-check'] === true ? { rejectUnauthorized: false } : {}),
  };
  return {
    protocols: values.protocol ?? [],
    headers,
    compression: compressionOption(values),
    ...(values.http2 === true ? { http2: true } : {}),
    maxRedirects: wholeNumber('--redirects', values.redirects ?? '0', 0),
    ...(values.proxy === undefined ? {} : { proxy: values.proxy }),
    proxyTls: trusted,
    tls: { ...trusted, ...certificateAndKey(['--cert', '--key'], values.cert, values.key) },
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
