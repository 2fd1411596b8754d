import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseResults } from '../../bench/dist/results.js';
import { findProgram, skipWithout } from '../installed-program.ts';
import { bench, benchIn, folder } from './bench-program.ts';
import { lineOf } from './results.ts';

for (const [program, variable, rivals] of [
  [
    'redis-server',
    'APERTO_REDIS_SERVER',
    ['aperto', 'aperto+redis', 'socket.io+redis', 'socket.io+redis-sharded'],
  ],
  ['nats-server', 'APERTO_NATS_SERVER', ['aperto+nats']],
] as const) {
  const skip = skipWithout(program, findProgram(program, variable));
  test(`three servers that share their topics are measured: ${rivals.join(', ')}`, {
    skip,
  }, async (t) => {
    const path = join(await folder(t), 'results.json');
    const brief = ['--rounds', '1', '--duration', '0.5', '--warm-up', '0.02', '--output', path];
    const ended = await bench('scale-out/10-subscribers', '--only', rivals.join(','), ...brief);
    // It ends with 1 where a message was lost, came twice or out of order.
    assert.equal(ended.code, 0, ended.errors + ended.out);
    const [row] = parseResults(await readFile(path, 'utf8')).rows;
    assert.deepEqual(
      row?.rivals.map(({ name }) => name),
      rivals,
    );
    for (const { name, medians, measurements } of row?.rivals ?? []) {
      assert.equal(measurements[0]?.wrong, 0, name);
      assert.ok((medians.messagesPerSecond ?? 0) > 0, name);
      assert.ok((medians.p50Ms ?? 0) > 0 && (medians.p50Ms ?? 0) <= (medians.p99Ms ?? 0), name);
      // Its servers are one process, which needs no engine.
      if (name === 'aperto') assert.equal(medians.engineMicroseconds, undefined);
    }
  });
}

test('an engine that does not start is told in the row of who needs it', async (t) => {
  const path = join(await folder(t), 'results.json');
  const env = { ...process.env, APERTO_REDIS_SERVER: join(await folder(t), 'no-redis') };
  const brief = ['--rounds', '1', '--duration', '0.05', '--warm-up', '0', '--output', path];
  const rivals = ['--only', 'aperto,aperto+redis'];
  const ended = await benchIn(env, 'scale-out/10-subscribers', ...rivals, ...brief);
  assert.equal(ended.code, 1, ended.errors);
  assert.match(lineOf(ended.out, '', 'aperto+redis')?.at(-1) ?? '', /^redis-server .*no-redis/);
});

test('publishing is measured, with a broker and without', async (t) => {
  const path = join(await folder(t), 'results.json');
  const brief = ['--rounds', '1', '--duration', '0.1', '--warm-up', '0', '--output', path];
  const ended = await bench('publish', ...brief);
  assert.equal(ended.code, 0, ended.errors);
  const { rows } = parseResults(await readFile(path, 'utf8'));
  assert.equal(rows.length, 3);
  for (const { id, rivals } of rows) {
    assert.deepEqual(
      rivals.map(({ name }) => name),
      ['aperto', 'aperto:broker'],
    );
    for (const { measurements, medians } of rivals) {
      assert.equal(measurements[0]?.wrong, 0, id);
      assert.ok((medians.messagesPerSecond ?? 0) > 0, id);
    }
  }
});
