import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ResolvedCompression,
  resolveCompression,
} from '../../../dist/protocol/extensions/permessage-deflate.js';
import { checkResponse, requestFields } from '../../../dist/protocol/handshake/client-handshake.js';
import { HeaderFields } from '../../../dist/protocol/handshake/header-fields.js';

const plain = { key: 'k', protocols: [], compression: undefined, headers: {} };

describe('the request', () => {
  test('has the fields of RFC 6455 4.1, and those of the application', () => {
    assert.deepEqual(
      requestFields({ ...plain, protocols: ['a', 'b'], headers: { Origin: 'http://x' } }),
      {
        Origin: 'http://x',
        Upgrade: 'websocket',
        Connection: 'Upgrade',
        'Sec-WebSocket-Key': 'k',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Protocol': 'a, b',
      },
    );
  });

  test('offers compression where it is wanted', () => {
    const compression = resolveCompression({ takeover: true });
    assert.equal(
      requestFields({ ...plain, compression })['Sec-WebSocket-Extensions'],
      'permessage-deflate; client_max_window_bits',
    );
    assert.ok(!('Sec-WebSocket-Extensions' in requestFields(plain)));
  });

  test('names no subprotocol where there is none', () => {
    assert.ok(!('Sec-WebSocket-Protocol' in requestFields(plain)));
  });

  test('refuses wrong subprotocols', () => {
    assert.throws(() => requestFields({ ...plain, protocols: ['a', 'a'] }), {
      code: 'INVALID_PROTOCOL',
    });
  });

  for (const name of [
    ...[
      'connection',
      'Upgrade',
      'SEC-WEBSOCKET-KEY',
      'Sec-WebSocket-Version',
      'Sec-WebSocket-Accept',
    ],
    ...[
      'Sec-WebSocket-Protocol',
      'Sec-WebSocket-Extensions',
      'Content-Length',
      'Transfer-Encoding',
      'a b',
    ],
  ]) {
    test(`refuses the header ${name}`, () => {
      assert.throws(() => requestFields({ ...plain, headers: { [name]: 'x' } }), {
        code: 'INVALID_HEADER',
      });
    });
  }
});

describe('the response', () => {
  const right = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': 'abc=' };

  function check(
    fields: Record<string, string | string[] | undefined>,
    status = 101,
    compression?: ResolvedCompression,
  ) {
    const raw: string[] = [];
    for (const [name, value] of Object.entries({ ...right, ...fields })) {
      for (const line of [value ?? []].flat()) raw.push(name, line);
    }
    return checkResponse(
      { status, fields: new HeaderFields(raw) },
      { accept: 'abc=', protocols: ['chat', 'superchat'], compression },
    );
  }

  const none = { protocol: '', extensions: '', agreement: undefined };

  test('switches protocols', () => {
    assert.deepEqual(check({}), none);
    assert.deepEqual(check({ 'Sec-WebSocket-Protocol': 'superchat' }), {
      ...none,
      protocol: 'superchat',
    });
    assert.deepEqual(check({ Upgrade: 'WebSocket', Connection: 'keep-alive, upgrade' }), none);
    assert.deepEqual(check({ 'Sec-WebSocket-Extensions': '' }), none);
  });

  const wrong: [string, Record<string, string | string[] | undefined>][] = [
    ['RESPONSE_UPGRADE', { Upgrade: undefined }],
    ['RESPONSE_UPGRADE', { Upgrade: 'h2c' }],
    ['RESPONSE_UPGRADE', { Upgrade: ['websocket', 'websocket'] }],
    ['RESPONSE_UPGRADE', { Upgrade: 'websocket, h2c' }],
    ['RESPONSE_CONNECTION', { Connection: undefined }],
    ['RESPONSE_CONNECTION', { Connection: 'close' }],
    ['ACCEPT_INVALID', { 'Sec-WebSocket-Accept': undefined }],
    ['ACCEPT_INVALID', { 'Sec-WebSocket-Accept': 'ABC=' }],
    ['ACCEPT_INVALID', { 'Sec-WebSocket-Accept': ['abc=', 'abc='] }],
    ['RESPONSE_EXTENSION', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }],
    ['RESPONSE_PROTOCOL', { 'Sec-WebSocket-Protocol': 'other' }],
    ['RESPONSE_PROTOCOL', { 'Sec-WebSocket-Protocol': '' }],
    ['RESPONSE_PROTOCOL', { 'Sec-WebSocket-Protocol': 'Chat' }],
    ['RESPONSE_PROTOCOL', { 'Sec-WebSocket-Protocol': 'chat, superchat' }],
    ['RESPONSE_PROTOCOL', { 'Sec-WebSocket-Protocol': ['chat', 'chat'] }],
  ];
  for (const [code, fields] of wrong) {
    test(`${JSON.stringify(fields)} fails: ${code}`, () => {
      assert.deepEqual(check(fields), { reject: code });
    });
  }

  test('may accept the compression that was offered, and that alone', () => {
    const offered = resolveCompression(true);
    const accepted =
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=10';
    assert.deepEqual(check({ 'Sec-WebSocket-Extensions': accepted }, 101, offered), {
      protocol: '',
      extensions: accepted,
      agreement: {
        deflateTakeover: false,
        deflateWindowBits: 10,
        inflateTakeover: false,
        inflateWindowBits: 15,
      },
    });
    assert.deepEqual(check({}, 101, offered), none);
    for (const lines of ['permessage-deflate', 'other', 'a;', ['permessage-deflate', 'other']]) {
      assert.deepEqual(check({ 'Sec-WebSocket-Extensions': lines }, 101, offered), {
        reject: 'RESPONSE_EXTENSION',
      });
    }
    assert.deepEqual(check({ 'Sec-WebSocket-Extensions': 'a;' }), { reject: 'RESPONSE_EXTENSION' });
  });

  for (const status of [200, 100, 302, 401, 500]) {
    test(`${status} fails`, () =>
      assert.deepEqual(check({}, status), { reject: 'STATUS_NOT_101' }));
  }
});
