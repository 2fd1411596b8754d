import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { redisServer } from '../brokers/engines/redis-engine.ts';
import { skipWithout } from '../installed-program.ts';
import { knownFaults } from './plan.ts';
import type { Check } from './samples.ts';
import { runShort } from './short-run.ts';
import { judge } from './verdict.ts';

suite('a soak that looks for trouble', { skip: skipWithout('redis-server', redisServer) }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aperto-soak-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('finds everything that is wrong with a server that is not', async () => {
    // What memory grows by shows in a longer run only.
    const faults = knownFaults.filter((name) => name !== 'leak-memory');
    const output = join(folder, 'bad.jsonl');
    const { code, text, run } = await runShort(output, '--fault', faults.join(','));
    const { good, checks } = judge(run);
    const bad = (name: string): string => detailOfBad(checks, name, text);
    assert.equal(good, false);
    assert.equal(code, 1);
    assert.match(text, /^Verdict: BAD$/m);
    bad('no message is lost without a word');
    const { wrong } = run.samples.at(-1)?.load ?? {};
    assert.ok((wrong?.['local: missing'] ?? 0) > 0, text);
    assert.ok((wrong?.['far: missing'] ?? 0) > 0, text);
    assert.match(bad('no message comes twice or too late'), /local: repeated/);
    assert.match(bad('clients see nothing unexpected'), /ended with 1011/);
    assert.match(bad('the server sees nothing unexpected'), /member HANDLER_FAILED/);
    bad('half-open peers are found in time');
    assert.match(bad('handles are back to where they were'), /descriptors/);
  });
});

function detailOfBad(checks: readonly Check[], name: string, otherwise: string): string {
  const check = checks.find((one) => one.name === name);
  assert.equal(check?.good, false, `${name}: ${otherwise}`);
  return check.detail;
}
