import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApertoError } from '../../dist/protocol/aperto-error.js';
import { clientError, clientErrors } from '../../dist/protocol/client-errors.js';
import { errorTable } from '../../dist/protocol/errors.js';

test('the rows of clients are rows of the one table', () => {
  for (const [code, row] of Object.entries(clientErrors)) {
    assert.equal(Object.entries(errorTable).find(([name]) => name === code)?.[1], row);
  }
});

test('the error of a row', () => {
  const error = clientError('INVALID_OPTION', { detail: 'x is 1' });
  assert.ok(error instanceof ApertoError);
  assert.equal(error.code, 'INVALID_OPTION');
  assert.match(error.message, /: x is 1$/);
});
