import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParserPool } from '../../../dist/protocol/frames/parser-pool.js';

test('what was given back is lent again, and nothing to two at once', () => {
  const pool = new ParserPool(true, false);
  const first = pool.take();
  const second = pool.take();
  assert.notEqual(first, second);
  pool.giveBack(first);
  assert.equal(pool.take(), first);
  assert.notEqual(pool.take(), first);
});

test('it keeps only a few', () => {
  const pool = new ParserPool(false, false);
  const lent = Array.from({ length: 100 }, () => pool.take());
  for (const parser of lent) pool.giveBack(parser);
  const again = Array.from({ length: 100 }, () => pool.take());
  assert.equal(again.filter((parser) => lent.includes(parser)).length, 16);
});
