import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger, LedgerTotals } from './ledger.ts';

function heard(
  next: number | undefined,
  sequences: readonly (number | 'gap')[],
  mayDrop = false,
): { ledger: Ledger; totals: LedgerTotals } {
  const totals = new LedgerTotals();
  const ledger = new Ledger('topic', totals, next, mayDrop);
  for (const sequence of sequences) {
    if (sequence === 'gap') ledger.gap();
    else ledger.message(sequence);
  }
  return { ledger, totals };
}

test('what comes in order is only counted', () => {
  const { ledger, totals } = heard(4, [4, 5, 6]);
  ledger.upTo(6);
  assert.deepEqual({ ...totals }, { ...new LedgerTotals(), received: 3 });
});

test('what is missing is lost, at the beginning, between and at the end', () => {
  const { ledger, totals } = heard(4, [5, 8]);
  assert.equal(totals.lost, 3);
  ledger.upTo(10);
  assert.equal(totals.lost, 5);
  assert.deepEqual(totals.wrong, { 'topic: missing': 5 });
});

test('where the first is not known, any may be', () => {
  assert.equal(heard(undefined, [40, 41]).totals.lost, 0);
});

test('a gap announces what is missing until the next message, and no more', () => {
  const { totals } = heard(1, [1, 'gap', 4, 6]);
  assert.equal(totals.announced, 2);
  assert.equal(totals.lost, 1);
  assert.equal(heard(1, ['gap', 1, 3]).totals.lost, 1);
});

test('what comes twice or after a later one is told', () => {
  const { totals } = heard(1, [1, 1, 3, 2, 4]);
  assert.equal(totals.repeated, 2);
  assert.equal(totals.lost, 1);
});

test('where a policy may drop, what is missing must be what the server says it dropped', () => {
  for (const [dropped, lost] of [
    [3, 0],
    [1, 2],
    [4, 1],
  ] as const) {
    const { ledger, totals } = heard(1, [1, 4], true);
    ledger.upTo(5);
    assert.equal(totals.lost, 0);
    ledger.left(dropped);
    assert.equal(totals.lost, lost);
    assert.equal(totals.dropped, dropped);
  }
});
