import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import {
  type AttachOptions,
  attach,
  connect,
  defaultLimits,
  type ErrorCode,
  type Limits,
  type Route,
  serve,
} from '../../dist/index.js';

/** A value that the compiler would not let through, as JavaScript may hand in. */
function wrong<T>(value: unknown): T {
  return value as T;
}

describe('limits', () => {
  for (const name of Object.keys(defaultLimits)) {
    for (const value of [0, -1, 1.5, Number.NaN, 2 ** 53, '1000', null, true]) {
      test(`${name} is not ${JSON.stringify(value)} ${typeof value}`, async () => {
        const limits = wrong<Partial<Limits>>({ [name]: value });
        const expected = { name: 'ApertoError', code: 'INVALID_OPTION', message: new RegExp(name) };
        await assert.rejects(serve({ routes: {}, limits }), expected);
        await assert.rejects(serve({ routes: { '/': { limits } } }), expected);
        await assert.rejects(connect('ws://127.0.0.1:9', { limits }), expected);
        const http = createServer();
        assert.throws(() => attach(http, { routes: {}, limits }), expected);
        assert.equal(http.listenerCount('upgrade'), 0);
      });
    }
  }

  test('an unknown one is told by name', async () => {
    const limits = wrong<Partial<Limits>>({ maxMessageByte: 1 });
    await assert.rejects(serve({ routes: {}, limits }), /maxMessageByte\b/);
  });

  test('a route is laid over the server, the server over the defaults', async (t) => {
    const server = await serve({
      limits: { maxMessageBytes: 10, maxFragments: 3 },
      routes: { '/': { limits: { maxMessageBytes: 20 } } },
    });
    t.after(() => server.close());
    const peer = await connect(server.url);
    peer.send('x'.repeat(20));
    peer.send('x'.repeat(21));
    assert.equal((await peer.closed).code, 1009);
  });
});

describe('what is no option', () => {
  const routeCases: [name: string, route: Route<undefined>, code: ErrorCode][] = [
    ['slowPeers', wrong({ slowPeers: 'ignore' }), 'INVALID_OPTION'],
    ['origins', wrong({ origins: 'http://a.example' }), 'INVALID_OPTION'],
    ['an origin', { origins: ['http://a.example/'] }, 'INVALID_OPTION'],
    ['protocols', wrong({ protocols: 'chat' }), 'INVALID_PROTOCOL'],
    ['a protocol', { protocols: ['a b'] }, 'INVALID_PROTOCOL'],
    ['protocols twice', { protocols: ['a', 'a'] }, 'INVALID_PROTOCOL'],
  ];
  for (const [name, route, code] of routeCases) {
    test(`${name} of a route`, async () => {
      await assert.rejects(serve({ routes: { '/': route } }), { code });
      assert.throws(() => attach(createServer(), { routes: { '/': route } }), { code });
    });
  }

  const attachCases: [name: string, options: AttachOptions<undefined>][] = [
    ['hosts', wrong({ routes: {}, hosts: 'localhost' })],
    ['a host', { routes: {}, hosts: ['http://localhost'] }],
  ];
  for (const [name, options] of attachCases) {
    test(`${name} of a server`, async () => {
      await assert.rejects(serve(options), { code: 'INVALID_OPTION' });
    });
  }

  for (const port of [-1, 65_536, 1.5, Number.NaN, '80']) {
    test(`port ${port} ${typeof port}`, async () => {
      await assert.rejects(serve({ routes: {}, port: wrong(port) }), { code: 'INVALID_OPTION' });
    });
  }

  test('connect', async () => {
    const url = 'ws://127.0.0.1:9';
    const cases: [Parameters<typeof connect>[1], ErrorCode][] = [
      [{ protocols: ['a', 'a'] }, 'INVALID_PROTOCOL'],
      [{ protocols: [''] }, 'INVALID_PROTOCOL'],
      [{ headers: { 'a b': 'c' } }, 'INVALID_HEADER'],
      [{ headers: { a: 'b\r\nc: d' } }, 'INVALID_HEADER'],
      [{ headers: { Upgrade: 'h2c' } }, 'INVALID_HEADER'],
      [{ slowPeers: wrong('ignore') }, 'INVALID_OPTION'],
    ];
    for (const [options, code] of cases) await assert.rejects(connect(url, options), { code });
  });

  for (const timeoutMs of [-1, Number.NaN, '100']) {
    test(`close within ${timeoutMs}`, async (t) => {
      const server = await serve({ routes: {} });
      t.after(() => server.close());
      assert.throws(() => server.close({ timeoutMs: wrong(timeoutMs) }), {
        code: 'INVALID_OPTION',
      });
    });
  }
});

describe('times longer than a timer of Node can be set', () => {
  for (const ms of [2 ** 31, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY]) {
    test(`${ms} ms do not strike at once`, async (t) => {
      const warnings: string[] = [];
      const onWarning = ({ name }: Error): void => void warnings.push(name);
      process.on('warning', onWarning);
      t.after(() => process.off('warning', onWarning));
      const limits = { handshakeTimeoutMs: ms, messageTimeoutMs: ms, closeTimeoutMs: ms };
      const server = await serve({
        limits,
        routes: {
          '/': {
            async upgrade() {
              await new Promise((resolve) => setTimeout(resolve, 30));
              return undefined;
            },
          },
        },
      });
      const peer = await connect(server.url, { limits });
      assert.equal(peer.state, 'open');
      await server.close({ timeoutMs: ms });
      assert.equal((await peer.closed).code, 1001);
      assert.deepEqual(warnings, []);
    });
  }
});
