import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  checkEcho,
  dialThrough,
  PROXY,
  start,
  startServer,
  stop,
  waysTo,
} from './behind-proxies.ts';
import { frontPrograms } from './load-balancers.ts';

const options = { timeout: 60_000 };

const haproxy = frontPrograms.find(({ name }) => name === 'HAProxy');
describe('HAProxy with TCP alone', { skip: haproxy?.skip ?? false }, () => {
  assert.ok(haproxy !== undefined);
  const tcp = { 'mode http': 'mode tcp', 'alpn h2,http/1.1': 'alpn http/1.1' };

  test('nobody says who asks, and it is not to be listed', options, async (t) => {
    const forged = { headers: { 'X-Forwarded-For': '192.0.2.1', 'X-Forwarded-Proto': 'https' } };
    for (const [trustedProxies, seen] of [
      [[], PROXY],
      // What anybody writes counts as the proxy's.
      [[PROXY], '192.0.2.1'],
    ] as const) {
      const { server, arrivals } = await startServer({ trustedProxies });
      t.after(() => stop(server, arrivals));
      const front = await start(haproxy, server.port, tcp);
      t.after(() => front[Symbol.asyncDispose]());
      for (const { url } of waysTo(front)) {
        const dialled = await dialThrough(t, url, forged);
        assert.equal((await arrivals.opened.next()).remoteAddress, seen);
        await checkEcho(dialled, 'hello');
      }
    }
  });

  test('the PROXY protocol is not understood, and refused', options, async (t) => {
    const { server, arrivals } = await startServer();
    t.after(() => stop(server, arrivals));
    // The checks would send it as well.
    const sending = {
      'leastconn\n  option httpchk GET /ready': 'leastconn',
      inter: 'send-proxy inter',
    };
    const front = await start(haproxy, server.port, { ...tcp, ...sending });
    t.after(() => front[Symbol.asyncDispose]());
    const { url } = waysTo(front)[0];
    await assert.rejects(dialThrough(t, url), { code: 'STATUS_NOT_101', message: /\b400\b/ });
    assert.equal(arrivals.opened.all.length, 0);
  });
});
