/** Runs the cases in a process of its own, where exceptions that nobody handles are not the test's. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { SocketClass } from './conformance-case.ts';
import { type Observations, observe, type Selection } from './websocket-cases.ts';

/** Ours, or the one that this Node has. */
export type Which = 'ours' | 'global';

const self = fileURLToPath(import.meta.url);

/** @param url of the server, as `ws://127.0.0.1:8080`. */
export async function observeInNode(
  which: Which,
  url: string,
  selection: Selection = {},
): Promise<Observations> {
  const child = spawn(process.execPath, [self, which, url, JSON.stringify(selection)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  const [output, [code, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  assert.equal(code, 0, `it ended with ${code ?? signal}: ${output}`);
  return JSON.parse(output) as Observations;
}

async function implementation(which: string | undefined): Promise<SocketClass> {
  const from: object = which === 'ours' ? await import('../../dist/index.js') : globalThis;
  // The cases call it with what its types forbid.
  return Reflect.get(from, 'WebSocket') as SocketClass;
}

async function main([which, url = '', selection = '{}']: readonly string[]): Promise<void> {
  const unhandled: string[] = [];
  process.on('uncaughtException', (error) => unhandled.push(error.message));
  // It warns of a listener that is null, which is a case.
  process.removeAllListeners('warning');
  const WebSocket = await implementation(which);
  const wanted = JSON.parse(selection) as Selection;
  const observations = await observe({ WebSocket, url, unhandled }, wanted);
  // What an implementation has left open does not keep the process.
  process.stdout.write(JSON.stringify(observations), () => process.exit(0));
}

if (process.argv[1] === self) await main(process.argv.slice(2));
