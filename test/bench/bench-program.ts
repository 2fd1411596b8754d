import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../bench/dist/main.js', import.meta.url));

export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly errors: string;
}

/** Runs the benchmark to its end. */
export function bench(...args: readonly string[]): Promise<Ended> {
  return benchIn(process.env, ...args);
}

export function benchIn(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [main, ...args], { env }, (_error, out, errors) => {
      resolve({ code: child.exitCode ?? -1, out, errors });
    });
  });
}

/** A folder that goes with the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'aperto-bench-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}
