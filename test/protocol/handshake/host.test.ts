import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostAllowed, normaliseHosts, parseHost } from '../../../dist/protocol/handshake/host.js';

for (const [text, name, port] of [
  ['example.com', 'example.com', undefined],
  ['EXAMPLE.com:8080', 'example.com', 8080],
  ['localhost:', 'localhost', undefined],
  ['127.0.0.1:65535', '127.0.0.1', 65_535],
  ['[::1]', '[::1]', undefined],
  ['[FE80::1.2.3.4]:1', '[fe80::1.2.3.4]', 1],
  ['a%2Db', 'a%2db', undefined],
  ['a_b.c-d~', 'a_b.c-d~', undefined],
] as const) {
  test(`${text} is a host`, () => assert.deepEqual(parseHost(text), { name, port }));
}

for (const text of [
  ...[
    '',
    ':80',
    'a b',
    'a/b',
    'a@b',
    'a:65536',
    'a:8o',
    'a:80 ',
    'a:-1',
    'ä',
    'a%2',
    'a%zz',
    'a%2z',
  ],
  ...['[', '[]', '[::1', '[::g]', '[::1]80', '::1', 'a:80:90', `a:${'9'.repeat(400)}`],
]) {
  test(`${JSON.stringify(text.slice(0, 20))} is none`, () =>
    assert.equal(parseHost(text), undefined));
}

test('a listed host holds for every port, one with a port for that', () => {
  const hosts = normaliseHosts([
    'Chat.example',
    'api.example:8443',
    'plain.example:80',
    'safe.example:443',
  ]);
  const allowed = (text: string, encrypted = false): boolean => {
    const host = parseHost(text);
    assert.ok(host);
    return hostAllowed(host, hosts, encrypted);
  };
  assert.ok(allowed('chat.example'));
  assert.ok(allowed('CHAT.example:1234'));
  assert.ok(allowed('api.example:8443'));
  assert.ok(!allowed('api.example'));
  assert.ok(!allowed('evil.example'));
  assert.ok(allowed('plain.example'));
  assert.ok(!allowed('plain.example', true));
  assert.ok(allowed('safe.example', true));
});

for (const hosts of ['chat.example', [5], ['a b'], ['https://a'], ['']]) {
  test(`${JSON.stringify(hosts)} is no list of hosts`, () => {
    assert.throws(() => normaliseHosts(hosts as string[]), { code: 'INVALID_OPTION' });
  });
}
