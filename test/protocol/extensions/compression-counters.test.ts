import assert from 'node:assert/strict';
import { test } from 'node:test';
import { count, newCounters } from '../../../dist/protocol/extensions/compression-counters.js';

test('both directions begin with nothing, and are counted apart', () => {
  const none = { messages: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 };
  const counters = newCounters();
  assert.deepEqual(counters, { deflated: none, inflated: none });
  count(counters.deflated, 100, 20, 1.5);
  count(counters.deflated, 10, 5, 0.25);
  assert.deepEqual(counters, {
    deflated: { messages: 2, bytesIn: 110, bytesOut: 25, milliseconds: 1.75 },
    inflated: none,
  });
  assert.deepEqual(newCounters().deflated, none);
});
