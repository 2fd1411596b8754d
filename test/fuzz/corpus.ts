import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readSeed } from './seed-file.ts';

/** Beside the sources: this file runs from build/. */
const folder = fileURLToPath(new URL('../../test/fuzz/corpus/', import.meta.url));

export interface Seed {
  readonly name: string;
  readonly input: Uint8Array;
}

/** The inputs that the repository has for a target. */
export function corpusOf(target: string): Seed[] {
  const path = `${folder}${target}`;
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .sort()
    .map((name) => ({ name, input: readSeed(readFileSync(`${path}/${name}`, 'utf8')) }));
}
