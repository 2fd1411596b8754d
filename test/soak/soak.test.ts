import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, suite, test } from 'node:test';
import { redisServer } from '../brokers/engines/redis-engine.ts';
import { skipWithout } from '../installed-program.ts';
import { parseRun } from './samples.ts';
import { runShort, startShort } from './short-run.ts';
import { inTime } from './slow-reader.ts';
import { judge } from './verdict.ts';

const END_MS = 30_000;

suite('a short soak', { skip: skipWithout('redis-server', redisServer) }, () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aperto-soak-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  test('finds nothing wrong with a server that is well', async () => {
    const { code, text, run: written } = await runShort(join(folder, 'good.jsonl'));
    const verdict = judge(written);
    assert.deepEqual(
      verdict.checks.filter(({ good }) => !good),
      [],
      text,
    );
    assert.equal(code, 0);
    assert.match(text, /^Verdict: good$/m);
    assert.match(text, /^\| lost without a word \| 0 \|$/m);
    assert.ok(written.samples.length >= 10);
    assert.ok(written.samples.some(({ server }) => server.peers >= 60));
    const last = JSON.parse(
      readFileSync(join(folder, 'good.jsonl'), 'utf8').trim().split('\n').at(-1) ?? '',
    );
    assert.deepEqual(last, JSON.parse(JSON.stringify(verdict)));
  });

  test('that is interrupted ends all that it has started', async () => {
    const child = startShort('--duration', '10m', '--output', join(folder, 'interrupted.jsonl'));
    const closed = once(child, 'close');
    child.stdout?.resume();
    assert.ok(child.stderr !== null && child.pid !== undefined);
    // The line after ten seconds tells that all of it is there.
    for await (const line of createInterface(child.stderr)) if (/peers, /.test(line)) break;
    child.stderr.resume();
    const started = childrenOf(child.pid);
    assert.ok(started.length >= 4, `${started.length} processes`);
    child.kill('SIGINT');
    assert.ok(await inTime(closed, END_MS), 'it does not end');
    assert.deepEqual(await closed, [1, null]);
    for (const pid of started) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
    assert.ok(!namespaces().includes(`aperto-soak-${child.pid}`));
    const { end } = parseRun(readFileSync(join(folder, 'interrupted.jsonl'), 'utf8'));
    assert.deepEqual(end?.failures, ['the run was interrupted']);
  });
});

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
}

/** '' where there can be none. */
function namespaces(): string {
  try {
    return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  } catch {
    return '';
  }
}
