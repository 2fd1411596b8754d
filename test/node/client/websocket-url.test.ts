import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connect } from '../../../dist/index.js';
import { parseWebSocketUrl } from '../../../dist/node/client/websocket-url.js';

describe('where a URL leads', () => {
  const good: [string, Partial<ReturnType<typeof parseWebSocketUrl>>][] = [
    ['ws://host', { encrypted: false, host: 'host', port: 80, path: '/' }],
    ['wss://host', { encrypted: true, host: 'host', port: 443, path: '/' }],
    ['WSS://HOST/Path', { encrypted: true, host: 'host', path: '/Path' }],
    ['ws://host:8080/a/b?c=d&e', { port: 8080, path: '/a/b?c=d&e' }],
    ['ws://host?x', { path: '/?x' }],
    ['ws://127.0.0.1:1/', { host: '127.0.0.1', port: 1 }],
    ['ws://[::1]:9/', { host: '::1', port: 9 }],
    ['wss://host:443/', { port: 443 }],
    ['ws://b\u00fccher.example/\u00fc', { host: 'xn--bcher-kva.example', path: '/%C3%BC' }],
    ['ws+unix:/run/a.sock', { socketPath: '/run/a.sock', path: '/', host: undefined }],
    ['ws+unix:///run/a.sock', { socketPath: '/run/a.sock', path: '/' }],
    ['ws+unix:/run/a.sock:/chat?room=1', { socketPath: '/run/a.sock', path: '/chat?room=1' }],
    ['ws+unix:/run/a%20b%3Ac%23.sock:/x', { socketPath: '/run/a b:c#.sock', path: '/x' }],
  ];
  for (const [url, expected] of good) {
    test(url, () => {
      const target = parseWebSocketUrl(url);
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual({ [name]: Reflect.get(target, name) }, { [name]: value });
      }
    });
  }

  test('a URL object', () => {
    assert.equal(parseWebSocketUrl(new URL('ws://host/x')).path, '/x');
  });
});

describe('no WebSocket URL', () => {
  const bad = [
    '',
    'host',
    '/path',
    'host:80',
    'http://host',
    'https://host',
    'ftp://host/',
    'ws:',
    'ws://',
    'ws://host:99999',
    'ws://ho st/',
    'ws://host/#fragment',
    'ws://host/#',
    'ws://user@host/',
    'ws://user:secret@host/',
    'ws+unix:',
    'ws+unix:/run/a.sock:chat',
    'ws+unix:/run/%zz.sock',
    'ws+unix://run/a.sock',
  ];
  for (const url of bad) {
    test(JSON.stringify(url), async () => {
      await assert.rejects(connect(url), { name: 'ApertoError', code: 'INVALID_URL' });
    });
  }

  test('a password does not stand in the message', async () => {
    await assert.rejects(connect('ws://user:secret@host/'), ({ message }: Error) => {
      assert.doesNotMatch(message, /secret/);
      return true;
    });
  });
});
