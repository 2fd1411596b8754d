import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { environmentProxy } from '../../../dist/node/client/proxy-environment.js';
import { parseWebSocketUrl } from '../../../dist/node/client/websocket-url.js';

type Environment = Readonly<Record<string, string>>;

/** The proxy for a URL, as `host:port`; undefined for none. */
function proxyFor(url: string, env: Environment): string | undefined {
  const target = parseWebSocketUrl(url);
  assert.ok(target.socketPath === undefined);
  const proxy = environmentProxy(target, env);
  return proxy && `${proxy.encrypted ? 'https ' : ''}${proxy.host}:${proxy.port}`;
}

describe('which variable', () => {
  const rules: [url: string, env: Environment, expected: string | undefined][] = [
    ['ws://h', {}, undefined],
    ['ws://h', { PATH: '/bin' }, undefined],
    ['ws://h', { ws_proxy: 'http://p:1' }, 'p:1'],
    ['ws://h', { WS_PROXY: 'http://p:1' }, 'p:1'],
    ['ws://h', { http_proxy: 'http://p:1' }, 'p:1'],
    ['ws://h', { HTTP_PROXY: 'http://p:1' }, 'p:1'],
    ['ws://h', { all_proxy: 'http://p:1' }, 'p:1'],
    ['ws://h', { ALL_PROXY: 'http://p:1' }, 'p:1'],
    ['ws://h', { wss_proxy: 'http://p:1', https_proxy: 'http://p:2' }, undefined],
    ['ws://h', { WS_PROXY: 'p:1', http_proxy: 'p:2', all_proxy: 'p:3' }, 'p:1'],
    ['ws://h', { HTTP_PROXY: 'p:2', all_proxy: 'p:3' }, 'p:2'],
    ['ws://h', { ws_proxy: 'p:1', WS_PROXY: 'p:2' }, 'p:1'],
    ['ws://h', { http_proxy: 'p:1', HTTP_PROXY: 'p:2' }, 'p:1'],
    ['ws://h', { all_proxy: 'p:1', ALL_PROXY: 'p:2' }, 'p:1'],
    ['wss://h', { wss_proxy: 'p:1' }, 'p:1'],
    ['wss://h', { WSS_PROXY: 'p:1' }, 'p:1'],
    ['wss://h', { https_proxy: 'p:1' }, 'p:1'],
    ['wss://h', { HTTPS_PROXY: 'p:1' }, 'p:1'],
    ['wss://h', { ALL_PROXY: 'p:1' }, 'p:1'],
    ['wss://h', { ws_proxy: 'p:1', http_proxy: 'p:2' }, undefined],
    ['wss://h', { HTTPS_PROXY: 'p:1', all_proxy: 'p:2' }, 'p:1'],
    // Set to nothing is not set.
    ['ws://h', { ws_proxy: '', http_proxy: ' ', HTTP_PROXY: 'p:1' }, 'p:1'],
    ['ws://h', { all_proxy: '' }, undefined],
    // A CGI program's HTTP_PROXY is the Proxy header of a request.
    ['ws://h', { HTTP_PROXY: 'p:1', REQUEST_METHOD: 'GET' }, undefined],
    ['ws://h', { HTTP_PROXY: 'p:1', REQUEST_METHOD: '', all_proxy: 'p:2' }, 'p:2'],
    ['ws://h', { http_proxy: 'p:1', REQUEST_METHOD: 'GET' }, 'p:1'],
    ['wss://h', { HTTPS_PROXY: 'p:1', REQUEST_METHOD: 'GET' }, 'p:1'],
    // As with other schemes, of which these variables tell as well.
    ['ws://h', { all_proxy: 'socks5://p:1', http_proxy: 'p:2' }, 'p:2'],
  ];
  for (const [url, env, expected] of rules) {
    test(`${url} ${JSON.stringify(env)}`, () => assert.equal(proxyFor(url, env), expected));
  }
});

describe('what a value means', () => {
  const rules: [value: string, expected: string][] = [
    ['p', 'p:80'],
    ['p/', 'p:80'],
    ['http://p', 'p:80'],
    ['https://p', 'https p:443'],
    ['HTTPS://P:8443/', 'https p:8443'],
    ['10.0.0.1:3128', '10.0.0.1:3128'],
    ['http://[::1]:3128', '::1:3128'],
    [' http://p:1 ', 'p:1'],
    ['user:password@p:1', 'p:1'],
  ];
  for (const [value, expected] of rules) {
    test(value, () => assert.equal(proxyFor('ws://h', { all_proxy: value }), expected));
  }

  test('a user and a password are decoded', () => {
    const target = parseWebSocketUrl('ws://h');
    assert.ok(target.socketPath === undefined);
    const env = { http_proxy: 'http://us%40er:p%3Ass%C3%BC@p' };
    const { authorization } = environmentProxy(target, env) ?? {};
    assert.equal(authorization, `Basic ${Buffer.from('us@er:p:ss\u00fc').toString('base64')}`);
  });
});

