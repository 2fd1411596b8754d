import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Measurement, rivalResult } from '../../bench/dist/results.js';
import {
  describeFigures,
  describeResults,
  markdownTable,
  ratio,
  round,
  wentWrong,
} from '../../bench/dist/table.js';
import { lineOf, results, rounds, row } from './results.ts';

test('a table is Markdown, with numbers to the right', () => {
  const table = markdownTable([
    ['name', 'a number', 'of'],
    ['one', '1', '1.00x'],
    ['a longer name', '1,234,567', '-'],
  ]);
  assert.deepEqual(table.split('\n'), [
    '| name          |  a number |    of |',
    '| ------------- | --------: | ----: |',
    '| one           |         1 | 1.00x |',
    '| a longer name | 1,234,567 |     - |',
  ]);
});

test('numbers have three digits that matter', () => {
  const texts = [0, 0.01234, 1, 9.876, 98.76, 987.6, 1234.5, 1_234_567.8, undefined].map(round);
  const expected = ['0', '0.012', '1.00', '9.88', '98.8', '988', '1,235', '1,234,568', '-'];
  assert.deepEqual(texts, expected);
  assert.equal(ratio(3, 2), '1.50x');
  assert.equal(ratio(3, 0), '-');
  assert.equal(ratio(undefined, 2), '-');
});

test('each library has its median and its ratio to that of ws', () => {
  const text = describeResults(
    results([row('echo/small', { aperto: [300, 900, 310], ws: [100, 300, 155] })]),
  );
  const head = ['', 'library', 'per CPU second', 'against ws'];
  assert.deepEqual(lineOf(text, '', 'library'), head);
  assert.deepEqual(lineOf(text, 'title of echo/small', 'aperto'), [
    'title of echo/small',
    'aperto',
    '310',
    '2.00x',
  ]);
  assert.deepEqual(lineOf(text, '', 'ws'), ['', 'ws', '155', '1.00x']);
});

test('without ws there is nothing to be told against it', () => {
  const text = describeResults(results([row('echo/small', { aperto: [300] })]));
  assert.deepEqual(lineOf(text, '', 'library'), ['', 'library', 'per CPU second']);
});

test('a benchmark may have something else to compare with', () => {
  const yardstick = 'aperto:http/1.1';
  const other = row('http2/a', { 'aperto:http/1.1': [100], 'aperto:h2': [150], ws: [50] });
  const text = describeResults(results([row('echo/a', { ws: [10] }), { ...other, yardstick }]));
  assert.equal(lineOf(text, '', 'library')?.at(-1), 'against ws');
  const later = text.slice(text.indexOf('### http2'));
  assert.equal(lineOf(later, '', 'library')?.at(-1), 'against aperto:http/1.1');
  assert.equal(lineOf(later, '', 'aperto:h2')?.at(-1), '1.50x');
  assert.equal(lineOf(later, '', 'ws')?.at(-1), '0.50x');
});

test('what went wrong stands in the table, be it once in many rounds', () => {
  const bad: Measurement[] = [
    { round: 1, figures: { messagesPerCpuSecond: 5 }, wrong: 2, failed: 0 },
    { round: 2, figures: { messagesPerCpuSecond: 5 }, wrong: 0, failed: 7 },
    { round: 3, figures: {}, wrong: 0, failed: 0, problem: 'ended with code 1: a | b' },
  ];
  const of = { ...row('echo/small', { ws: [5, 5, 5] }) };
  const text = describeResults(
    results([{ ...of, rivals: [rivalResult('aperto', bad), ...of.rivals] }]),
  );
  assert.deepEqual(lineOf(text, '', 'library')?.at(-1), 'went wrong');
  assert.equal(
    lineOf(text, 'title of echo/small', 'aperto')?.at(-1),
    '2 messages wrong; 7 connections lost; ended with code 1: a \\| b (1 of 3 rounds)',
  );
  assert.equal(lineOf(text, '', 'ws')?.at(-1), '-');
  assert.equal(wentWrong(rounds('p99Ms', [1, 2])), '');
});

test('a library that could not be measured at all has a line that says why', () => {
  const problem = 'the server ended with SIGSEGV';
  const failed: Measurement = { round: 1, figures: {}, wrong: 0, failed: 0, problem };
  const of = row('echo/small', { ws: [5] });
  const text = describeResults(
    results([{ ...of, rivals: [rivalResult('aperto', [failed]), ...of.rivals] }]),
  );
  assert.deepEqual(lineOf(text, 'title of echo/small', 'aperto')?.slice(2), ['-', '-', problem]);
  assert.equal(describeFigures(failed), problem);
});

test('the cost of a message is set beside that in the row that it grows from', () => {
  const small = row('echo/small', { aperto: [1000], ws: [500] });
  const large = { ...row('echo/large', { aperto: [800] }), growsFrom: 'echo/small' };
  const text = describeResults(results([small, large]));
  const growth = text.slice(text.indexOf('### growth'));
  assert.deepEqual(lineOf(growth, 'title of echo/large', 'aperto'), [
    'title of echo/large',
    'aperto',
    '1,250',
    '1,000',
    '1.25x',
  ]);
  assert.ok(!describeResults(results([large])).includes('growth'));
});

test('the machine, the versions and who is missing are told', () => {
  const of = results([row('echo/small', { aperto: [1] })]);
  const text = describeResults({
    ...of,
    machine: { ...of.machine, pinned: false, cpuTimes: false },
    missing: { bun: 'not installed on this platform' },
  });
  for (const part of [
    'Abacus, 2 cores, 1 GiB, Linux 0 x64, Node v20.19.0',
    'aperto 0.1.0, ws 8.0.0',
    'bun: not installed on this platform',
    'not pinned',
    'no CPU times',
  ]) {
    assert.ok(text.includes(part), part);
  }
});
