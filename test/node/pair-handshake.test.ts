import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  ApertoError,
  createPair,
  type PairOptions,
  RejectUpgrade,
  type Route,
} from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { expectFailureCode, Mailbox, makeGate } from './connections.ts';

describe('the opening handshake', () => {
  test('is the real one: what was asked for, and what was agreed on', async () => {
    const { client, server } = await createPair({
      url: '/rooms/1?from=here',
      route: { protocols: ['chat', 'superchat'], compression: { takeover: true } },
      client: {
        protocols: ['unknown', 'superchat'],
        headers: { Cookie: 'a=b', Origin: 'http://localhost' },
      },
    });
    assert.equal(server.request.url, '/rooms/1?from=here');
    const { headers } = server.request;
    assert.deepEqual(
      [headers.host, headers.cookie, headers.origin],
      ['localhost', 'a=b', 'http://localhost'],
    );
    assert.deepEqual([client.protocol, server.protocol], ['superchat', 'superchat']);
    assert.match(client.extensions, /^permessage-deflate/);
    assert.equal(server.extensions, client.extensions);
    assert.deepEqual([client.remoteAddress, server.remoteAddress], [undefined, undefined]);
    client.send('x'.repeat(10_000));
    await within(
      'the message',
      (async () => {
        while (server.compression.inflated.messages === 0) await nextTurn();
      })(),
    );
    assert.equal(server.compression.inflated.bytesOut, 10_000);
  });

  test('compresses only what both sides want', async () => {
    const wishes: PairOptions<undefined>[] = [
      {},
      { route: { compression: true }, client: { compression: false } },
    ];
    for (const wish of wishes) {
      const { client, server } = await createPair(wish);
      assert.deepEqual([client.extensions, server.extensions], ['', '']);
    }
  });

  test('waits for the route, sync or async, and then is open on both sides', async () => {
    const gate = makeGate();
    const log: string[] = [];
    const making = createPair<{ user: string }>({
      route: {
        async upgrade(request) {
          log.push('upgrade');
          await gate.opened;
          return { user: request.headers.authorization ?? '' };
        },
        async open(peer) {
          log.push('open');
          peer.send('welcome');
          await new Promise(() => {});
        },
      },
      client: { headers: { Authorization: 'ada' } },
    });
    while (log.length === 0) await nextTurn();
    for (let turn = 0; turn < 5; turn++) await nextTurn();
    assert.deepEqual(log, ['upgrade']);
    gate.open();
    const { client, server } = await within('the pair', making);
    assert.deepEqual(log, ['upgrade', 'open']);
    assert.equal(server.data.user, 'ada');
    for await (const message of client) {
      assert.equal(message, 'welcome');
      break;
    }
  });

  test('tells of a refusal as connect does', async () => {
    const refused = await expectFailureCode(
      createPair({
        route: {
          upgrade() {
            throw new RejectUpgrade(401, {
              headers: { 'WWW-Authenticate': 'Bearer' },
              body: 'who are you?',
            });
          },
        },
      }),
      'STATUS_NOT_101',
    );
    const { status, headers, body } = refused.response ?? assert.fail('no response');
    assert.deepEqual([status, headers['www-authenticate'], body], [401, 'Bearer', 'who are you?']);

    const foreign = await expectFailureCode(
      createPair({ client: { headers: { Origin: 'https://elsewhere.example' } } }),
      'STATUS_NOT_101',
    );
    assert.equal(foreign.response?.status, 403);

    const told = new Mailbox<unknown>();
    const failed = await expectFailureCode(
      createPair({
        route: { upgrade: () => Promise.reject(new TypeError('oops')) },
        onError: told.put,
      }),
      'STATUS_NOT_101',
    );
    assert.equal(failed.response?.status, 500);
    assert.match(String(await told.next()), /TypeError: oops/);
  });

  test('can be given up, and has its time', async () => {
    const route: Route<undefined> = { upgrade: () => new Promise(() => {}) };
    const reason = new Error('given up');
    const giveUp = new AbortController();
    const making = createPair({ route, client: { signal: giveUp.signal } });
    await nextTurn();
    giveUp.abort(reason);
    await assert.rejects(within('the end of it', making), (error) => error === reason);
    await expectFailureCode(
      createPair({ route, client: { limits: { handshakeTimeoutMs: 20 } } }),
      'HANDSHAKE_TIMEOUT',
    );
  });

  const misuses: Record<string, [unknown, ...string[]]> = {
    'a route that is none': [{ route: null }, 'INVALID_OPTION'],
    'a policy that is none': [{ route: { slowPeers: 'ignore' } }, 'INVALID_OPTION'],
    'a limit that is none': [{ route: { limits: { maxFragment: 1 } } }, 'INVALID_OPTION'],
    'a protocol that is no token': [{ route: { protocols: ['a b'] } }, 'INVALID_PROTOCOL'],
    'a URL that is no path': [{ url: 'ws://localhost/' }, 'INVALID_OPTION'],
    'a URL that is no text': [{ url: new URL('ws://localhost/') }, 'INVALID_OPTION'],
    'a URL with a fragment': [{ url: '/#here' }, 'INVALID_URL'],
    'a client that is none': [{ client: null }, 'INVALID_OPTION'],
    "a client's limit that is none": [
      { client: { limits: { maxFragments: 0 } } },
      'INVALID_OPTION',
    ],
    "a client's policy that is none": [{ client: { slowPeers: 'ignore' } }, 'INVALID_OPTION'],
    "a client's protocols that are one": [
      { client: { protocols: ['a', 'a'] } },
      'INVALID_PROTOCOL',
    ],
    "a client's header that is none": [{ client: { headers: { 'a b': '' } } }, 'INVALID_HEADER'],
    "a client's compression that is none": [{ client: { compression: 1 } }, 'INVALID_OPTION'],
  };
  for (const [name, [options, code]] of Object.entries(misuses)) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(
        within('a refusal', createPair(options as PairOptions<undefined>)),
        (error) => error instanceof ApertoError && error.code === code && error.side === 'local',
      );
    });
  }
});
