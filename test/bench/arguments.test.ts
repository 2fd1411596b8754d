import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, readArguments, UsageError } from '../../bench/dist/arguments.js';
import { allRows, benchmarkOf, yardstickOf } from '../../bench/dist/rows.js';

function run(...args: readonly string[]): Extract<Command, { command: 'run' }> {
  const command = readArguments(args);
  assert.ok(command.command === 'run');
  return command;
}

function ids(...args: readonly string[]): string[] {
  return run(...args).plan.rows.map(({ id }) => id);
}

test('without arguments everything is measured, by every library', () => {
  const { plan, output } = run();
  assert.deepEqual(plan.rows, allRows);
  assert.equal(plan.rivals.length, 14);
  assert.equal(plan.rounds, 3);
  assert.equal(output, undefined);
});

test('benchmarks and single rows are chosen by name, once, in the order of the list', () => {
  assert.deepEqual(
    [...new Set(ids('idle', 'echo').map((id) => benchmarkOf({ id })))],
    ['echo', 'idle'],
  );
  assert.deepEqual(ids('echo/4-KiB', 'echo/20-B', 'echo/4-KiB'), ['echo/20-B', 'echo/4-KiB']);
});

test('libraries are chosen by name; rows that measure none of them are left out', () => {
  const { plan } = run('--only', 'ws, bun', 'echo/20-B', 'parse/20-B');
  assert.deepEqual(plan.rivals, ['ws', 'bun']);
  assert.deepEqual(ids('--only', 'bun', 'parse', 'echo/20-B'), ['echo/20-B']);
});

test('numbers are taken as they are', () => {
  const { plan, output } = run(
    ...['--rounds', '7', '--duration', '.25', '--warm-up', '0', '--output', 'here.json'],
  );
  assert.equal(plan.rounds, 7);
  assert.equal(plan.durationSeconds, 0.25);
  assert.equal(plan.warmUpSeconds, 0);
  assert.equal(output, 'here.json');
});

test('compare takes two files', () => {
  const command = readArguments(['compare', 'a.json', 'b.json']);
  assert.deepEqual(command, { command: 'compare', before: 'a.json', after: 'b.json' });
});

test('help and the list are asked for', () => {
  assert.deepEqual(readArguments(['--help', 'echo']), { command: 'help' });
  assert.deepEqual(readArguments(['--list']), { command: 'list' });
});

test('what is wrong is named', () => {
  for (const [args, told] of [
    [['ech'], /no benchmark "ech"/],
    [['echo/'], /no benchmark "echo\/"/],
    [['--only', 'aperto,uws'], /not "uws"/],
    [['--only', ''], /not ""/],
    [['--only', 'bun', 'parse'], /none of these rows measures bun/],
    [['--rounds', '0'], /--rounds .* not "0"/],
    [['--rounds', '1.5'], /--rounds/],
    [['--rounds', '1e1'], /--rounds/],
    [['--duration', '0'], /--duration/],
    [['--duration', 'NaN'], /--duration/],
    [['--duration', '3601'], /--duration/],
    [['--warm-up=-1'], /--warm-up/],
    [['--nope'], /--nope/],
    [['--rounds'], /--rounds/],
    [['compare', 'a.json'], /two files/],
    [['compare', 'a.json', 'b.json', 'c.json'], /two files/],
  ] as const) {
    const isTold = (error: unknown): boolean =>
      error instanceof UsageError && told.test(error.message);
    assert.throws(() => readArguments(args), isTold, args.join(' '));
  }
});

test('the rows of a benchmark are compared with the same', () => {
  const yardsticks = new Map(allRows.map((row) => [benchmarkOf(row), yardstickOf(row)]));
  for (const row of allRows)
    assert.equal(yardstickOf(row), yardsticks.get(benchmarkOf(row)), row.id);
  assert.equal(yardsticks.get('echo'), 'ws');
  assert.equal(yardsticks.get('http2'), 'aperto:http/1.1');
});

test('rows have names of their own, and grow from rows of the same benchmark', () => {
  const names = allRows.map(({ id }) => id);
  assert.equal(new Set(names).size, names.length);
  for (const row of allRows) {
    assert.match(row.id, /^[a-z][a-z\d-]*\/[\w-]+$/);
    assert.ok(row.rivals[0]?.startsWith('aperto'), row.id);
    if (row.growsFrom === undefined) {
      assert.ok(row.rivals.includes(yardstickOf(row)), row.id);
      continue;
    }
    const base = allRows.find(({ id }) => id === row.growsFrom);
    assert.ok(base !== undefined && benchmarkOf(base) === benchmarkOf(row), row.id);
    for (const name of row.rivals) assert.ok(base.rivals.includes(name), row.id);
  }
});
