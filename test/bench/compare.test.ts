import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareResults } from '../../bench/dist/compare.js';
import { parseResults } from '../../bench/dist/results.js';
import { lineOf, results, row } from './results.ts';

const label = 'echo/a, messagesPerCpuSecond';

function change(first: readonly number[], second: readonly number[]): string | undefined {
  const text = compareResults(
    results([row('echo/a', { aperto: first })]),
    results([row('echo/a', { aperto: second })]),
  );
  return lineOf(text, label, 'aperto')?.at(-1);
}

test('medians are compared, row by row and library by library', () => {
  const text = compareResults(
    results([row('echo/a', { aperto: [90, 100, 110], ws: [50, 50, 50] })]),
    results([row('echo/a', { aperto: [140, 150, 160], ws: [40, 50, 60] })]),
  );
  assert.deepEqual(lineOf(text, label), [label, 'aperto', '100', '150', '1.50x', 'better']);
  assert.deepEqual(lineOf(text, '', 'ws'), ['', 'ws', '50.0', '50.0', '1.00x', '']);
});

test('a change is named only outside of the spread of the rounds', () => {
  assert.equal(change([90, 100, 110], [111, 112, 113]), 'better');
  assert.equal(change([90, 100, 110], [110, 150, 190]), '');
  assert.equal(change([90, 100, 110], [70, 80, 89]), 'worse');
  assert.equal(change([100], [200, 200]), 'one round: spread unknown');
  assert.equal(change([90, 100], []), 'not measured');
});

test('of memory less is better', () => {
  const [before, after] = [
    [1000, 1100],
    [500, 600],
  ].map((values) => results([row('idle/a', { aperto: values }, 'bytesPerConnection')]));
  assert.ok(before !== undefined && after !== undefined);
  const better = compareResults(before, after);
  assert.equal(lineOf(better, 'idle/a, bytesPerConnection')?.at(-1), 'better');
  const worse = compareResults(after, before);
  assert.equal(lineOf(worse, 'idle/a, bytesPerConnection')?.at(-1), 'worse');
});

test('what went wrong in the second file is told beside a gain', () => {
  const second = row('echo/a', { aperto: [200, 210] });
  const [aperto] = second.rivals;
  assert.ok(aperto !== undefined);
  const measurements = aperto.measurements.map((one) => ({ ...one, wrong: 1 }));
  const text = compareResults(
    results([row('echo/a', { aperto: [100, 110] })]),
    results([{ ...second, rivals: [{ ...aperto, measurements }] }]),
  );
  assert.equal(lineOf(text, label)?.at(-1), 'better; 2 messages wrong');
});

test('rows and libraries of one file only are told, not left out', () => {
  const text = compareResults(
    results([row('echo/a', { aperto: [1, 2], ws: [1, 2] }), row('echo/old', { aperto: [1] })]),
    results([row('echo/a', { aperto: [1, 2], bun: [1, 2] }), row('echo/new', { aperto: [1] })]),
  );
  assert.deepEqual(lineOf(text, '', 'bun')?.slice(2), ['-', '1.50', '-', 'only in one file']);
  assert.deepEqual(lineOf(text, '', 'ws')?.slice(2), ['1.50', '-', '-', 'only in one file']);
  assert.match(text, /echo\/old: only in the first file/);
  assert.match(text, /echo\/new: only in the second file/);
});

test('figures of another kind are not compared', () => {
  const text = compareResults(
    results([row('echo/a', { aperto: [1, 2] })]),
    results([row('echo/a', { aperto: [1, 2] }, 'messagesPerSecond')]),
  );
  assert.match(text, /echo\/a: messagesPerCpuSecond cannot be compared with messagesPerSecond/);
  assert.match(text, /No row is in both files/);
});

test('another machine, other settings and other versions are named first', () => {
  const first = results([row('echo/a', { aperto: [1, 2] })]);
  const second = {
    ...first,
    machine: { ...first.machine, node: 'v26.0.0' },
    settings: { ...first.settings, rounds: 5 },
    versions: { ...first.versions, bun: '1.4.5' },
  };
  const text = compareResults(first, second);
  assert.match(text, /- node: v20\.19\.0, then v26\.0\.0/);
  assert.match(text, /- rounds: 3, then 5/);
  assert.match(text, /- bun: none, then 1\.4\.5/);
  assert.doesNotMatch(compareResults(first, first), /differ/);
});

test('a file that is something else is refused', () => {
  const written = JSON.stringify(results([row('echo/a', { aperto: [1, 2] })]));
  assert.equal(parseResults(written).rows.length, 1);
  for (const text of ['null', '[]', '{}', '{"format":2,"machine":{},"rows":[]}', '"format"']) {
    assert.throws(() => parseResults(text), /not a file that this benchmark wrote/, text);
  }
  assert.throws(() => parseResults('not JSON'), SyntaxError);
});
