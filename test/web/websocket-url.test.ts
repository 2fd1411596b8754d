import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import { checkSubprotocols, urlRecord } from '../../dist/web/websocket-url.js';

const isSyntaxError = (error: unknown): boolean =>
  error instanceof DOMException && error.name === 'SyntaxError';

/** Sets a global that only browsers have. */
function pretend(t: TestContext, name: 'location' | 'document', value: object): void {
  Object.defineProperty(globalThis, name, { value, configurable: true });
  t.after(() => Reflect.deleteProperty(globalThis, name));
}

suite('the URL record', () => {
  test('ws and wss stay, http and https become them, and what is in it stays', () => {
    const records = [
      ['ws://example.com', 'ws://example.com/'],
      ['wss://example.com:443/a?b', 'wss://example.com/a?b'],
      ['http://example.com:80/', 'ws://example.com/'],
      ['http://example.com:443/', 'ws://example.com:443/'],
      ['https://example.com:443/', 'wss://example.com/'],
      ['https://example.com:80/', 'wss://example.com:80/'],
      ['WS://Ex\u00e4mple.com/\u20ac', 'ws://xn--exmple-cua.com/%E2%82%AC'],
      ['ws://user:secret@example.com/', 'ws://user:secret@example.com/'],
      [' ws://example.com/\ud800\n', 'ws://example.com/%EF%BF%BD'],
      ['ws://example.com/%23', 'ws://example.com/%23'],
    ];
    for (const [url, href] of records) assert.equal(urlRecord(String(url)).href, href);
  });

  test('a SyntaxError for other schemes, fragments and what is no URL', () => {
    const wrong = [
      'ftp://example.com/',
      'ws+unix:/socket:/path',
      'about:blank',
      'mailto:someone@example.com',
      'ws://example.com/#part',
      'ws://example.com/#',
      'https://example.com/?a#',
      'ws://',
      'ws://example.com:70000/',
      '',
    ];
    for (const url of wrong) assert.throws(() => urlRecord(url), isSyntaxError, url);
  });

  test('a relative URL has no base in Node', () => {
    for (const url of ['/chat', '//example.com/chat', 'chat', '?room=1']) {
      assert.throws(() => urlRecord(url), isSyntaxError, url);
    }
  });

  test('in a worker the base is its location', (t) => {
    pretend(t, 'location', { href: 'https://example.com/app/worker.js' });
    assert.equal(urlRecord('chat?room=1').href, 'wss://example.com/app/chat?room=1');
    assert.equal(urlRecord('ws://other.example/').href, 'ws://other.example/');
  });

  test('in a page the base is that of the document', (t) => {
    pretend(t, 'location', { href: 'https://example.com/app/' });
    pretend(t, 'document', { baseURI: 'http://other.example/base/' });
    assert.equal(urlRecord('chat').href, 'ws://other.example/base/chat');
  });
});

suite('subprotocols', () => {
  test('distinct tokens are accepted', () => {
    checkSubprotocols([]);
    checkSubprotocols(['chat', 'Chat', "!#$%&'*+-.^_`|~", 'mqtt3.1']);
  });

  test('a SyntaxError for what is no token, or there twice', () => {
    for (const protocols of [[''], ['a b'], ['a,b'], ['a', 'b', 'a'], ['caf\u00e9'], ['a\n']]) {
      assert.throws(() => checkSubprotocols(protocols), isSyntaxError, String(protocols));
    }
    for (const separator of '()<>@,;:\\"/[]?={} \t\x7f\x00') {
      assert.throws(() => checkSubprotocols([separator]), isSyntaxError, separator);
    }
  });
});
