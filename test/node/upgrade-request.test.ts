import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { UpgradeRequest } from '../../dist/node/upgrade-request.js';

/** The request as node:http parses it. */
async function parsed(lines: readonly string[]): Promise<IncomingMessage> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`GET /path?query HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
  const [request]: [IncomingMessage] = (await once(server, 'request')) as [IncomingMessage];
  socket.destroy();
  server.closeAllConnections();
  server.close();
  return request;
}

const cases: Record<string, string[]> = {
  'the least': ['Host: a.example'],
  'names in any case': ['HOST: a.example', 'x-Token: Secret', 'X-TOKEN: other'],
  'repeated, joined': ['Host: a', 'Accept: text/html', 'Accept: */*', 'X-A: 1', 'x-a: 2', 'X-A: '],
  'repeated, of which the first counts': [
    ...['Host: a', 'User-Agent: one', 'User-Agent: two', 'Authorization: x', 'Authorization: y'],
    ...['Referer: r1', 'Referer: r2', 'From: f1', 'From: f2', 'Age: 1', 'Age: 2'],
  ],
  cookies: ['Host: a', 'Cookie: a=1', 'Cookie: b=2; c=3', 'Set-Cookie: d=4', 'Set-Cookie: e=5'],
  'an empty value, and one with spaces, colons and bytes above 127': [
    ...['Host: a', 'X-Empty:', 'X-Colons: a: b:c', 'X-Space:   in  side   ', 'X-Byte: caf\xe9'],
  ],
  'names of an object': ['Host: a', 'Constructor: x', 'toString: y', 'hasOwnProperty: z'],
};

for (const [name, lines] of Object.entries(cases)) {
  test(`headers as node:http gives them: ${name}`, async () => {
    const request = await parsed(lines);
    const kept = new UpgradeRequest(request.url ?? '', request.rawHeaders, undefined);
    assert.deepEqual({ ...kept.headers }, { ...request.headers });
    assert.equal(kept.url, '/path?query');
    assert.equal(kept.method, 'GET');
  });
}

test('nobody changes the headers for others', async () => {
  const kept = new UpgradeRequest('/', ['Host', 'a'], undefined);
  kept.headers.host = 'b';
  assert.equal(kept.headers.host, 'a');
});

test('of HTTP/2: the method is CONNECT, and pseudo-headers are no headers', () => {
  const kept = new UpgradeRequest('/path', [':protocol', 'websocket', 'host', 'a'], undefined);
  assert.equal(kept.method, 'CONNECT');
  assert.deepEqual({ ...kept.headers }, { host: 'a' });
});
