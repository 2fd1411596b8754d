import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { resolveCompression } from '../../../dist/protocol/extensions/permessage-deflate.js';
import { requestFields } from '../../../dist/protocol/handshake/client-handshake.js';
import {
  checkConnected,
  checkExtendedConnect,
  connectedFields,
  type ExtendedConnect,
  extendedConnectFields,
} from '../../../dist/protocol/handshake/extended-connect.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';
import { normaliseOrigins } from '../../../dist/protocol/handshake/origin.js';
import {
  checkUpgrade,
  type UpgradeRules,
} from '../../../dist/protocol/handshake/server-handshake.js';
import { testPlatform } from '../test-platform.ts';

type Lines = Readonly<Record<string, string | string[] | undefined>>;

function fieldsOf(...lines: Lines[]): HeaderFields {
  const raw: string[] = [];
  for (const [name, value] of Object.entries(Object.assign({}, ...lines) as Lines)) {
    for (const line of [value ?? []].flat()) raw.push(name, line);
  }
  return new HeaderFields(raw);
}

/** The client's request of RFC 8441 5.1. */
const example = {
  'sec-websocket-protocol': 'chat, superchat',
  'sec-websocket-extensions': 'permessage-deflate',
  'sec-websocket-version': '13',
  origin: 'http://www.example.com',
};

const anything: UpgradeRules = {
  protocols: ['chat'],
  origins: '*',
  hosts: undefined,
  encrypted: true,
  maxHeaders: 100,
  compression: undefined,
};

interface Change extends Partial<Omit<ExtendedConnect, 'fields'>> {
  /** A value in place of the example's, several lines, or undefined for none. */
  readonly fields?: Lines;
  readonly rules?: Partial<UpgradeRules>;
}

function check({ fields = {}, rules = {}, ...pseudo }: Change = {}) {
  return checkExtendedConnect(
    {
      protocol: 'websocket',
      scheme: 'https',
      path: '/chat',
      authority: 'server.example.com',
      ...pseudo,
      fields: fieldsOf(example, fields),
    },
    { ...anything, ...rules },
  );
}

const agreed = { protocol: 'chat', deflate: undefined };

describe('an extended CONNECT is granted', () => {
  const changes: Record<string, Change> = {
    'the example of the RFC': {},
    'in another case': { protocol: 'WebSocket' },
    'with a Host that says the same': { fields: { host: 'server.example.com' } },
    'with a Host in place of the authority': {
      authority: undefined,
      fields: { host: 'server.example.com' },
    },
    'for a listed host': { rules: { hosts: ['server.example.com'] } },
    'from a listed origin': {
      rules: { origins: normaliseOrigins(['http://www.example.com']) },
    },
    'with as many headers as allowed': { rules: { maxHeaders: 4 } },
    'with a body of no bytes': { fields: { 'content-length': '0' } },
  };
  for (const [name, change] of Object.entries(changes)) {
    test(name, () => assert.deepEqual(check(change), agreed));
  }

  test('without a subprotocol, where there is none that we speak', () => {
    const none = { ...agreed, protocol: '' };
    assert.deepEqual(check({ rules: { protocols: ['x'] } }), none);
    assert.deepEqual(check({ fields: { 'sec-websocket-protocol': undefined } }), none);
  });

  test('with compression, where we have it', () => {
    const answer = check({ rules: { compression: resolveCompression({ takeover: true }) } });
    assert.ok('deflate' in answer);
    assert.equal(answer.deflate?.response, 'permessage-deflate');
  });
});

describe('an extended CONNECT is refused', () => {
  const refused: [code: string, status: number, change: Change][] = [
    // RFC 8441 4
    ['CONNECT_MALFORMED', 400, { scheme: undefined }],
    ['CONNECT_MALFORMED', 400, { path: undefined }],
    // RFC 9220 3
    ['PROTOCOL_UNKNOWN', 501, { protocol: 'connect-udp' }],
    ['PROTOCOL_UNKNOWN', 501, { protocol: '' }],
    ['PROTOCOL_UNKNOWN', 501, { protocol: 'websoc\u212aet' }],
    ['TOO_MANY_HEADERS', 431, { rules: { maxHeaders: 3 } }],
    // RFC 9113 8.3.1
    ['HOST_INVALID', 400, { authority: undefined }],
    ['HOST_INVALID', 400, { authority: 'a b' }],
    ['HOST_INVALID', 400, { authority: '' }],
    ['HOST_INVALID', 400, { fields: { host: 'other.example.com' } }],
    ['HOST_INVALID', 400, { fields: { host: ['server.example.com', 'other.example.com'] } }],
    ['HOST_INVALID', 400, { authority: undefined, fields: { host: ['a', 'b'] } }],
    ['HOST_UNKNOWN', 421, { rules: { hosts: ['other.example.com'] } }],
    ['REQUEST_BODY', 400, { fields: { 'content-length': '1' } }],
    ['VERSION_UNSUPPORTED', 426, { fields: { 'sec-websocket-version': '8' } }],
    ['VERSION_UNSUPPORTED', 426, { fields: { 'sec-websocket-version': undefined } }],
    ['VERSION_UNSUPPORTED', 426, { fields: { 'sec-websocket-version': ['13', '13'] } }],
    ['PROTOCOL_HEADER_INVALID', 400, { fields: { 'sec-websocket-protocol': 'a b' } }],
    ['EXTENSIONS_HEADER_INVALID', 400, { fields: { 'sec-websocket-extensions': 'a;' } }],
    ['ORIGIN_FORBIDDEN', 403, { rules: { origins: normaliseOrigins('same-origin') } }],
  ];
  for (const [code, status, { rules, ...change }] of refused) {
    test(`${code}: ${JSON.stringify({ ...change, ...(rules && { rules: Object.keys(rules) }) })}`, () => {
      const answer = check({ ...change, ...(rules && { rules }) });
      assert.ok('reject' in answer);
      assert.deepEqual([answer.reject, answer.status], [code, status]);
    });
  }
});

