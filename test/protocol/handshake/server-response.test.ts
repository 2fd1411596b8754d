import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  acceptResponse,
  checkRefusal,
  refusalResponse,
} from '../../../dist/protocol/handshake/server-response.js';
import { testPlatform } from '../test-platform.ts';

test('the response that switches protocols', () => {
  assert.equal(
    acceptResponse({ accept: 'abc=', protocol: '', deflate: undefined }),
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      'Sec-WebSocket-Accept: abc=\r\n\r\n',
  );
  assert.match(
    acceptResponse({ accept: 'abc=', protocol: 'chat', deflate: undefined }),
    /\r\nSec-WebSocket-Protocol: chat\r\n\r\n$/,
  );
});

test('names the extensions that were chosen', () => {
  const agreement = {
    deflateTakeover: true,
    deflateWindowBits: 15,
    inflateTakeover: true,
    inflateWindowBits: 15,
  };
  assert.match(
    acceptResponse({
      accept: 'abc=',
      protocol: '',
      deflate: { agreement, response: 'permessage-deflate' },
    }),
    /\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n$/,
  );
});

function refused(status: number, headers: Record<string, string>, body: string): string {
  return Buffer.from(refusalResponse(status, headers, body, testPlatform)).toString('latin1');
}

test('a refusal is a whole response, the last of its connection', () => {
  assert.equal(
    refused(403, {}, 'nö\n'),
    'HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n' +
      `Connection: close\r\n\r\n${Buffer.from('nö\n').toString('latin1')}`,
  );
});

test('with headers of the application, in Latin-1', () => {
  const text = refused(
    401,
    { 'WWW-Authenticate': 'Basic', 'content-TYPE': 'text/html', X: 'ä' },
    '',
  );
  assert.ok(text.startsWith('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n'), text);
  assert.equal(text.match(/content-type/gi)?.length, 1);
  assert.match(text, /\r\nX: ä\r\nContent-Length: 0\r\n/);
});

test('what Connection names is named besides close', () => {
  assert.match(
    refused(426, { Upgrade: 'websocket', Connection: 'Upgrade' }, ''),
    /\r\nConnection: Upgrade, close\r\n/,
  );
});

test('a status without a phrase keeps the space', () => {
  assert.ok(refused(599, {}, '').startsWith('HTTP/1.1 599 \r\n'));
});

for (const status of [200, 299, 304, 600, 400.5, Number.NaN]) {
  test(`${status} refuses nothing`, () => {
    assert.throws(() => checkRefusal(status, {}), { code: 'INVALID_OPTION' });
    assert.throws(() => refused(status, {}, ''), { code: 'INVALID_OPTION' });
  });
}

for (const headers of [
  { 'Content-Length': '5' },
  { 'transfer-encoding': 'chunked' },
  { a: 'b\r\nc: d' },
]) {
  test(`${JSON.stringify(headers)} is refused`, () => {
    assert.throws(() => checkRefusal(400, headers), { code: 'INVALID_HEADER' });
  });
}
