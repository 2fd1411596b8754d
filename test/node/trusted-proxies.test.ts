import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, type TestContext, test } from 'node:test';
import { type Peer, type ServeOptions, type Server, serve } from '../../dist/index.js';
import { trustedProxies } from '../../dist/node/trusted-proxies.js';
import { localCertificate } from '../faults/certificate.ts';
import { dialHttp2 } from '../faults/http2-peer.ts';
import { dialTo, expectFailureCode, Mailbox, startServer } from './connections.ts';

suite('what may be listed', () => {
  test('addresses and networks of both families', async () => {
    const list = ['10.0.0.0/8', '127.0.0.1', '::1', 'fd00::/8', '192.0.2.7/32', '2001:db8::/128'];
    await (await serve({ routes: {}, trustedProxies: list })).close();
    await (await serve({ routes: {}, trustedProxies: [] })).close();
  });

  for (const entry of [
    ...['', ' ', 'localhost', '10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '10.0.0.0/8/8', '10.0.0'],
    ...[
      '::/129',
      '10.0.0.0/ 8',
      ' 10.0.0.1',
      '10.0.0.1:80',
      '[::1]',
      '1e3',
      '*',
      '0x7f.1',
      '10.0.0.0/8.0',
    ],
    ...['10.0.0.0/1e1', '10.0.0.0-10.0.0.9', '256.1.1.1', '010.0.0.1'],
    ...[7, null, undefined, {}, ['10.0.0.1']],
  ]) {
    test(`not ${JSON.stringify(entry)}`, async () => {
      const list = ['10.0.0.1', entry] as string[];
      await assert.rejects(serve({ routes: {}, trustedProxies: list }), {
        code: 'INVALID_OPTION',
        message: /trustedProxies/,
      });
    });
  }

  for (const list of ['10.0.0.0/8', null, true, { 0: '10.0.0.1' }, new Set(['10.0.0.1'])]) {
    test(`a list, and not ${String(list)}`, async () => {
      await assert.rejects(serve({ routes: {}, trustedProxies: list as unknown as string[] }), {
        code: 'INVALID_OPTION',
        message: /trustedProxies/,
      });
    });
  }
});

suite('who is one', () => {
  const cases: readonly (readonly [string, string, 'proxy' | 'client' | 'invalid'])[] = [
    ['10.0.0.0/8', '10.255.255.255', 'proxy'],
    ['10.0.0.0/8', '11.0.0.0', 'client'],
    ['10.1.2.3/8', '10.9.9.9', 'proxy'],
    ['0.0.0.0/0', '203.0.113.9', 'proxy'],
    ['192.0.2.1', '192.0.2.1', 'proxy'],
    ['192.0.2.1', '192.0.2.2', 'client'],
    ['192.0.2.1/32', '192.0.2.1', 'proxy'],
    ['2001:db8::/32', '2001:db8:ffff::1', 'proxy'],
    ['2001:db8::/32', '2001:DB8:0:0::1', 'proxy'],
    ['2001:db8::/32', '2001:db9::1', 'client'],
    // A socket that listens on `::` tells of IPv4 like this.
    ['10.0.0.0/8', '::ffff:10.1.1.1', 'proxy'],
    ['10.0.0.0/8', '::ffff:a01:101', 'proxy'],
    ['10.0.0.0/8', '::ffff:11.1.1.1', 'client'],
    ['::ffff:10.0.0.0/104', '10.1.1.1', 'proxy'],
    ['::ffff:10.0.0.0/104', '11.1.1.1', 'client'],
    // No other address of IPv6 that ends in one of IPv4.
    ['10.0.0.0/8', '::10.1.1.1', 'client'],
    ['10.0.0.0/8', '64:ff9b::10.1.1.1', 'client'],
    ['::1', '127.0.0.1', 'client'],
    ['fe80::/10', 'fe80::1%lo', 'proxy'],
    ['10.0.0.0/8', 'unknown', 'invalid'],
    ['10.0.0.0/8', '10.0.0.0/8', 'invalid'],
    ['10.0.0.0/8', '', 'invalid'],
  ];
  for (const [entry, address, expected] of cases) {
    test(`with ${entry}, ${address === '' ? 'nothing' : address} is ${expected}`, () => {
      assert.equal(trustedProxies([entry])?.(address), expected);
    });
  }
});

type Ask = (headers: Readonly<Record<string, string>>) => Promise<number>;

/** A server on 127.0.0.1 that records who has come, and a client that asks with such headers: the status of its answer. */
interface Setting {
  readonly server: Server;
  readonly seen: Mailbox<Peer>;
  readonly ask: Ask;
}

type Way = 'HTTP/1.1' | 'HTTP/2' | 'TLS';

async function setUp(
  t: TestContext,
  way: Way,
  options: Partial<ServeOptions<undefined>>,
): Promise<Setting> {
  const seen = new Mailbox<Peer>();
  const tls = way === 'TLS' ? { tls: await localCertificate() } : {};
  const server = await startServer<undefined>(t, {
    ...(way === 'HTTP/2' ? { http2: true } : tls),
    routes: { '/': { open: seen.put } },
    ...options,
  });
  if (way === 'HTTP/2') {
    const session = await dialHttp2(t, server.port, false);
    const ask: Ask = async (headers) =>
      Number((await session.connect('/', headers).headers())[':status']);
    return { server, seen, ask };
  }
  const ca = way === 'TLS' ? { tls: { ca: (await localCertificate()).cert } } : {};
  const ask: Ask = async (headers) => {
    const dialling = dialTo(t, server.url, { headers, ...ca, http2: false });
    const status = await dialling.then(
      () => 200,
      () => undefined,
    );
    return status ?? (await expectFailureCode(dialling, 'STATUS_NOT_101')).response?.status ?? 0;
  };
  return { server, seen, ask };
}

for (const way of ['HTTP/1.1', 'TLS', 'HTTP/2'] as const) {
  suite(`over ${way}`, () => {
    const trusting = { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] };

    test('a listed proxy says who the client is: the request and the peer have it', async (t) => {
      const { seen, ask } = await setUp(t, way, trusting);
      for (const [forwarded, expected] of [
        ['203.0.113.5', '203.0.113.5'],
        ['2001:db8::5', '2001:db8::5'],
        ['203.0.113.5, 10.0.0.7', '203.0.113.5'],
        // Forged: what the client sent stands before what the proxy has seen.
        ['198.51.100.66, 203.0.113.5', '203.0.113.5'],
        ['127.0.0.1, 203.0.113.5', '203.0.113.5'],
        ['fe80::1%eth0, 203.0.113.5', '203.0.113.5'],
        // As far as it is known.
        ['rubbish', '127.0.0.1'],
        ['203.0.113.5, rubbish, 10.0.0.7', '10.0.0.7'],
        [',', '127.0.0.1'],
      ] as const) {
        assert.equal(await ask({ 'x-forwarded-for': forwarded }), 200);
        const peer = await seen.next();
        assert.equal(peer.remoteAddress, expected, forwarded);
        assert.equal(peer.request.remoteAddress, expected);
        // What it says is what was sent.
        assert.equal(peer.request.headers['x-forwarded-for'], forwarded);
      }
    });

    test('of anybody else, these headers mean nothing', async (t) => {
      for (const options of [{}, { trustedProxies: [] }, { trustedProxies: ['10.0.0.0/8'] }]) {
        const { seen, ask } = await setUp(t, way, options);
        const headers = { 'x-forwarded-for': '203.0.113.5', 'x-forwarded-proto': 'https' };
        assert.equal(await ask(headers), 200);
        assert.equal((await seen.next()).remoteAddress, '127.0.0.1');
      }
    });

    test('other headers mean nothing, whoever sends them', async (t) => {
      const { seen, ask } = await setUp(t, way, trusting);
      const headers = {
        forwarded: 'for=203.0.113.5;proto=https',
        'x-real-ip': '203.0.113.5',
        'true-client-ip': '203.0.113.5',
        'x-client-ip': '203.0.113.5',
        'x-forwarded-host': 'other.example',
      };
      assert.equal(await ask(headers), 200);
      assert.equal((await seen.next()).remoteAddress, '127.0.0.1');
    });

    test('the limit of an address is that of the client, not of the proxy', async (t) => {
      const limits = { maxConnectionsPerAddress: 2 };
      const { server, ask } = await setUp(t, way, { ...trusting, limits });
      const from = (address: string) => ask({ 'x-forwarded-for': address });
      for (let i = 1; i <= 4; i++) {
        assert.equal(await from(`203.0.113.${i}`), 200);
        assert.equal(await from(`203.0.113.${i}`), 200);
        assert.equal(await from(`203.0.113.${i}`), 503);
        // No forged entry makes another client of it.
        assert.equal(await from(`198.51.100.${i}, 203.0.113.${i}`), 503);
      }
      assert.equal(server.peers.size, 8);
      for (const peer of server.peers) {
        if (peer.remoteAddress === '203.0.113.2') peer.terminate();
      }
      while (server.peers.size > 6) await new Promise(setImmediate);
      assert.equal(await from('203.0.113.2'), 200);
      assert.equal(await from('203.0.113.3'), 503);
    });

    test('whether a page of http: is of the same origin, the proxy’s scheme says', async (t) => {
      const { server, ask } = await setUp(t, way, trusting);
      const own = `127.0.0.1:${server.port}`;
      const page = (scheme: string, proto?: string) =>
        ask({
          origin: `${scheme}://${own}`,
          ...(proto === undefined ? {} : { 'x-forwarded-proto': proto }),
        });
      assert.equal(await page('http', 'https'), 403);
      assert.equal(await page('https', 'https'), 200);
      assert.equal(await page('http', 'http'), 200);
      // What is not said is as the connection itself is.
      assert.equal(await page('http'), way === 'TLS' ? 403 : 200);
      assert.equal(await page('https'), 200);
    });

    test('and a stranger’s scheme changes nothing', async (t) => {
      const { server, ask } = await setUp(t, way, {});
      const origin = `http://127.0.0.1:${server.port}`;
      const expected = way === 'TLS' ? 403 : 200;
      assert.equal(await ask({ origin, 'x-forwarded-proto': 'https' }), expected);
      assert.equal(await ask({ origin, 'x-forwarded-proto': 'http' }), expected);
    });
  });
}

test('a proxy of IPv4 at a socket for both families is known', async (t) => {
  const seen = new Mailbox<Peer>();
  let server: Server;
  try {
    server = await startServer(t, {
      host: '::',
      trustedProxies: ['127.0.0.1'],
      routes: { '/': { open: seen.put } },
    });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EAFNOSUPPORT')) throw error;
    t.skip('this machine has no IPv6');
    return;
  }
  const headers = { 'x-forwarded-for': '203.0.113.5' };
  const client = await dialTo(t, `ws://127.0.0.1:${server.port}`, { headers });
  assert.equal((await seen.next()).remoteAddress, '203.0.113.5');
  assert.equal(client.remoteAddress, '127.0.0.1');
});

test('over a Unix socket nobody has an address, and nobody is believed', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'aperto-'));
  t.after(() => rm(folder, { recursive: true }));
  const seen = new Mailbox<Peer>();
  const server = await startServer(t, {
    unix: join(folder, 'a.sock'),
    trustedProxies: ['0.0.0.0/0', '::/0'],
    routes: { '/': { open: seen.put } },
  });
  await dialTo(t, `${server.url}:/`, { headers: { 'x-forwarded-for': '203.0.113.5' } });
  assert.equal((await seen.next()).remoteAddress, undefined);
});
