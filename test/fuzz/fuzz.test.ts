import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import process from 'node:process';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { corpusOf } from './corpus.ts';
import { failureOf } from './fuzzer.ts';
import { targets } from './targets.ts';

const main = fileURLToPath(new URL('main.js', import.meta.url));
/** Of all targets together. */
const SECONDS = 30;
/** Always the same, so that a run differs from the one before only in how far it comes. */
const SEED = 8;

suite('the corpus', () => {
  for (const target of targets) {
    test(`of ${target.name}: ${target.invariant}`, async () => {
      const corpus = corpusOf(target.name);
      assert.ok(corpus.length > 5, 'a target without a corpus');
      const outcomes = new Set<string>();
      for (const { name, input } of corpus) {
        const failed = await failureOf(target, input, (outcome) => outcomes.add(outcome));
        if (failed !== undefined) assert.fail(`${name}: ${String(failed.error)}`);
      }
      assert.ok(outcomes.size > 2, 'all inputs come to the same');
    });
  }
});

test(`${SECONDS} seconds with the seed ${SEED}`, async (t) => {
  const args = [main, '--seconds', String(SECONDS), '--seed', String(SEED)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  for (const line of stdout.trim().split('\n')) t.diagnostic(line);
  for (const { name } of targets)
    assert.match(stdout, new RegExp(`^${name}: \\d+ executions`, 'm'));
});
