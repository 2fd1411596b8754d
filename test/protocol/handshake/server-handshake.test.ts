import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type CompressionOptions,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';
import { normaliseOrigins } from '../../../dist/protocol/handshake/origin.js';
import {
  checkUpgrade,
  refusal,
  type UpgradeRules,
} from '../../../dist/protocol/handshake/server-handshake.js';
import { testPlatform } from '../test-platform.ts';

/** The client's handshake of RFC 6455 1.2. */
const example = {
  Host: 'server.example.com',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  Origin: 'http://example.com',
  'Sec-WebSocket-Protocol': 'chat, superchat',
  'Sec-WebSocket-Version': '13',
};

interface Change {
  readonly method?: string;
  readonly httpVersion?: string;
  /** A value in place of the example's, several lines, or undefined for none. */
  readonly fields?: Record<string, string | string[] | undefined>;
  readonly rules?: Partial<UpgradeRules>;
}

function check({ method = 'GET', httpVersion = '1.1', fields = {}, rules = {} }: Change = {}) {
  const raw: string[] = [];
  for (const [name, value] of Object.entries({ ...example, ...fields })) {
    for (const line of [value ?? []].flat()) raw.push(name, line);
  }
  return checkUpgrade(
    { method, httpVersion, fields: new HeaderFields(raw) },
    {
      protocols: ['chat'],
      origins: '*',
      hosts: undefined,
      encrypted: false,
      maxHeaders: 100,
      compression: undefined,
      ...rules,
    },
    testPlatform,
  );
}

const accepted = {
  accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  protocol: 'chat',
  deflate: undefined,
};

describe('accepted', () => {
  const changes: Record<string, Change> = {
    'the example of the RFC': {},
    'HTTP/2.0 and what comes': { httpVersion: '2.0' },
    'Connection with more': { fields: { Connection: 'keep-alive, Upgrade' } },
    'Connection in two lines': { fields: { Connection: ['keep-alive', 'upgrade'] } },
    'Upgrade in another case, among others': { fields: { Upgrade: 'h2c, WebSocket' } },
    'a body of no bytes': { fields: { 'Content-Length': '0' } },
    'extensions that we do not know': {
      fields: {
        'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, __proto__',
      },
    },
    'a listed host': { rules: { hosts: ['server.example.com'] } },
    'as many headers as allowed': { rules: { maxHeaders: 7 } },
  };
  for (const [name, change] of Object.entries(changes)) {
    test(name, () => assert.deepEqual(check(change), accepted));
  }

  test('no subprotocol that we speak: none', () => {
    assert.deepEqual(check({ rules: { protocols: ['x'] } }), { ...accepted, protocol: '' });
    assert.deepEqual(check({ fields: { 'Sec-WebSocket-Protocol': undefined } }), {
      ...accepted,
      protocol: '',
    });
  });

  test('Origin: null where it is allowed by option, and only there', () => {
    const fields = { Origin: 'null', 'Sec-WebSocket-Key': 'sN9cRrP/n9NdMgdcy2VJFQ==' };
    const answer = check({ fields, rules: { origins: ['null'] } });
    assert.ok('accept' in answer && answer.accept === 'fFBooB7FAkLlXgRSz0BT3v4hq5s=');
    const other = check({ fields, rules: { origins: normaliseOrigins('same-origin') } });
    assert.ok('reject' in other && other.status === 403);
  });
});

describe('compression', () => {
  function deflateFor(offers: string | string[] | undefined, given?: CompressionOptions) {
    const answer = check({
      fields: { 'Sec-WebSocket-Extensions': offers },
      rules: { compression: given && resolveCompression(given) },
    });
    assert.ok('accept' in answer);
    assert.deepEqual({ ...answer, deflate: undefined }, accepted);
    return answer.deflate;
  }
  const NO = 'server_no_context_takeover; client_no_context_takeover';

  test('is not agreed on where the server has none, nor where the client offers none', () => {
    assert.equal(deflateFor('permessage-deflate'), undefined);
    assert.equal(deflateFor(undefined, {}), undefined);
    assert.equal(deflateFor('x-webkit-deflate-frame, permessage-bzip2', {}), undefined);
  });

  test('is what browsers offer', () => {
    assert.deepEqual(deflateFor('permessage-deflate; client_max_window_bits', {}), {
      agreement: {
        deflateTakeover: false,
        deflateWindowBits: 15,
        inflateTakeover: false,
        inflateWindowBits: 15,
      },
      response: `permessage-deflate; ${NO}`,
    });
  });

  test('is the first acceptable offer, in one line or in several, among what we do not know', () => {
    const offers = [
      'foo, permessage-deflate; server_max_window_bits=8',
      'permessage-deflate; server_max_window_bits=10, permessage-deflate',
    ];
    const expected = {
      agreement: {
        deflateTakeover: true,
        deflateWindowBits: 10,
        inflateTakeover: true,
        inflateWindowBits: 15,
      },
      response: 'permessage-deflate; server_max_window_bits=10',
    };
    assert.deepEqual(deflateFor(offers, { takeover: true }), expected);
    assert.deepEqual(deflateFor(offers.join(', '), { takeover: true }), expected);
  });

  test('is declined, and the upgrade goes on, where no offer is acceptable', () => {
    assert.equal(deflateFor('permessage-deflate; server_max_window_bits=8', {}), undefined);
    assert.equal(deflateFor('permessage-deflate; client_max_window_bits=16', {}), undefined);
    assert.equal(deflateFor('permessage-deflate; a=1', {}), undefined);
  });
});

