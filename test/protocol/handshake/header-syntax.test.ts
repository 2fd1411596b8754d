import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  asciiLowerCase,
  checkHeaders,
  codeTable,
  isToken,
  isTokenCode,
  nameCodes,
  skipOws,
  tokenEnd,
  trimOws,
} from '../../../dist/protocol/handshake/header-syntax.js';

test('tokens are of the characters of RFC 9110 5.6.2', () => {
  for (let code = 0; code < 300; code++) {
    const isTchar = code < 128 && /[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(String.fromCharCode(code));
    assert.equal(isTokenCode(code), isTchar, String(code));
  }
  assert.ok(isToken('permessage-deflate'));
  for (const text of ['', 'a b', 'a,', ' a', 'ä', 'a\n']) assert.ok(!isToken(text), text);
  assert.equal(tokenEnd('a=b', 0), 1);
  assert.equal(tokenEnd('=b', 0), 0);
});

test('optional whitespace is spaces and tabs', () => {
  assert.equal(skipOws(' \t a', 0), 3);
  assert.equal(skipOws('a', 5), 5);
  assert.equal(trimOws(' \ta b\t '), 'a b');
  assert.equal(trimOws(' \t '), '');
  assert.equal(trimOws('\u00a0a'), '\u00a0a');
});

test('lower case is that of ASCII alone', () => {
  assert.equal(asciiLowerCase('WebSocket-\u212aÄ'), 'websocket-\u212aÄ');
});

test('a table has its characters and no others', () => {
  const table = codeTable('az');
  assert.equal(
    table.reduce((sum, entry) => sum + entry),
    2,
  );
  assert.equal(table[0x61], 1);
  assert.equal(nameCodes[0x2f], 0);
});

test('headers that HTTP allows pass', () => {
  checkHeaders({ 'X-A': 'b\tc \u00e4', Empty: '' }, new Set(['host']));
});

for (const [name, headers] of Object.entries<Record<string, unknown>>({
  'a name with a space': { 'X A': 'b' },
  'an empty name': { '': 'b' },
  'a CR': { a: 'b\rc' },
  'an LF': { a: 'b\nc' },
  'a NUL': { a: '\0' },
  'a DEL': { a: '\x7f' },
  'what is above U+00FF': { a: '€' },
  'a number': { a: 5 },
  'a list': { a: ['b'] },
  'a reserved name': { HOST: 'b' },
})) {
  test(`${name} does not pass, and its value is not told`, () => {
    assert.throws(
      () => checkHeaders(headers as Record<string, string>, new Set(['host'])),
      (error: unknown) =>
        error instanceof Error &&
        'code' in error &&
        error.code === 'INVALID_HEADER' &&
        !/[\r\n€]/.test(error.message),
    );
  });
}
