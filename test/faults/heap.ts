import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');

/** Bytes that are in use once all garbage is gone: objects and buffers. */
async function used(): Promise<number> {
  // Not before it is needed: runtimes other than Node may have none.
  const collect: () => void = runInNewContext('gc');
  // Buffers whose owners were collected are freed by the next collection.
  for (let i = 0; i < 3; i++) {
    collect();
    await turn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** Takes what is in use now; the function returned checks that no more than `megabytes` have been added. */
export async function watchHeap(): Promise<(megabytes: number) => Promise<void>> {
  const before = await used();
  return async (megabytes) => {
    const growth = ((await used()) - before) / (1024 * 1024);
    assert.ok(growth < megabytes, `${growth.toFixed(1)} MiB more are in use`);
  };
}
