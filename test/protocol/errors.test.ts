import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWireCloseCode } from '../../dist/protocol/close-codes.js';
import { apertoError, type ErrorCode, errorTable } from '../../dist/protocol/errors.js';

const codes = Object.keys(errorTable) as ErrorCode[];

test('every row says what happened; a reason fits into a close frame, a status into HTTP', () => {
  for (const code of codes) {
    const { message, closeCode, status, side } = errorTable[code];
    assert.match(message, /^[\x20-\x7e]{8,123}$/, code);
    assert.ok(['peer', 'local', 'network'].includes(side), code);
    if (closeCode !== undefined) assert.ok(isWireCloseCode(closeCode) || closeCode === 1006, code);
    if (status !== undefined) assert.ok(status >= 400 && status < 600, code);
  }
});

test('the error of a row', () => {
  const error = apertoError('MESSAGE_TOO_BIG', { detail: '2 MiB' });
  assert.equal(error.code, 'MESSAGE_TOO_BIG');
  assert.equal(error.closeCode, errorTable.MESSAGE_TOO_BIG.closeCode);
  assert.match(error.message, /: 2 MiB \(RFC 6455 7\.4\.1\)$/);
});
