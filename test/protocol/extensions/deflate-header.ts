import assert from 'node:assert/strict';
import {
  type Extension,
  parseExtensions,
} from '../../../dist/protocol/extensions/extension-header.js';
import {
  type CompressionOptions,
  type DeflateAgreement,
  type ResolvedCompression,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';

export const SERVER_NO = 'server_no_context_takeover';
export const CLIENT_NO = 'client_no_context_takeover';
export const BOTH_NO = `${SERVER_NO}; ${CLIENT_NO}`;
export const SERVER_BITS = 'server_max_window_bits';
export const CLIENT_BITS = 'client_max_window_bits';

export function resolve(given: CompressionOptions): ResolvedCompression {
  const options = resolveCompression(given);
  assert.ok(options);
  return options;
}

/** The header's value read, as both sides do before they negotiate. */
export function parse(value: string): readonly Extension[] {
  const extensions = parseExtensions(value === '' ? [] : [value]);
  assert.ok(extensions, `${value} is malformed`);
  return extensions;
}

/** An offer or a response of permessage-deflate with these parameters. */
export function deflate(...parameters: readonly string[]): string {
  return ['permessage-deflate', ...parameters].join('; ');
}

export function agreement(
  deflateTakeover: boolean,
  deflateWindowBits: number,
  inflateTakeover: boolean,
  inflateWindowBits: number,
): DeflateAgreement {
  return { deflateTakeover, deflateWindowBits, inflateTakeover, inflateWindowBits };
}
