import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptFor, createKey, isValidKey } from '../../../dist/protocol/handshake/accept-key.js';
import { testPlatform } from '../test-platform.ts';

for (const [key, accept] of [
  ['dGhlIHNhbXBsZSBub25jZQ==', 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='],
  ['dGh1IHNhbXBsZSBub25jZQ==', 'sXQoTB9rb7IHa0G9rUPfzVTzNEk='],
  ['sN9cRrP/n9NdMgdcy2VJFQ==', 'fFBooB7FAkLlXgRSz0BT3v4hq5s='],
] as const) {
  test(`${key} is answered by ${accept}`, () => {
    assert.ok(isValidKey(key));
    assert.equal(acceptFor(key, testPlatform), accept);
  });
}

for (const key of [
  '',
  'dGhlIHNhbXBsZSBub25j',
  Buffer.alloc(15).toString('base64'),
  Buffer.alloc(17).toString('base64'),
  'dGhlIHNhbXBsZSBub25jZQ=',
  'dGhlIHNhbXBsZSBub25jZQ===',
  'dGhlIHNhbXBsZSBub25jZ-==',
  'dGhlIHNhbXBsZSBub25jZQ== ',
  'dGhlIHNhbXBsZSBub25jZQ==\n',
]) {
  test(`${JSON.stringify(key)} is no key`, () => assert.ok(!isValidKey(key)));
}

test('a new key is sixteen random bytes in base64', () => {
  for (let i = 0; i < 100; i++) {
    let drawn = '';
    const platform = {
      ...testPlatform,
      fillRandom(bytes: Uint8Array) {
        testPlatform.fillRandom(bytes);
        drawn = Buffer.from(bytes).toString('base64');
      },
    };
    const key = createKey(platform);
    assert.equal(key, drawn);
    assert.ok(isValidKey(key));
  }
});
