import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { HttpsProxyAgent } from 'https-proxy-agent';
import type { ConnectOptions, Message, Peer, Server } from '../../dist/index.js';
import { localCertificate } from '../faults/certificate.ts';
import { within } from '../faults/raw-socket.ts';
import { startProxy } from '../node/client/connect-proxy.ts';
import { dialTo, expectFailureCode, Mailbox } from '../node/connections.ts';
import { credentials, noSquid, startSquid } from './squid.ts';
import { checkSame, everyMessage, ourServer, trust } from './transports.ts';

const transports = ['tcp', 'tls'] as const;
type Transport = (typeof transports)[number];

function echoServer(t: TestContext, transport: Transport): Promise<Server<undefined>> {
  return ourServer(t, transport, {
    routes: {
      '/': {
        message(peer, message) {
          peer.send(message);
        },
      },
    },
  });
}

/** Sends all kinds of messages and gets them back, then closes. */
async function checkMessages(t: TestContext, url: string, options: ConnectOptions): Promise<void> {
  const inbox = new Mailbox<Message>();
  const peer = await dialTo(t, url, { ...options, message: (_, message) => inbox.put(message) });
  for (const message of everyMessage()) {
    peer.send(message);
    checkSame(await inbox.next(), message);
  }
  peer.close(1000);
  assert.equal((await within('the end', peer.closed)).code, 1000);
}

for (const kind of ['http', 'https'] as const) {
  for (const transport of transports) {
    test(`through an ${kind} proxy by CONNECT, ${transport}: https-proxy-agent and ours`, async (t) => {
      const server = await echoServer(t, transport);
      const { cert, key } = await localCertificate();
      const secure = kind === 'https' ? { tls: { cert, key } } : {};
      const proxy = await startProxy(t, { ...secure, credentials: 'user:password' });
      const options = await trust(transport);
      const url = proxy.url('user:password');
      const agent = new HttpsProxyAgent(url, { ca: cert });
      await checkMessages(t, server.url, { ...options, agent });
      await checkMessages(t, server.url, { ...options, proxy: url, proxyTls: { ca: cert } });
      const target = `127.0.0.1:${server.port}`;
      assert.deepEqual(
        proxy.requests.map((request) => request.target),
        [target, target],
      );

      const withoutPassword = new HttpsProxyAgent(proxy.url(), { ca: cert });
      const refused = dialTo(t, server.url, { ...options, agent: withoutPassword });
      const error = await expectFailureCode(refused, 'STATUS_NOT_101');
      assert.equal(error.response?.status, 407);
      assert.equal(server.peers.size, 0);
    });
  }
}

test('a proxy of https-proxy-agent that is not there', async (t) => {
  const server = await ourServer(t, 'tcp', { routes: { '/': {} } });
  const proxy = await ourServer(t, 'tcp', { routes: {} });
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`);
  await proxy.close();
  const error = await expectFailureCode(dialTo(t, server.url, { agent }), 'CONNECT_FAILED');
  assert.match(error.message, /ECONNREFUSED/);
});

test('through squid, which wants a password', { skip: noSquid }, async (t) => {
  const port = await startSquid(t);
  for (const transport of transports) {
    const server = await echoServer(t, transport);
    const { url } = server;
    const options = await trust(transport);
    const proxy = `http://${credentials}@127.0.0.1:${port}`;
    await checkMessages(t, url, { ...options, proxy });
    await checkMessages(t, url, { ...options, agent: new HttpsProxyAgent(proxy) });
    for (const wrong of ['', 'user@', 'user:password@', 'other:p%3Ass%20w%40rd@']) {
      const refused = dialTo(t, url, {
        ...options,
        proxy: `http://${wrong}127.0.0.1:${port}`,
      });
      const error = await expectFailureCode(refused, 'PROXY_REFUSED');
      assert.equal(error.response?.status, 407);
      assert.equal(error.response.headers['proxy-authenticate'], 'Basic realm="proxy"');
      assert.match(
        String(error.response.headers['via'] ?? error.response.headers['server']),
        /squid/,
      );
    }
    assert.equal(server.peers.size, 0);
    // Nobody is there: squid says so in words of its own.
    await server.close();
    const failing = dialTo(t, url, { ...options, proxy });
    assert.equal((await expectFailureCode(failing, 'PROXY_REFUSED')).response?.status, 503);
  }
});

test('through squid, to a port that it does not let through to', { skip: noSquid }, async (t) => {
  const server = await echoServer(t, 'tcp');
  const port = await startSquid(t, {});
  const proxy = `http://${credentials}@127.0.0.1:${port}`;
  const error = await expectFailureCode(dialTo(t, server.url, { proxy }), 'PROXY_REFUSED');
  assert.equal(error.response?.status, 403);
  assert.equal(server.peers.size, 0);
});

test('through squid, which ends what is silent', { skip: noSquid, timeout: 60_000 }, async (t) => {
  const opened = new Mailbox<Peer>();
  const open = (peer: Peer): void => opened.put(peer);
  const message = (peer: Peer, data: Message): void => void peer.send(data);
  const server = await ourServer(t, 'tcp', {
    routes: {
      '/silent': { open, message, limits: { pingAfterMs: Number.POSITIVE_INFINITY } },
      '/pinging': { open, message, limits: { pingAfterMs: 200 } },
    },
  });
  const port = await startSquid(t, {
    'port 80 443': 'port 1-65535',
    'read_timeout 15 minutes': 'read_timeout 4 seconds',
  });
  const inbox = new Mailbox<Message>();
  const options: ConnectOptions = {
    proxy: `http://${credentials}@127.0.0.1:${port}`,
    limits: { pingAfterMs: Number.POSITIVE_INFINITY },
    message: (_, data) => inbox.put(data),
  };
  const pinged = await dialTo(t, `${server.url}/pinging`, options);
  await opened.next();
  const silent = await dialTo(t, `${server.url}/silent`, options);
  const ours = await opened.next();
  for (const { closed } of [silent, ours]) {
    assert.equal((await within('the end', closed, 30_000)).code, 1006);
  }
  pinged.send('still there');
  assert.equal(await inbox.next(), 'still there');
});
