import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseHost } from '../../../dist/protocol/handshake/host.js';
import {
  normaliseOrigins,
  type OriginPolicy,
  originAllowed,
} from '../../../dist/protocol/handshake/origin.js';

function allowed(
  policy: OriginPolicy,
  origin: string | string[],
  host = 'chat.example',
  encrypted = false,
) {
  const parsed = parseHost(host);
  assert.ok(parsed);
  return originAllowed([origin].flat(), normaliseOrigins(policy), parsed, encrypted);
}

const policies: OriginPolicy[] = ['same-origin', '*', [], ['null']];

test('without an Origin nobody is kept out; with two everybody is', () => {
  for (const policy of policies) {
    assert.ok(allowed(policy, []));
    assert.ok(!allowed(policy, ['http://chat.example', 'http://chat.example']));
  }
});

test('* lets in every one, even what is no origin', () => {
  for (const origin of ['http://evil.example', 'null', 'nonsense']) assert.ok(allowed('*', origin));
});

describe('the same origin', () => {
  for (const [origin, host, encrypted] of [
    ['http://chat.example', 'chat.example', false],
    ['HTTP://Chat.Example', 'chat.example', false],
    ['http://chat.example:80', 'chat.example', false],
    ['http://chat.example', 'chat.example:80', false],
    ['https://chat.example', 'chat.example', false],
    ['https://chat.example', 'chat.example:443', true],
    ['http://localhost:8080', 'localhost:8080', false],
    ['http://[::1]:8080', '[::1]:8080', false],
  ] as const) {
    test(`${origin} for ${host}${encrypted ? ' over TLS' : ''}`, () => {
      assert.ok(allowed('same-origin', origin, host, encrypted));
      assert.ok(allowed(['https://other.example', 'same-origin'], origin, host, encrypted));
      assert.ok(!allowed(['https://other.example'], origin, host, encrypted));
    });
  }
});

describe('another origin', () => {
  for (const [origin, host, encrypted] of [
    ['http://evil.example', 'chat.example', false],
    ['http://chat.example.evil.example', 'chat.example', false],
    ['http://chat.example:8080', 'chat.example', false],
    ['https://chat.example', 'chat.example:80', false],
    ['http://chat.example', 'chat.example', true],
    ['ws://chat.example', 'chat.example', false],
    ['null', 'null', false],
    ['same-origin', 'same-origin', false],
    ['file://', 'chat.example', false],
    ['chat.example', 'chat.example', false],
    ['://chat.example', 'chat.example', false],
    ['http://', 'chat.example', false],
    ['http://chat.example/', 'chat.example', false],
    ['', 'chat.example', false],
  ] as const) {
    test(`${JSON.stringify(origin)} for ${host}${encrypted ? ' over TLS' : ''}`, () => {
      assert.ok(!allowed('same-origin', origin, host, encrypted));
    });
  }
});

describe('a list', () => {
  const policy = ['https://A.example', 'http://b.example:80', 'app://x', 'null', 'file://'];
  for (const origin of [
    'https://a.example',
    'https://a.example:443',
    'http://b.example',
    'app://x',
    'null',
    'file://',
  ]) {
    test(`has ${origin}`, () => assert.ok(allowed(policy, origin)));
  }
  for (const origin of [
    'http://a.example',
    'https://a.example:444',
    'https://b.example',
    'http://chat.example',
  ]) {
    test(`has not ${origin}`, () => assert.ok(!allowed(policy, origin)));
  }
});

for (const policy of [
  ...[
    'any',
    undefined,
    null,
    5,
    {},
    ['a.example'],
    ['https://a.example/'],
    ['https://a.example/x'],
    ['*'],
    [5],
  ],
  ...[['https://'], ['1http://a'], ['']],
]) {
  test(`${JSON.stringify(policy)} is no policy`, () => {
    assert.throws(() => normaliseOrigins(policy as OriginPolicy), { code: 'INVALID_OPTION' });
  });
}
