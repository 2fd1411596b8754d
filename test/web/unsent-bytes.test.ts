import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Link } from '../../dist/web/link.js';
import { UnsentBytes } from '../../dist/web/unsent-bytes.js';

type Counts = Pick<Link, 'isOpen' | 'bufferedAmount' | 'bytesTaken'>;

/** A link of which only the counts matter. */
function linkWith(counts: Counts): Link {
  const unused = (): never => assert.fail('only counts are asked for');
  return {
    protocol: '',
    extensions: '',
    send: unused,
    close: unused,
    terminate: unused,
    hold: unused,
    release: unused,
    cork: unused,
    uncork: unused,
    get isOpen() {
      return counts.isOpen;
    },
    get bufferedAmount() {
      return counts.bufferedAmount;
    },
    get bytesTaken() {
      return counts.bytesTaken;
    },
  };
}

test('what was sent counts until a task that finds it taken', () => {
  const counts = { isOpen: true, bufferedAmount: 0, bytesTaken: 0 };
  const link = linkWith(counts);
  const unsent = new UnsentBytes();
  counts.bytesTaken = 12;
  unsent.send(10, link);
  assert.equal(unsent.amount, 10);
  assert.equal(unsent.update(link), true);
  assert.equal(unsent.amount, 0);
});

test('a slow transport: message by message of 64 KiB, without framing', () => {
  const counts = { isOpen: true, bufferedAmount: 0, bytesTaken: 0 };
  const link = linkWith(counts);
  const unsent = new UnsentBytes();
  for (let i = 0; i < 3; i++) {
    counts.bufferedAmount += 65_550;
    unsent.send(65_536, link);
  }
  assert.equal(unsent.amount, 3 * 65_536);
  counts.bytesTaken = 65_550 + 1;
  counts.bufferedAmount = 2 * 65_550 - 1;
  assert.equal(unsent.update(link), false);
  assert.equal(unsent.amount, 2 * 65_536);
});

test('what is kept, or was not taken when the end came, stays', () => {
  const counts = { isOpen: true, bufferedAmount: 100, bytesTaken: 0 };
  const link = linkWith(counts);
  const unsent = new UnsentBytes();
  unsent.send(98, link);
  unsent.update(link);
  unsent.keep(5);
  Object.assign(counts, { isOpen: false, bufferedAmount: 0 });
  unsent.update(link);
  assert.equal(unsent.amount, 103);
});

test('never negative, never more than was sent, nothing left of what was all taken', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          fc.record({ send: fc.nat(100_000) }),
          fc.record({ take: fc.nat(200_000) }),
          fc.constant({ update: true }),
        ),
      ),
      (steps) => {
        const counts = { isOpen: true, bufferedAmount: 0, bytesTaken: 0 };
        const link = linkWith(counts);
        const unsent = new UnsentBytes();
        let sent = 0;
        for (const step of steps) {
          if ('send' in step) {
            counts.bufferedAmount += step.send + 6;
            sent += step.send;
            unsent.send(step.send, link);
          } else if ('take' in step) {
            const taken = Math.min(step.take, counts.bufferedAmount);
            counts.bufferedAmount -= taken;
            counts.bytesTaken += taken;
          } else unsent.update(link);
          assert.ok(unsent.amount >= 0 && unsent.amount <= sent);
          // Nothing is forgotten before it was taken; framing is the only difference.
          assert.ok(unsent.amount >= counts.bufferedAmount - 6 * steps.length);
        }
        counts.bytesTaken += counts.bufferedAmount;
        counts.bufferedAmount = 0;
        assert.equal(unsent.update(link), true);
        assert.equal(unsent.amount, 0);
      },
    ),
  );
});
