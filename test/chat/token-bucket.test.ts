import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TokenBucket } from '../../apps/chat/dist/server/token-bucket.js';

function takeAll(bucket: TokenBucket, now: number): number {
  let taken = 0;
  while (bucket.take(now)) taken += 1;
  return taken;
}

test('as many pass at once as pass a second', () => {
  assert.equal(takeAll(new TokenBucket(20, 1000), 1000), 20);
});

test('tokens come back evenly, and no more than were there', () => {
  const bucket = new TokenBucket(20, 0);
  takeAll(bucket, 0);
  assert.equal(takeAll(bucket, 49), 0);
  assert.equal(takeAll(bucket, 50), 1);
  assert.equal(takeAll(bucket, 550), 10);
  assert.equal(takeAll(bucket, 3_600_000), 20);
});

test('a clock that is set back neither gives nor takes', () => {
  const bucket = new TokenBucket(10, 5000);
  takeAll(bucket, 5000);
  assert.equal(takeAll(bucket, 1000), 0);
  assert.equal(takeAll(bucket, 1100), 1);
});
