import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isWireCloseCode } from '../../dist/protocol/close-codes.js';
import { ApertoError, type ErrorCode, errorTable } from '../../dist/protocol/errors.js';

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

test('an error carries its row', () => {
  const error = new ApertoError('MESSAGE_TOO_BIG');
  assert.ok(error instanceof Error);
  assert.equal(error.name, 'ApertoError');
  assert.equal(error.code, 'MESSAGE_TOO_BIG');
  assert.equal(error.closeCode, 1009);
  assert.equal(error.status, undefined);
  assert.equal(error.side, 'peer');
  assert.equal(error.section, 'RFC 6455 7.4.1');
  assert.equal(error.message, 'the message is over the size limit (RFC 6455 7.4.1)');
  assert.equal('cause' in error, false);
  assert.equal(error.response, undefined);
});

test('a detail, a cause and a response are kept', () => {
  const cause = new Error('why');
  const response = { status: 401, headers: {}, body: 'no' };
  const error = new ApertoError('INVALID_OPTION', { detail: 'port is -1', cause, response });
  assert.equal(error.message, 'an option has a value that it must not have: port is -1');
  assert.equal(error.cause, cause);
  assert.equal(error.response, response);
});
