import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Peer, RejectUpgrade, type UpgradeRequest } from '../../dist/index.js';
import { dial, handshake } from '../faults/raw-client.ts';
import { clientFrame, TEXT } from '../faults/raw-frames.ts';
import { dialTo, expectFailureCode, Mailbox, makeGate, startServer } from './connections.ts';

interface Session {
  readonly user: string;
}

describe('upgrade decides', () => {
  test('what it returns is the data of the peer, awaited or not', async (t) => {
    const opened = new Mailbox<Peer<Session>>();
    const server = await startServer<Session>(t, {
      routes: {
        '/sync': { upgrade: () => ({ user: 'sync' }), open: opened.put },
        '/async': {
          async upgrade() {
            await nextTurn();
            return { user: 'async' };
          },
          open: opened.put,
        },
      },
    });
    for (const user of ['sync', 'async']) {
      await dialTo(t, `${server.url}/${user}`);
      assert.equal((await opened.next()).data.user, user);
    }
  });

  test('it is asked with method, url and headers, and that is what the peer keeps', async (t) => {
    let asked: UpgradeRequest | undefined;
    const opened = new Mailbox<Peer<undefined>>();
    const server = await startServer(t, {
      routes: {
        '/*': {
          upgrade(request) {
            asked = request;
            return undefined;
          },
          open: opened.put,
        },
      },
    });
    await dialTo(t, `${server.url}/a%20b?c=d`, { headers: { 'X-Token': 'secret' } });
    const { request } = await opened.next();
    assert.equal(request, asked);
    assert.equal(request.method, 'GET');
    assert.equal(request.url, '/a%20b?c=d');
    assert.equal(request.headers['x-token'], 'secret');
  });

  test('RejectUpgrade: its status, headers and body', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/plain': {
          upgrade() {
            throw new RejectUpgrade(403);
          },
        },
        '/full': {
          async upgrade() {
            await nextTurn();
            throw new RejectUpgrade(401, {
              headers: {
                'WWW-Authenticate': 'Basic realm="x"',
                'Content-Type': 'application/json',
              },
              body: '{"who":"\u00e4"}',
            });
          },
        },
        '/redirect': {
          upgrade() {
            throw new RejectUpgrade(302, { headers: { Location: '/elsewhere' } });
          },
        },
      },
    });
    const plain = await expectFailureCode(dialTo(t, `${server.url}/plain`), 'STATUS_NOT_101');
    assert.equal(plain.response?.status, 403);
    assert.equal(plain.response.body, 'Forbidden\n');
    const full = await expectFailureCode(dialTo(t, `${server.url}/full`), 'STATUS_NOT_101');
    assert.equal(full.response?.status, 401);
    assert.equal(full.response.headers['www-authenticate'], 'Basic realm="x"');
    assert.equal(full.response.headers['content-type'], 'application/json');
    assert.equal(full.response.body, '{"who":"\u00e4"}');
    const redirect = await expectFailureCode(dialTo(t, `${server.url}/redirect`), 'STATUS_NOT_101');
    assert.equal(redirect.response?.headers['location'], '/elsewhere');
  });

  test('any other exception: 500, told to onError and to nobody else', async (t) => {
    const errors = new Mailbox<unknown>();
    const server = await startServer(t, {
      onError: errors.put,
      routes: {
        '/sync': {
          upgrade() {
            throw new Error('secret sync');
          },
        },
        '/async': {
          async upgrade() {
            throw new Error('secret async');
          },
        },
        '/nothing': {
          upgrade() {
            throw undefined;
          },
        },
        // A body that is none is the application's mistake, not a crash.
        '/body': {
          upgrade() {
            throw new RejectUpgrade(401, { body: { no: 'text' } as unknown as string });
          },
        },
        '/status': {
          upgrade() {
            throw new RejectUpgrade(200);
          },
        },
      },
    });
    for (const path of ['sync', 'async', 'nothing', 'body', 'status']) {
      const error = await expectFailureCode(dialTo(t, `${server.url}/${path}`), 'STATUS_NOT_101');
      assert.equal(error.response?.status, 500, path);
      assert.doesNotMatch(error.response.body, /secret/);
      const reported = await errors.next();
      if (path.endsWith('sync')) assert.match(String(reported), new RegExp(`secret ${path}`));
    }
  });

  test('one that takes too long: 503', async (t) => {
    const gate = makeGate();
    const server = await startServer(t, {
      limits: { handshakeTimeoutMs: 50 },
      routes: { '/': { upgrade: () => gate.opened.then(() => undefined) } },
    });
    const error = await expectFailureCode(dialTo(t, server.url), 'STATUS_NOT_101');
    assert.equal(error.response?.status, 503);
    gate.open();
    await nextTurn();
    assert.equal(server.peers.size, 0);
  });

  test('who has left meanwhile gets no late answer', async (t) => {
    const gate = makeGate();
    const asked = makeGate();
    let opens = 0;
    const server = await startServer(t, {
      routes: {
        '/': {
          upgrade() {
            asked.open();
            return gate.opened.then(() => undefined);
          },
          open() {
            opens++;
          },
        },
      },
    });
    const raw = await dial(server.port, false);
    raw.write(handshake());
    await asked.opened;
    raw.end();
    assert.equal(await raw.drainText(), '');
    raw.destroy();
    gate.open();
    await nextTurn();
    await nextTurn();
    assert.equal(opens, 0);
    assert.equal(server.peers.size, 0);
  });
});

describe('messages that come too early', () => {
  test('are held while upgrade and open run, and come in order', async (t) => {
    const upgrade = makeGate();
    const open = makeGate();
    const log = new Mailbox<string>();
    const server = await startServer<string>(t, {
      routes: {
        '/': {
          async upgrade() {
            log.put('upgrade');
            await upgrade.opened;
            return 'data';
          },
          async open(peer) {
            log.put(`open ${peer.data}`);
            await open.opened;
            log.put('opened');
          },
          message: (_, message) => log.put(String(message)),
          close: (_, code) => log.put(`close ${code}`),
        },
      },
    });
    const raw = await dial(server.port, false);
    raw.write(handshake(), clientFrame(TEXT, 'with the request'));
    assert.equal(await log.next(), 'upgrade');
    raw.write(clientFrame(TEXT, 'while upgrade runs'));
    await nextTurn();
    upgrade.open();
    assert.equal((await raw.readHead()).status, 101);
    assert.equal(await log.next(), 'open data');
    raw.write(clientFrame(TEXT, 'while open runs'));
    raw.end();
    await nextTurn();
    open.open();
    assert.deepEqual(await log.take(5), [
      'opened',
      'with the request',
      'while upgrade runs',
      'while open runs',
      'close 1006',
    ]);
    raw.destroy();
  });

  test('more than 64 KiB of them wait in the network, and none is lost', async (t) => {
    const gate = makeGate();
    const sizes = new Mailbox<number>();
    const server = await startServer(t, {
      routes: {
        '/': {
          upgrade: () => gate.opened.then(() => undefined),
          message: (_, message) => sizes.put(message.length),
        },
      },
    });
    const raw = await dial(server.port, false);
    raw.write(handshake());
    for (let at = 0; at < 30; at++) raw.write(clientFrame(TEXT, 'x'.repeat(10_000 + at)));
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    gate.open();
    assert.deepEqual(
      await sizes.take(30),
      Array.from({ length: 30 }, (_, at) => 10_000 + at),
    );
    raw.destroy();
  });
});
