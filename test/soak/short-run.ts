import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseRun, type Run } from './samples.ts';

const main = fileURLToPath(new URL('./main.js', import.meta.url));

/** A soak with few clients, who lose patience early. */
export function startShort(...args: readonly string[]): ChildProcess {
  const few = ['--connections', '60', '--ping-after', '1s', '--ping-timeout', '4s'];
  return spawn(process.execPath, [main, ...few, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
}

/** One that is just long enough for everything to happen once. */
export async function runShort(
  output: string,
  ...args: readonly string[]
): Promise<{ readonly code: unknown; readonly text: string; readonly run: Run }> {
  const child = startShort('--duration', '16s', '--output', output, ...args);
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  child.stderr?.resume();
  const [code] = await once(child, 'close');
  return { code, text, run: parseRun(await readFile(output, 'utf8')) };
}
