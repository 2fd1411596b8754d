import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// This file runs from build/.
export const root: string = fileURLToPath(new URL('..', import.meta.url));

export function read(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** The TypeScript on a page, block by block. */
export function codeOf(page: string): string[] {
  return [...read(page).matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** Compiles files as an application would that installed the package: the name leads to the built one. */
export async function compile(
  folder: string,
  files: Readonly<Record<string, string>>,
): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [name, code] of Object.entries(files)) await writeFile(join(folder, name), code);
  const options = {
    target: 'es2023',
    module: 'nodenext',
    lib: ['es2023', 'esnext.disposable'],
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
  };
  // The declarations of NATS's client do not stand these options themselves.
  const isNats = (name: string): boolean => files[name]?.includes("from '@nats-io/") ?? false;
  const names = Object.keys(files).filter((name) => name.endsWith('.ts'));
  const projects = [
    { compilerOptions: options, files: names.filter((name) => !isNats(name)) },
    { compilerOptions: { ...options, skipLibCheck: true }, files: names.filter(isNats) },
  ];
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const project = join(folder, 'tsconfig.json');
  for (const content of projects.filter(({ files: some }) => some.length > 0)) {
    await writeFile(project, JSON.stringify(content));
    try {
      await promisify(execFile)(process.execPath, [compiler, '-p', project]);
    } catch (error) {
      assert.fail(String(error instanceof Error && 'stdout' in error ? error.stdout : error));
    }
  }
}
