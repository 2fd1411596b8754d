import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, overlap, spreadOf } from '../../bench/dist/statistics.js';

test('the median is the value in the middle, or between the two in the middle', () => {
  assert.equal(median([]), undefined);
  assert.equal(median([7]), 7);
  assert.equal(median([1000, 1, 20]), 20);
  assert.equal(median([4, 100, 1, 2]), 3);
});

test('values are ordered as numbers, and stay as they were', () => {
  const values = [10, 9, 1000];
  assert.equal(median(values), 10);
  assert.deepEqual(values, [10, 9, 1000]);
});

test('a spread goes from the least to the greatest', () => {
  assert.equal(spreadOf([]), undefined);
  assert.deepEqual(spreadOf([3]), { least: 3, most: 3 });
  assert.deepEqual(spreadOf([10, -2, 9]), { least: -2, most: 10 });
});

test('spreads overlap where they have a value in common, be it one', () => {
  const spread = { least: 10, most: 20 };
  for (const [least, most, expected] of [
    [20, 30, true],
    [0, 10, true],
    [12, 13, true],
    [0, 99, true],
    [21, 30, false],
    [0, 9, false],
  ] as const) {
    assert.equal(overlap(spread, { least, most }), expected, `${least} to ${most}`);
    assert.equal(overlap({ least, most }, spread), expected, `${least} to ${most}`);
  }
});
