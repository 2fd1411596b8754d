import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApertoError, type ErrorRow } from '../../dist/protocol/aperto-error.js';

test('an error carries its row', () => {
  const row: ErrorRow = {
    side: 'peer',
    closeCode: 1009,
    section: 'RFC 6455 7.4.1',
    message: 'the message is over the size limit',
  };
  const error = new ApertoError('MESSAGE_TOO_BIG', row);
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
  const rule: ErrorRow = {
    side: 'local',
    section: '',
    message: 'an option has a value that it must not have',
  };
  const cause = new Error('why');
  const response = { status: 401, headers: {}, body: 'no' };
  const error = new ApertoError('INVALID_OPTION', rule, { detail: 'port is -1', cause, response });
  assert.equal(error.message, 'an option has a value that it must not have: port is -1');
  assert.equal(error.cause, cause);
  assert.equal(error.response, response);
});