test('an upgrade and an extended CONNECT agree on the same', () => {
  const line = (...values: string[]) => fc.constantFrom(undefined, ...values);
  const request = fc.record({
    host: fc.constantFrom('a.example', 'a.example:8443', 'b.example'),
    origin: line('https://a.example', 'https://b.example', 'null', 'nonsense'),
    protocols: line('chat', 'x, chat', 'superchat', 'a, a', 'a b', ''),
    extensions: line('permessage-deflate', 'foo', 'a;', 'permessage-deflate; a'),
    length: line('0', '1'),
  });
  const rules = fc.record({
    origins: fc.constantFrom(normaliseOrigins('same-origin'), normaliseOrigins('*')),
    hosts: fc.constantFrom(undefined, ['a.example']),
    compression: fc.constantFrom(undefined, resolveCompression(true)),
  });
  fc.assert(
    fc.property(request, rules, ({ host, origin, protocols, extensions, length }, chosen) => {
      const same = {
        host,
        origin,
        'sec-websocket-protocol': protocols,
        'sec-websocket-extensions': extensions,
        'content-length': length,
        'sec-websocket-version': '13',
      };
      const all = { ...anything, ...chosen };
      const upgrade = { upgrade: 'websocket', connection: 'upgrade' };
      const key = { 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' };
      const before = checkUpgrade(
        { method: 'GET', httpVersion: '1.1', fields: fieldsOf(same, upgrade, key) },
        all,
        testPlatform,
      );
      const now = checkExtendedConnect(
        {
          protocol: 'websocket',
          scheme: 'https',
          path: '/',
          authority: host,
          fields: fieldsOf(same, { host: undefined }),
        },
        all,
      );
      if ('reject' in before) assert.deepEqual(now, before);
      else assert.deepEqual({ ...now, accept: before.accept }, before);
    }),
  );
});

describe('the answer that grants it', () => {
  test('has what was agreed on, and nothing else', () => {
    assert.deepEqual(connectedFields(agreed), { 'sec-websocket-protocol': 'chat' });
    const answer = check({
      fields: { 'sec-websocket-protocol': undefined },
      rules: { compression: resolveCompression({ takeover: true }) },
    });
    assert.ok('deflate' in answer);
    assert.deepEqual(connectedFields(answer), { 'sec-websocket-extensions': 'permessage-deflate' });
  });

  const none = { protocol: '', extensions: '', agreement: undefined };
  const judge = (lines: Lines, status = 200, compression = resolveCompression(false)) =>
    checkConnected(
      { status, fields: fieldsOf(lines) },
      { protocols: ['chat', 'superchat'], compression },
    );

  test('is any 2xx', () => {
    for (const status of [200, 201, 299]) assert.deepEqual(judge({}, status), none);
    for (const status of [101, 199, 300, 404, 500]) {
      assert.deepEqual(judge({}, status), { reject: 'STATUS_NOT_101' });
    }
  });

  test('may have a subprotocol and an extension that were offered', () => {
    assert.deepEqual(judge({ 'sec-websocket-protocol': 'superchat' }), {
      ...none,
      protocol: 'superchat',
    });
    const lines = { 'sec-websocket-extensions': 'permessage-deflate' };
    const answer = judge(lines, 200, resolveCompression({ takeover: true }));
    assert.ok('agreement' in answer);
    assert.equal(answer.extensions, 'permessage-deflate');
    assert.equal(answer.agreement?.inflateTakeover, true);
  });

  test('must not have any other', () => {
    for (const value of ['other', '', 'chat, superchat', ['chat', 'chat']]) {
      assert.deepEqual(judge({ 'sec-websocket-protocol': value }), { reject: 'RESPONSE_PROTOCOL' });
    }
    assert.deepEqual(judge({ 'sec-websocket-extensions': 'permessage-deflate' }), {
      reject: 'RESPONSE_EXTENSION',
    });
  });
});

describe("a client's fields", () => {
  const offer = {
    protocols: ['a', 'b'],
    compression: resolveCompression({ takeover: true }),
    headers: { Origin: 'http://x', 'X-Kept': 'As It Is', Host: 'h' },
  };

  test('are in lower case, without those of an upgrade (RFC 8441 5)', () => {
    assert.deepEqual(extendedConnectFields(offer), {
      origin: 'http://x',
      'x-kept': 'As It Is',
      host: 'h',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'a, b',
      'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
    });
    assert.deepEqual(
      extendedConnectFields({ protocols: [], compression: undefined, headers: {} }),
      { 'sec-websocket-version': '13' },
    );
  });

  test('are otherwise those of an upgrade', () => {
    const upgrade = Object.entries(requestFields({ ...offer, key: 'k' }))
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => !['upgrade', 'connection', 'sec-websocket-key'].includes(name));
    assert.deepEqual(extendedConnectFields(offer), Object.fromEntries(upgrade));
  });

  test('are refused by the same rules', () => {
    assert.throws(() => extendedConnectFields({ ...offer, protocols: ['a', 'a'] }), {
      code: 'INVALID_PROTOCOL',
    });
    for (const name of ['Connection', 'Sec-WebSocket-Key', ':path', 'a b']) {
      assert.throws(() => extendedConnectFields({ ...offer, headers: { [name]: 'x' } }), {
        code: 'INVALID_HEADER',
      });
    }
  });
});
