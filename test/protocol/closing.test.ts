import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endOf } from '../../dist/protocol/closing.js';

const closing = { deadline: 0, code: undefined, reason: '', error: undefined };

test('a close frame says how it ended, whatever went wrong besides', () => {
  const end = { code: 4000, reason: 'why', error: undefined };
  assert.deepEqual(endOf({ ...closing, code: 4000, reason: 'why' }), end);
  assert.deepEqual(endOf({ ...closing, code: 4000, reason: 'why', error: 'CONNECTION_LOST' }), end);
});

test('without one it is what we broke it off for', () => {
  assert.deepEqual(endOf({ ...closing, error: 'INVALID_UTF8' }), {
    code: 1007,
    reason: 'text is not valid UTF-8',
    error: 'INVALID_UTF8',
  });
});

test('1006 has no reason, and is what is left', () => {
  const lost = { code: 1006, reason: '', error: 'CONNECTION_LOST' };
  assert.deepEqual(endOf(undefined), lost);
  assert.deepEqual(endOf(closing), lost);
  assert.equal(endOf({ ...closing, error: 'PING_TIMEOUT' }).reason, '');
});
