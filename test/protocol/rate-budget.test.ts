import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RateBudget } from '../../dist/protocol/rate-budget.js';

const fifty = (): RateBudget => new RateBudget(50, 100, 0);

function spendAll(budget: RateBudget, now: number): number {
  let spent = 0;
  while (spent < 1000 && budget.spend(now)) spent++;
  return spent;
}

test('the burst may be spent at once, and not one more', () => {
  assert.equal(spendAll(fifty(), 0), 100);
});

test('it refills with the rate', () => {
  const budget = fifty();
  spendAll(budget, 0);
  assert.ok(!budget.spend(19));
  assert.ok(budget.spend(39), '1.95 frames after 39 ms, counted from the refusal too');
  spendAll(budget, 39);
  assert.equal(spendAll(budget, 1039), 50);
});

test('it never holds more than the burst', () => {
  const budget = fifty();
  spendAll(budget, 0);
  assert.equal(spendAll(budget, 1_000_000), 100);
});

test('nor does it after a long silence: the burst is all that passes at once', () => {
  const budget = fifty();
  assert.equal(spendAll(budget, 1_000_000), 100);
  assert.equal(spendAll(budget, 1_000_000), 0);
});

test('what was spent long ago is not lent again: burst and rate bound every stretch of time', () => {
  const budget = fifty();
  for (let i = 0; i < 60; i++) assert.ok(budget.spend(0));
  // 40 are left and 25 have come back by then.
  assert.equal(spendAll(budget, 500), 65);
  assert.equal(spendAll(budget, 500), 0);
});

test('whole milliseconds add up exactly, frame by frame', () => {
  const budget = fifty();
  spendAll(budget, 0);
  for (let now = 1; now <= 20_000; now++) assert.equal(budget.spend(now), now % 20 === 0);
});

for (const [perSecond, burst] of [
  [Number.POSITIVE_INFINITY, 100],
  [50, Number.POSITIVE_INFINITY],
] as const) {
  test(`${perSecond} a second, ${burst} at once: everything passes`, () => {
    const budget = new RateBudget(perSecond, burst, 0);
    assert.equal(spendAll(budget, 0), 1000);
    assert.equal(spendAll(budget, 5), 1000);
  });
}
