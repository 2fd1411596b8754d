import { createDeflateRaw, createInflateRaw } from 'node:zlib';
import type { CompressionSettings } from '../../protocol/extensions/agreed-compression.ts';
import type { Compression } from '../../protocol/extensions/compression.ts';
import type { CompressionCounters } from '../../protocol/extensions/compression-counters.ts';
import type {
  DeflateAgreement,
  ResolvedCompression,
} from '../../protocol/extensions/permessage-deflate.ts';
import { keptCompression } from './kept-compression.ts';
import { keptContextsWork, type ZlibStreams } from './kept-context-trial.ts';
import { publicCompression } from './public-compression.ts';

/** The fastest that works on this runtime. */
export function chooseCompression(zlib: ZlibStreams): Compression {
  return keptContextsWork(zlib) ? keptCompression : publicCompression;
}

let choice: Compression | undefined;

/** Chosen when something is first asked for: it takes a millisecond, and most never need it. */
function chosen(): Compression {
  choice ??= chooseCompression({ createDeflateRaw, createInflateRaw });
  return choice;
}

export const nodeCompression: Compression = {
  sharedDeflater: (parameters) => chosen().sharedDeflater(parameters),
  sharedInflater: () => chosen().sharedInflater(),
  ownDeflater: (parameters) => chosen().ownDeflater(parameters),
  ownInflater: (windowBits) => chosen().ownInflater(windowBits),
};

/** What a connection needs to compress by an agreement; undefined where there is none. */
export function agreedSettings(
  agreement: DeflateAgreement | undefined,
  options: ResolvedCompression | undefined,
  counters: CompressionCounters,
): CompressionSettings | undefined {
  return agreement && options && { agreement, options, port: nodeCompression, counters };
}
