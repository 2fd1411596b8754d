import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Peer, prepareMessage } from '../../dist/index.js';
import { dial, handshake } from '../faults/raw-client.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';
import { pair } from './pair.ts';

describe('close', () => {
  test('by either side, with code and reason', async (t) => {
    for (const closer of ['client', 'server'] as const) {
      const both = await pair(t);
      const other = closer === 'client' ? both.server : both.client;
      both[closer].close(4_001, 'r\u00e9ason');
      assert.equal(both[closer].state, 'closing');
      const atOther = await within('the end', other.closed);
      assert.deepEqual(atOther, { code: 4_001, reason: 'r\u00e9ason', error: undefined });
      const atCloser = await within('the end', both[closer].closed);
      assert.deepEqual([atCloser.code, atCloser.error], [4_001, undefined]);
      assert.equal(other.state, 'closed');
      assert.equal(both[closer].state, 'closed');
    }
  });

  test('without a code is 1005 on both sides', async (t) => {
    const { client, server } = await pair(t);
    server.close();
    for (const peer of [client, server]) {
      const { code, reason, error } = await within('the end', peer.closed);
      assert.deepEqual([code, reason, error], [1005, '', undefined]);
    }
  });

  test('what was sent before it arrives', async (t) => {
    const { client, atServer } = await pair(t);
    client.send('x'.repeat(500_000));
    client.send('last');
    client.close(1000);
    assert.equal((await atServer.next()).length, 500_000);
    assert.equal(await atServer.next(), 'last');
  });

  test('after it nothing is sent, and nothing throws', async (t) => {
    const { client, atServer } = await pair(t);
    client.close(1000);
    const afterwards = (): void => {
      assert.equal(client.send('more'), false);
      assert.equal(client.send(Buffer.from('more')), false);
      assert.equal(client.send(prepareMessage('more')), false);
      assert.equal(client.ping(), false);
      assert.equal(client.pong(), false);
      client.close(4_000, 'again');
    };
    afterwards();
    const { code } = await within('the end', client.closed);
    assert.equal(code, 1000);
    afterwards();
    client.terminate();
    assert.equal(client.bufferedAmount, 0);
    assert.deepEqual(atServer.all, []);
    assert.deepEqual(await client.closed, { code: 1000, reason: '', error: undefined });
  });

  for (const code of [
    0,
    999,
    1004,
    1005,
    1006,
    1015,
    1016,
    2999,
    5000,
    -1,
    1000.5,
    Number.NaN,
    '1000',
  ]) {
    test(`${code} ${typeof code} is no code to close with`, async (t) => {
      const { client } = await pair(t);
      assert.throws(() => client.close(code as number), { code: 'INVALID_CLOSE_CODE' });
      assert.equal(client.state, 'open');
    });
  }

  test('a reason is at most 123 bytes, and needs a code', async (t) => {
    const { client, server } = await pair(t);
    for (const [code, reason] of [
      [1000, 'x'.repeat(124)],
      [1000, '\u00e9'.repeat(62)],
      [undefined, 'x'],
      [1000, 5 as unknown as string],
    ] as const) {
      assert.throws(() => client.close(code, reason), { code: 'INVALID_CLOSE_REASON' });
    }
    assert.equal(client.state, 'open');
    client.close(1000, 'x'.repeat(123));
    assert.equal((await within('the end', server.closed)).reason, 'x'.repeat(123));
  });

  test('both at once: one close each, of the other side', async (t) => {
    const closes: number[] = [];
    const { client, server } = await pair(t, { close: (_, code) => void closes.push(code) });
    client.close(4_001);
    server.close(4_002);
    assert.equal((await within('the end', client.closed)).code, 4_002);
    assert.equal((await within('the end', server.closed)).code, 4_001);
    assert.deepEqual(closes, [4_001]);
  });

  test('terminate ends at once, 1006 on both sides', async (t) => {
    const { client, server } = await pair(t);
    client.send('perhaps');
    client.terminate();
    const here = await within('the end', client.closed);
    assert.deepEqual([here.code, here.error?.code], [1006, 'TERMINATED']);
    const there = await within('the end', server.closed);
    assert.deepEqual([there.code, there.error?.code], [1006, 'CONNECTION_LOST']);
  });

  test('a close that is not answered ends after its time', async (t) => {
    const opened = new Mailbox<Peer>();
    const { url } = await startServer(t, {
      limits: { closeTimeoutMs: 50 },
      routes: { '/': { open: opened.put } },
    });
    const raw = await dial(Number(new URL(url).port), false);
    t.after(() => raw.destroy());
    raw.write(handshake());
    const server = await opened.next();
    server.close(4_000);
    const { code, error } = await within('the end', server.closed);
    assert.deepEqual([code, error?.code], [1006, 'CLOSE_TIMEOUT']);
  });

  test('await using closes with 1000 and waits', async (t) => {
    const { client, server } = await pair(t);
    await client[Symbol.asyncDispose]();
    assert.equal(client.state, 'closed');
    assert.equal((await server.closed).code, 1000);
    await client[Symbol.asyncDispose]();
  });

  test('closed is the same promise, before and after', async (t) => {
    const { client } = await pair(t);
    const before = client.closed;
    client.close(1000);
    await within('the end', before);
    assert.equal(client.closed, before);
    assert.equal((await client.closed).code, 1000);
  });

  test('the close handler runs once, when the peer is gone', async (t) => {
    const states = new Mailbox<string>();
    const { url } = await startServer(t, {
      routes: {
        '/': { close: (peer, code, reason) => states.put(`${peer.state} ${code} ${reason}`) },
      },
    });
    const atClient = new Mailbox<string>();
    const client = await dialTo(t, url, {
      close: (peer, code) => atClient.put(`${peer.state} ${code}`),
    });
    client.close(4_000, 'bye');
    assert.equal(await states.next(), 'closed 4000 bye');
    assert.equal(await atClient.next(), 'closed 4000');
    await within('the end', client.closed);
    assert.equal(states.all.length + atClient.all.length, 2);
  });
});
