import { createDeflateRaw, createInflateRaw } from 'node:zlib';
import type { Compression } from '../../protocol/extensions/compression.ts';
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
