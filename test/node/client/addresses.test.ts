import assert from 'node:assert/strict';
import { Agent } from 'node:http';
import type { LookupFunction } from 'node:net';
import { describe, test } from 'node:test';
import { connect } from '../../../dist/index.js';
import { localCertificate } from '../../faults/certificate.ts';
import { dialTo, expectFailureCode } from '../connections.ts';
import { startProxy } from './connect-proxy.ts';
import { checkEcho, startRecorder } from './servers.ts';

/** Resolves every name to an address, and writes down what it is asked. */
function resolverTo(...addresses: string[]): { asked: unknown[]; lookup: LookupFunction } {
  const asked: unknown[] = [];
  const lookup: LookupFunction = (name, { all, family }, callback) => {
    asked.push([name, family ?? 0]);
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    setImmediate(() => {
      if (all === true) callback(null, found);
      else callback(null, found[0]?.address ?? '', found[0]?.family);
    });
  };
  return { asked, lookup };
}

describe('lookup', () => {
  for (const scheme of ['ws', 'wss'] as const) {
    test(`resolves the name of the URL, ${scheme}`, async (t) => {
      const { cert, key } = await localCertificate();
      const { port } = await startRecorder(t, scheme === 'wss' ? { tls: { cert, key } } : {});
      const { asked, lookup } = resolverTo('127.0.0.1');
      const tls = { ca: cert };
      await checkEcho(t, `${scheme}://localhost:${port}/echo`, { lookup, tls });
      const agent = new Agent();
      if (scheme === 'ws') await checkEcho(t, `ws://no.invalid:${port}/echo`, { lookup, agent });
      assert.deepEqual(asked, [['localhost', 0], ...(scheme === 'ws' ? [['no.invalid', 0]] : [])]);
    });
  }

  test('resolves the name of the proxy, and not the one behind it', async (t) => {
    const { port } = await startRecorder(t);
    const proxy = await startProxy(t);
    const { asked, lookup } = resolverTo('127.0.0.1');
    const url = `ws://localhost:${port}/echo`;
    await checkEcho(t, url, { lookup, proxy: `http://proxy.invalid:${proxy.port}` });
    assert.deepEqual(asked, [['proxy.invalid', 0]]);
    assert.deepEqual(
      proxy.requests.map(({ target }) => target),
      [`localhost:${port}`],
    );
  });

  test('to addresses where nobody is: each is told', async () => {
    const { lookup } = resolverTo('127.0.0.1', '::1');
    const failing = connect('ws://no.invalid:1', { lookup });
    const { message } = await expectFailureCode(failing, 'CONNECT_FAILED');
    assert.match(message, /127\.0\.0\.1:1; .*::1/);
  });

  test('that fails', async () => {
    const lookup: LookupFunction = (_name, _options, callback) => {
      setImmediate(() => callback(new Error('no such name'), ''));
    };
    const failing = connect('ws://no.invalid:1', { lookup });
    assert.match((await expectFailureCode(failing, 'CONNECT_FAILED')).message, /no such name/);
  });
});

describe('localAddress', () => {
  const skip = process.platform === 'linux' ? false : 'only on Linux all of 127.0.0.0/8 is at hand';
  test('is connected from, to the server, by an agent, and to the proxy', { skip }, async (t) => {
    const { port, asked } = await startRecorder(t);
    const proxy = await startProxy(t);
    const localAddress = '127.0.0.2';
    const url = `ws://127.0.0.1:${port}/echo`;
    const from: unknown[] = [];
    for (const options of [{}, { agent: new Agent() }, { proxy: proxy.url() }]) {
      await dialTo(t, url, { localAddress, ...options });
      from.push(asked.at(-1)?.socket.remoteAddress);
    }
    assert.deepEqual(from, [localAddress, localAddress, '127.0.0.1']);
    assert.equal((await proxy.clients.next()).remoteAddress, localAddress);
  });

  test('that is not ours', async () => {
    for (const scheme of ['ws', 'wss']) {
      // From a callback of its own, where Node fails before anything else runs.
      await new Promise((resolve) => setImmediate(resolve));
      const failing = connect(`${scheme}://127.0.0.1:1`, { localAddress: '192.0.2.1' });
      assert.match((await expectFailureCode(failing, 'CONNECT_FAILED')).message, /EADDRNOTAVAIL/);
    }
  });
});

test('family is that of the addresses to look up; by default that of localAddress', async (t) => {
  const { port } = await startRecorder(t);
  const { asked, lookup } = resolverTo('127.0.0.1');
  const url = `ws://localhost:${port}/echo`;
  for (const options of [
    { family: 4 },
    { family: 0 },
    { localAddress: '127.0.0.1' },
    { family: 0, localAddress: '127.0.0.1' },
    {},
  ] as const) {
    await dialTo(t, url, { lookup, ...options });
  }
  assert.deepEqual(
    asked,
    [4, 0, 4, 4, 0].map((family) => ['localhost', family]),
  );
});

test('what they cannot be', async () => {
  const wrong: [name: string, value: unknown][] = [
    ['lookup', 'dns'],
    ['localAddress', 'localhost'],
    ['localAddress', ''],
    ['localAddress', 4],
    ['family', 5],
    ['family', '4'],
    ['family', 'IPv4'],
  ];
  for (const [name, value] of wrong) {
    const failing = connect('ws://127.0.0.1:1', { [name]: value });
    const error = await expectFailureCode(failing, 'INVALID_OPTION');
    assert.ok(error.message.includes(name), error.message);
  }
});
