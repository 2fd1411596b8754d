import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseResults } from '../../bench/dist/results.js';
import { bench, folder } from './bench-program.ts';
import { lineOf, results, row } from './results.ts';

test('a run tells what it does, ends with a table, and writes a file that holds each measurement', async (t) => {
  const path = join(await folder(t), 'new', 'results.json');
  const rows = [
    'echo/20-B',
    'fan-out/10-subscribers',
    'client/64-in-flight',
    'parse/1-KiB',
    'write/1-KiB',
  ];
  const brief = ['--rounds', '1', '--duration', '0.2', '--warm-up', '0.05'];
  const ended = await bench(...rows, '--only', 'aperto,ws', ...brief, '--output', path);
  assert.equal(ended.code, 0, ended.errors);
  assert.match(ended.errors, /\[1\/9\] parse\/1-KiB, round 1 of 1, aperto: [\d,]+\/s/);

  const written = parseResults(await readFile(path, 'utf8'));
  assert.deepEqual(
    written.rows.map(({ id, rivals }) => [id, ...rivals.map(({ name }) => name)].join(' ')),
    [
      'parse/1-KiB aperto ws',
      'write/1-KiB aperto ws',
      'echo/20-B aperto ws',
      'fan-out/10-subscribers aperto',
      'client/64-in-flight aperto ws',
    ],
  );
  assert.deepEqual(Object.keys(written.versions), ['aperto', 'ws']);
  assert.equal(written.machine.node, process.version);
  for (const { id, title, rivals } of written.rows) {
    for (const { name, measurements, medians } of rivals) {
      const [measurement, ...more] = measurements;
      assert.ok(measurement !== undefined && more.length === 0);
      assert.equal(measurement.problem, undefined, `${id} ${name}`);
      assert.equal(measurement.wrong + measurement.failed, 0, `${id} ${name}`);
      assert.deepEqual(medians, measurement.figures);
      assert.ok((medians.messagesPerSecond ?? 0) > 0, `${id} ${name}`);
    }
    assert.ok(lineOf(ended.out, title, 'aperto') !== undefined, ended.out);
  }
});

test('streams of one connection of HTTP/2 are measured, with and without TLS', async (t) => {
  const path = join(await folder(t), 'results.json');
  const rows = ['http2/tls-8-in-flight', 'http2/cleartext-idle'];
  const brief = ['--rounds', '1', '--duration', '1', '--warm-up', '0'];
  const ended = await bench(...rows, '--only', 'aperto:h2', ...brief, '--output', path);
  // It ends with 1 where they came over more connections than one.
  assert.equal(ended.code, 0, ended.errors + ended.out);
  const written = parseResults(await readFile(path, 'utf8'));
  const [loaded, idle] = written.rows.map(({ rivals }) => rivals[0]?.medians);
  assert.ok((loaded?.messagesPerSecond ?? 0) > 0);
  assert.ok((idle?.bytesPerConnection ?? 0) > 0);
  assert.equal(written.rows[0]?.yardstick, 'aperto:http/1.1');
});

test('two files are compared', async (t) => {
  const at = await folder(t);
  const [first, second] = [join(at, 'first.json'), join(at, 'second.json')];
  await writeFile(first, JSON.stringify(results([row('echo/a', { aperto: [100, 110] })])));
  await writeFile(second, JSON.stringify(results([row('echo/a', { aperto: [200, 210] })])));
  const { code, out } = await bench('compare', first, second);
  assert.equal(code, 0);
  assert.equal(lineOf(out, 'echo/a, messagesPerCpuSecond')?.at(-1), 'better');
});

test('misuse is told in a line, with exit code 2', async (t) => {
  const wrong = join(await folder(t), 'wrong.json');
  await writeFile(wrong, '{}');
  for (const [args, told] of [
    [['nothing'], /^bench: there is no benchmark "nothing": --list tells them\n$/],
    [['compare', wrong, wrong], /^bench: .*wrong\.json: not a file that this benchmark wrote\n$/],
    [['compare', `${wrong}.not`, wrong], /^bench: .*ENOENT.*\n$/],
  ] as const) {
    const { code, out, errors } = await bench(...args);
    assert.equal(code, 2, errors);
    assert.match(errors, told);
    assert.equal(out, '');
  }
});

test('the list has a line for each row', async () => {
  const { code, out } = await bench('--list');
  assert.equal(code, 0);
  assert.ok(lineOf(out, 'echo/20-B')?.at(-1)?.startsWith('aperto, ws'));
});
