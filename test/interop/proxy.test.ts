import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { connect as connectTcp, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { HttpsProxyAgent } from 'https-proxy-agent';
import type { Message } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, expectFailureCode, Mailbox } from '../node/connections.ts';
import { checkSame, everyMessage, ourServer, trust } from './transports.ts';

/** A proxy that knows CONNECT and nothing else; it refuses whoever has no password. */
async function startProxy(t: TestContext): Promise<{ url: string; targets: string[] }> {
  const targets: string[] = [];
  const sockets = new Set<Socket>();
  const proxy = createServer((_, response) => response.writeHead(501).end());
  proxy.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  proxy.on('connect', ({ url = '', headers }, client, head) => {
    if (headers['proxy-authorization'] === undefined) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    targets.push(url);
    const { hostname, port } = new URL(`http://${url}`);
    const target = connectTcp(Number(port), hostname, () => {
      client.write('HTTP/1.1 200 Connection Established\r\n\r\n');
      target.write(head);
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
    client.on('close', () => target.destroy());
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const address = proxy.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { url: `127.0.0.1:${address.port}`, targets };
}

for (const transport of ['tcp', 'tls'] as const) {
  test(`through a CONNECT proxy, ${transport}`, async (t) => {
    const server = await ourServer(t, transport, {
      routes: {
        '/': {
          message(peer, message) {
            peer.send(message);
          },
        },
      },
    });
    const proxy = await startProxy(t);
    const inbox = new Mailbox<Message>();
    const options = await trust(transport);
    const peer = await dialTo(t, server.url, {
      ...options,
      agent: new HttpsProxyAgent(`http://user:password@${proxy.url}`),
      message: (_, message) => inbox.put(message),
    });
    assert.deepEqual(proxy.targets, [`127.0.0.1:${server.port}`]);
    for (const message of everyMessage()) {
      peer.send(message);
      checkSame(await inbox.next(), message);
    }
    peer.close(1000);
    assert.equal((await within('the end', peer.closed)).code, 1000);

    const refused = dialTo(t, server.url, {
      ...options,
      agent: new HttpsProxyAgent(`http://${proxy.url}`),
    });
    const error = await expectFailureCode(refused, 'STATUS_NOT_101');
    assert.equal(error.response?.status, 407);
    assert.equal(server.peers.size, 0);
  });
}

test('a proxy that is not there', async (t) => {
  const server = await ourServer(t, 'tcp', { routes: { '/': {} } });
  const proxy = await ourServer(t, 'tcp', { routes: {} });
  const agent = new HttpsProxyAgent(`http://127.0.0.1:${proxy.port}`);
  await proxy.close();
  const error = await expectFailureCode(dialTo(t, server.url, { agent }), 'CONNECT_FAILED');
  assert.match(error.message, /ECONNREFUSED/);
});
