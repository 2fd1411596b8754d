import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedRun } from '../../apps/chat/dist/server/shared-run.js';

/** A task whose runs are ended by hand. */
class Task {
  readonly runs: { resolve(): void; reject(error: Error): void }[] = [];
  readonly shared = new SharedRun(
    () => new Promise<void>((resolve, reject) => this.runs.push({ resolve, reject })),
  );
}

test('who asks while it runs shares the next run, which begins when that one has ended', async () => {
  const task = new Task();
  const first = task.shared.run();
  const second = task.shared.run();
  const third = task.shared.run();
  assert.equal(task.runs.length, 1);
  assert.equal(second, third);
  task.runs[0]?.resolve();
  await first;
  // At the moment at which the one has ended and the other has not begun, there is no place for a third.
  const fourth = task.shared.run();
  await new Promise(setImmediate);
  assert.equal(task.runs.length, 2);
  task.runs[1]?.resolve();
  await Promise.all([second, third]);
  await new Promise(setImmediate);
  if (task.runs.length === 3) task.runs[2]?.resolve();
  await fourth;
});

test('a run that fails fails for those who share it, and not for the next', async () => {
  const task = new Task();
  const first = task.shared.run();
  const second = task.shared.run();
  task.runs[0]?.reject(new Error('away'));
  await assert.rejects(first, /away/);
  await new Promise(setImmediate);
  task.runs[1]?.resolve();
  await second;
  const third = task.shared.run();
  task.runs[2]?.resolve();
  await third;
});
