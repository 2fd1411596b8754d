import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnfinishedData } from '../../dist/protocol/unfinished-data.js';

test('takes up to the most, and not one byte more', () => {
  const data = new UnfinishedData();
  assert.ok(data.take(60, 100));
  assert.ok(data.take(40, 100));
  assert.ok(!data.take(1, 100));
  assert.equal(data.bytes, 100, 'a refusal takes nothing');
  data.giveBack(1);
  assert.ok(data.take(1, 100));
});

test('each may have a limit of its own for what all hold', () => {
  const data = new UnfinishedData();
  assert.ok(data.take(1_000, Number.POSITIVE_INFINITY));
  assert.ok(!data.take(1, 500));
  assert.ok(data.take(1, 1_001));
});
