import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readArguments, UsageError } from './arguments.ts';

test('without arguments two minutes are run', () => {
  assert.deepEqual(readArguments([]), {
    command: 'run',
    plan: {
      durationMs: 120_000,
      connections: 3_000,
      seed: 1,
      pingAfterMs: 5_000,
      pingTimeoutMs: 10_000,
      faults: [],
    },
    output: undefined,
    plot: false,
  });
});

test('times have units, faults are a list', () => {
  const command = readArguments([
    '--duration',
    '1.5h',
    '--ping-after',
    '250ms',
    '--fault',
    'hide-gaps,lose-message',
    '--plot',
  ]);
  assert.ok(command.command === 'run');
  assert.equal(command.plan.durationMs, 5_400_000);
  assert.equal(command.plan.pingAfterMs, 250);
  assert.deepEqual(command.plan.faults, ['hide-gaps', 'lose-message']);
  assert.equal(command.plot, true);
});

test('a report is of a file, or of the last run', () => {
  const input = 'a.jsonl';
  assert.deepEqual(readArguments(['--report', input]), { command: 'report', input, plot: false });
  const last = { command: 'report', input: undefined, plot: true };
  assert.deepEqual(readArguments(['--report', '--plot']), last);
});

test('what is wrong is named', () => {
  for (const [args, told] of [
    [['2m'], /what is "2m"/],
    [['--report', 'a', 'b'], /what is "b"/],
    [['--duration', '60'], /--duration .* not "60"/],
    [['--duration', '0s'], /--duration/],
    [['--duration', '25h'], /--duration/],
    [['--connections', '9'], /--connections .* from 10/],
    [['--connections', '1e3'], /--connections/],
    [['--seed=-1'], /--seed/],
    [['--fault', 'nothing'], /--fault .* not "nothing"/],
    [['--nope'], /--nope/],
  ] as const) {
    const isTold = (error: unknown): boolean =>
      error instanceof UsageError && told.test(error.message);
    assert.throws(() => readArguments(args), isTold, args.join(' '));
  }
});