describe('refused', () => {
  const changes: [string, string, number, Change][] = [
    ['POST', 'METHOD_NOT_GET', 405, { method: 'POST' }],
    ['HTTP/1.0', 'HTTP_VERSION', 400, { httpVersion: '1.0' }],
    ['no version of HTTP', 'HTTP_VERSION', 400, { httpVersion: 'x' }],
    ['a header too many', 'TOO_MANY_HEADERS', 431, { rules: { maxHeaders: 6 } }],
    ['no Host', 'HOST_INVALID', 400, { fields: { Host: undefined } }],
    ['two Hosts', 'HOST_INVALID', 400, { fields: { Host: ['a', 'a'] } }],
    ['a Host that is none', 'HOST_INVALID', 400, { fields: { Host: 'a/b' } }],
    ['a Host that is not ours', 'HOST_UNKNOWN', 421, { rules: { hosts: ['chat.example'] } }],
    ['a body', 'REQUEST_BODY', 400, { fields: { 'Content-Length': '5' } }],
    ['two lengths', 'REQUEST_BODY', 400, { fields: { 'Content-Length': ['0', '5'] } }],
    ['a chunked body', 'REQUEST_BODY', 400, { fields: { 'Transfer-Encoding': 'chunked' } }],
    ['no Upgrade', 'UPGRADE_MISSING', 426, { fields: { Upgrade: undefined } }],
    ['Upgrade: h2c', 'UPGRADE_MISSING', 426, { fields: { Upgrade: 'h2c' } }],
    ['no Connection', 'CONNECTION_MISSING', 400, { fields: { Connection: undefined } }],
    ['Connection without upgrade', 'CONNECTION_MISSING', 400, { fields: { Connection: 'close' } }],
    ...['99', '0xd', '1.3e1', '13,13', '8', '', ' 13 1'].map(
      (version): [string, string, number, Change] => [
        `version ${JSON.stringify(version)}`,
        'VERSION_UNSUPPORTED',
        426,
        { fields: { 'Sec-WebSocket-Version': version, 'Sec-WebSocket-Key': undefined } },
      ],
    ),
    [
      'version twice',
      'VERSION_UNSUPPORTED',
      426,
      { fields: { 'Sec-WebSocket-Version': ['13', '13'] } },
    ],
    ['no version', 'VERSION_UNSUPPORTED', 426, { fields: { 'Sec-WebSocket-Version': undefined } }],
    ['no key', 'KEY_INVALID', 400, { fields: { 'Sec-WebSocket-Key': undefined } }],
    [
      'a key of 15 bytes',
      'KEY_INVALID',
      400,
      { fields: { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAA' } },
    ],
    [
      'two keys',
      'KEY_INVALID',
      400,
      { fields: { 'Sec-WebSocket-Key': ['dGhlIHNhbXBsZSBub25jZQ==', 'dGhlIHNhbXBsZSBub25jZQ=='] } },
    ],
    [
      'a subprotocol twice',
      'PROTOCOL_HEADER_INVALID',
      400,
      { fields: { 'Sec-WebSocket-Protocol': 'a, a' } },
    ],
    [
      'malformed extensions',
      'EXTENSIONS_HEADER_INVALID',
      400,
      { fields: { 'Sec-WebSocket-Extensions': 'a;' } },
    ],
    [
      'a foreign origin',
      'ORIGIN_FORBIDDEN',
      403,
      { rules: { origins: normaliseOrigins('same-origin') } },
    ],
  ];
  for (const [name, code, status, change] of changes) {
    test(`${name}: ${code}`, () => {
      const answer = check(change);
      assert.ok('reject' in answer);
      assert.equal(answer.reject, code);
      assert.equal(answer.status, status);
    });
  }

  test('with the headers that the status demands', () => {
    assert.deepEqual(refusal('METHOD_NOT_GET').headers, { Allow: 'GET' });
    assert.equal(refusal('UPGRADE_MISSING').headers['Upgrade'], 'websocket');
    assert.equal(refusal('VERSION_UNSUPPORTED').headers['Sec-WebSocket-Version'], '13');
    assert.deepEqual(refusal('ORIGIN_FORBIDDEN').headers, {});
    for (const code of ['TOO_MANY_CONNECTIONS', 'SERVER_CLOSING'] as const) {
      assert.deepEqual(refusal(code).headers, { 'Retry-After': '5' });
    }
  });

  test('with 400 for a code that has no status of its own', () => {
    assert.equal(refusal('CLOSE_CODE').status, 400);
  });
});
