import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { connectionError, WebSocketError } from '../../dist/web/websocket-error.js';

// What the specification says of it is among the cases of the stream.
suite('WebSocketError', () => {
  test('can be extended', () => {
    class Refusal extends WebSocketError {
      readonly by = 'us';
    }
    const error = new Refusal('no', { closeCode: 4003, reason: 'not you' });
    assert.ok(error instanceof Refusal && error instanceof DOMException && error instanceof Error);
    assert.deepEqual([error.closeCode, error.reason, error.by], [4003, 'not you', 'us']);
    assert.equal(`${error}`, 'WebSocketError: no');
  });

  test("a connection's own has any code, and says why", () => {
    const cause = new Error('why');
    const error = connectionError('lost', { closeCode: 1006, reason: '', cause });
    assert.deepEqual([error.message, error.closeCode, error.reason], ['lost', 1006, '']);
    assert.equal(error.cause, cause);
    assert.ok(!Object.keys(error).includes('cause'));
    const unknown = connectionError('lost', { closeCode: null, reason: '', cause: undefined });
    assert.ok(!('cause' in unknown));
  });
});
