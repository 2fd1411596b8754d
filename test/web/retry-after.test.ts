import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apertoError } from '../../dist/protocol/errors.js';
import { retryAfterMs } from '../../dist/web/retry-after.js';

function refusal(retryAfter: string | readonly string[] | undefined): Error {
  const response = { status: 503, headers: { 'retry-after': retryAfter }, body: '' };
  return apertoError('STATUS_NOT_101', { response });
}

test('is seconds or a date, up to five minutes', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: Date.UTC(2026, 0, 1, 12, 0, 0) });
  for (const [asked, expected] of [
    ['0', 0],
    ['7', 7000],
    ['300', 300_000],
    ['301', 300_000],
    ['99999999999999999999', 300_000],
    ['Thu, 01 Jan 2026 12:00:30 GMT', 30_000],
    ['Thu, 01 Jan 2026 11:59:30 GMT', 0],
    ['Fri, 02 Jan 2026 12:00:30 GMT', 300_000],
    ['-5', 0],
    ['1.5', 0],
    ['soon', 0],
    ['', 0],
    [undefined, 0],
  ] as const) {
    assert.equal(retryAfterMs(refusal(asked)), expected, String(asked));
  }
});

test('is nothing where no server has answered', () => {
  for (const error of [undefined, new Error('x'), apertoError('CONNECT_FAILED'), 'x']) {
    assert.equal(retryAfterMs(error), 0);
  }
});
