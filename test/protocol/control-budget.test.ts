import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ControlBudget } from '../../dist/protocol/control-budget.js';
import { resolveLimits } from '../../dist/protocol/limits.js';

const limits = resolveLimits({ controlFramesPerSecond: 50, controlFrameBurst: 100 });

function spendAll(budget: ControlBudget, now: number): number {
  let spent = 0;
  while (spent < 1000 && budget.spend(now)) spent++;
  return spent;
}

test('the burst may be spent at once, and not one more', () => {
  assert.equal(spendAll(new ControlBudget(limits, 0), 0), 100);
});

test('it refills with the rate', () => {
  const budget = new ControlBudget(limits, 0);
  spendAll(budget, 0);
  assert.ok(!budget.spend(19));
  assert.ok(budget.spend(39), '1.95 frames after 39 ms, counted from the refusal too');
  spendAll(budget, 39);
  assert.equal(spendAll(budget, 1039), 50);
});

test('it never holds more than the burst', () => {
  const budget = new ControlBudget(limits, 0);
  spendAll(budget, 0);
  assert.equal(spendAll(budget, 1_000_000), 100);
});

for (const given of [
  { controlFramesPerSecond: Number.POSITIVE_INFINITY },
  { controlFrameBurst: Number.POSITIVE_INFINITY },
]) {
  test(`${Object.keys(given)} Infinity lets everything pass`, () => {
    const budget = new ControlBudget(resolveLimits(given), 0);
    assert.equal(spendAll(budget, 0), 1000);
    assert.equal(spendAll(budget, 5), 1000);
  });
}
