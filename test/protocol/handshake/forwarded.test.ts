import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { forwardedSource, type JudgeAddress } from '../../../dist/protocol/handshake/forwarded.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';

/** 10.* are the proxies. */
const judge: JudgeAddress = (address) => {
  if (!/^[\d.]+$|^[\da-f:]+$/i.test(address)) return 'invalid';
  return address.startsWith('10.') ? 'proxy' : 'client';
};

function sourceOf(from: string | undefined, ...fields: string[]) {
  return forwardedSource(new HeaderFields(fields), { address: from, encrypted: false }, judge);
}

describe('who asks', () => {
  const cases: readonly (readonly [string, string | undefined, string[], string | undefined])[] = [
    ['nobody in between', '192.0.2.1', [], '192.0.2.1'],
    ['a stranger may write what it likes', '192.0.2.1', ['198.51.100.7'], '192.0.2.1'],
    ['one proxy', '10.0.0.1', ['198.51.100.7'], '198.51.100.7'],
    ['a proxy that says nothing', '10.0.0.1', [], '10.0.0.1'],
    ['two proxies', '10.0.0.1', ['198.51.100.7, 10.0.0.2'], '198.51.100.7'],
    ['in two lines', '10.0.0.1', ['198.51.100.7', '10.0.0.2'], '198.51.100.7'],
    [
      'what stands before the client is its own',
      '10.0.0.1',
      ['1.1.1.1, 198.51.100.7'],
      '198.51.100.7',
    ],
    ['also where it names a proxy', '10.0.0.1', ['10.9.9.9, 198.51.100.7'], '198.51.100.7'],
    ['proxies alone', '10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    ['no address: as far as it is known', '10.0.0.1', ['unknown, 10.0.0.2'], '10.0.0.2'],
    ['rubbish behind the proxy', '10.0.0.1', ['<script>'], '10.0.0.1'],
    ['a port', '10.0.0.1', ['198.51.100.7:4711'], '198.51.100.7'],
    ['IPv6', '10.0.0.1', ['2001:db8::1'], '2001:db8::1'],
    ['IPv6 in brackets', '10.0.0.1', ['[2001:db8::1]'], '2001:db8::1'],
    ['IPv6 with a port', '10.0.0.1', ['[2001:db8::1]:4711'], '2001:db8::1'],
    ['a bracket that is not closed', '10.0.0.1', ['[2001:db8::1'], '10.0.0.1'],
    ['empty items', '10.0.0.1', [' , 198.51.100.7 ,, '], '198.51.100.7'],
    ['a Unix socket has no address to trust', undefined, ['198.51.100.7'], undefined],
  ];
  for (const [name, from, lines, expected] of cases) {
    test(name, () => {
      const fields = lines.flatMap((line) => ['X-Forwarded-For', line]);
      assert.equal(sourceOf(from, ...fields).address, expected);
    });
  }

  test('whatever a client sends to a proxy that appends, its address is found', () => {
    fc.assert(
      fc.property(fc.string(), (forged) => {
        const line = `${forged.replaceAll(/[\r\n]/g, '')}, 198.51.100.7`;
        assert.equal(sourceOf('10.0.0.1', 'x-forwarded-for', line).address, '198.51.100.7');
      }),
    );
  });
});

describe('whether it spoke TLS', () => {
  const cases: readonly (readonly [string, string[], boolean])[] = [
    ['the proxy says so', ['x-forwarded-proto', 'https'], true],
    ['in capitals', ['x-forwarded-proto', 'HTTPS'], true],
    ['or wss', ['x-forwarded-proto', 'wss'], true],
    ['or not', ['x-forwarded-proto', 'http'], false],
    ['nothing is said', [], false],
    [
      'one for each of two proxies',
      ['x-forwarded-for', '1.1.1.1, 10.0.0.2', 'x-forwarded-proto', 'https, http'],
      true,
    ],
    [
      'and one that the client forged',
      ['x-forwarded-for', '1.1.1.1', 'x-forwarded-proto', 'https, http'],
      false,
    ],
  ];
  for (const [name, fields, expected] of cases) {
    test(name, () => assert.equal(sourceOf('10.0.0.1', ...fields).encrypted, expected));
  }

  test('a stranger says nothing', () => {
    assert.equal(sourceOf('192.0.2.1', 'x-forwarded-proto', 'https').encrypted, false);
  });
});