describe('no_proxy', () => {
  const exempt: [url: string, list: string][] = [
    ['ws://h', '*'],
    ['ws://h', 'a,*'],
    ['ws://h', 'h'],
    ['ws://h', 'a, h'],
    ['ws://h', 'a h\tb'],
    ['ws://h', ',,h,'],
    ['ws://H.Example', 'h.example'],
    ['ws://h.example', 'H.EXAMPLE'],
    ['ws://h.example', 'example'],
    ['ws://a.h.example', 'h.example'],
    ['ws://a.h.example', '.h.example'],
    ['ws://h.example', '.h.example'],
    ['ws://a.h.example', '*.h.example'],
    ['ws://h.example.', 'h.example'],
    ['ws://h.example', 'h.example.'],
    ['ws://b\u00fccher.example', 'b\u00fccher.example'],
    ['ws://h:8080', 'h:8080'],
    ['ws://h', 'h:80'],
    ['wss://h', 'h:443'],
    ['wss://a.h:1', '.h:1'],
    ['ws://127.0.0.1', '127.0.0.1'],
    ['ws://127.1', '127.0.0.1'],
    ['ws://127.0.0.1:9', '127.0.0.1:9'],
    ['ws://10.20.30.40', '10.0.0.0/8'],
    ['ws://10.20.30.40', '10.20.30.40/32'],
    ['ws://10.20.30.40', '0.0.0.0/0'],
    ['ws://[::1]', '::1'],
    ['ws://[::1]', '[::1]'],
    ['ws://[::1]:7', '[::1]:7'],
    ['ws://[0:0::1]', '0:0:0:0:0:0:0:1'],
    ['ws://[fd00::abcd]', 'fd00::/8'],
    ['ws://[::ffff:10.1.2.3]', '10.0.0.0/8'],
  ];
  for (const [url, list] of exempt) {
    test(`exempts ${url}: ${list}`, () => {
      assert.equal(proxyFor(url, { all_proxy: 'p', no_proxy: list }), undefined);
      assert.equal(proxyFor(url, { all_proxy: 'p', NO_PROXY: list }), undefined);
      assert.equal(proxyFor(url, { all_proxy: 'p', no_proxy: 'other', NO_PROXY: list }), 'p:80');
    });
  }

  const not: [url: string, list: string][] = [
    ['ws://h', ''],
    ['ws://h', 'a'],
    ['ws://bh', 'h'],
    ['ws://h.example', 'a.h.example'],
    ['ws://h.example.other', 'h.example'],
    ['ws://h', 'h:81'],
    ['wss://h', 'h:80'],
    ['ws://127.0.0.1', '127.0.0.2'],
    ['ws://127.0.0.1:9', '127.0.0.1:10'],
    ['ws://110.0.0.1', '10.0.0.1'],
    ['ws://a.127.0.0.x', '127.0.0.x.a'],
    ['ws://11.0.0.1', '10.0.0.0/8'],
    ['ws://[::2]', '::1'],
    ['ws://[::1]:8', '[::1]:7'],
    ['ws://[fe80::1]', 'fd00::/8'],
    // What a name resolves to is not looked up.
    ['ws://localhost', '127.0.0.1,::1,0.0.0.0/0'],
    ['ws://127.0.0.1', 'localhost'],
  ];
  for (const [url, list] of not) {
    test(`does not exempt ${url}: ${list}`, () => {
      assert.equal(proxyFor(url, { all_proxy: 'p', no_proxy: list }), 'p:80');
    });
  }
});

describe('what cannot be used is told with the name of the variable, and no password', () => {
  const wrong: [env: Environment, says: string][] = [
    [{ http_proxy: 'socks5://u:s3cret@p:1' }, 'http_proxy'],
    [{ ALL_PROXY: 'ftp://u:s3cret@p' }, 'ALL_PROXY'],
    [{ ws_proxy: 'u:s3cret@p:99999' }, 'ws_proxy'],
    [{ HTTP_PROXY: 'u:s3cret@' }, 'HTTP_PROXY'],
    [{ http_proxy: 'http://u:s3cret@p/path' }, 'http_proxy'],
    [{ http_proxy: 'http://u:s3cret@p/?q' }, 'http_proxy'],
    [{ http_proxy: 'http://u:s3cret@p/#f' }, 'http_proxy'],
    [{ http_proxy: 'http://u:s3cret%zz@p' }, 'http_proxy'],
    [{ http_proxy: 'http://u%3Av:s3cret@p' }, 'http_proxy'],
    [{ http_proxy: 'http://u:s3cret%0D%0A@p' }, 'http_proxy'],
    [{ http_proxy: 'p', no_proxy: '10.0.0.0/33' }, 'no_proxy has "10.0.0.0/33"'],
    [{ http_proxy: 'p', no_proxy: 'h,10.0.0.0/' }, 'no_proxy has "10.0.0.0/"'],
    [{ http_proxy: 'p', NO_PROXY: '::/129' }, 'NO_PROXY has "::/129"'],
    [{ http_proxy: 'p', no_proxy: '10.0.0.0/8/8' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: '10.0.0/8' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: '[::1' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: ':80' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: 'a:b' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: 'http://h' }, 'no_proxy'],
    [{ http_proxy: 'p', no_proxy: '<local>' }, 'no_proxy'],
  ];
  for (const [env, says] of wrong) {
    test(JSON.stringify(env), () => {
      assert.throws(
        () => proxyFor('ws://h', env),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'INVALID_OPTION');
          assert.ok(error.message.includes(`: ${says}`), error.message);
          assert.doesNotMatch(error.message + String(error.cause), /s3cret/);
          return true;
        },
      );
    });
  }

  test('but not where it is not used', () => {
    const broken = 'socks5://p';
    assert.equal(proxyFor('ws://h', { https_proxy: broken, wss_proxy: broken }), undefined);
    assert.equal(proxyFor('ws://h', { http_proxy: broken, no_proxy: 'h' }), undefined);
    assert.equal(proxyFor('ws://h', { no_proxy: '<local>' }), undefined);
  });
});

test('a long list is read in linear time', () => {
  const list = `${'a.'.repeat(50_000)}example,${'x,'.repeat(50_000)}${'['.repeat(50_000)}`;
  assert.throws(() => proxyFor('ws://h', { http_proxy: 'p', no_proxy: list }), {
    code: 'INVALID_OPTION',
  });
});
