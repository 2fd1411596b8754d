import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConnectionState } from '../../dist/protocol/connection-state.js';

test('the states are ordered: frames are read up to CLOSED_BY_US, and nothing after ENDED', () => {
  const { OPEN, CLOSED_BY_US, CLOSED_BY_PEER, CLOSE_ACKNOWLEDGED, FAILED, ENDED } = ConnectionState;
  const inOrder = [OPEN, CLOSED_BY_US, CLOSED_BY_PEER, CLOSE_ACKNOWLEDGED, FAILED, ENDED];
  assert.deepEqual(inOrder, [0, 1, 2, 3, 4, 5]);
});
