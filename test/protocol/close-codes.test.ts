import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloseCode, isWireCloseCode } from '../../dist/protocol/close-codes.js';

const allowed = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
const edges = [3000, 3999, 4000, 4999];
const refused = [0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535];

for (const code of [...allowed, ...edges]) {
  test(`${code} may stand in a close frame`, () => assert.ok(isWireCloseCode(code)));
}
for (const code of [...refused, 1000.5, Number.NaN, Number.POSITIVE_INFINITY, -1]) {
  test(`${code} may not`, () => assert.ok(!isWireCloseCode(code)));
}

test('what is named is allowed, but for the two that are only ever local', () => {
  for (const code of Object.values(CloseCode)) {
    assert.equal(isWireCloseCode(code), code !== 1005 && code !== 1006, String(code));
  }
});
