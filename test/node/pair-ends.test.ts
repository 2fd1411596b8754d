import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ClientPeer, createPair, type Message } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox } from './connections.ts';

/** A loop over a peer, as far as it has come. */
async function readAll(peer: ClientPeer): Promise<Message[]> {
  const read: Message[] = [];
  for await (const message of peer) read.push(message);
  return read;
}

describe('rules hold on both sides', () => {
  test('of limits, each with its own', async () => {
    const { client, server } = await createPair({ route: { limits: { maxMessageBytes: 10 } } });
    client.send('x'.repeat(11));
    assert.equal((await within('the end', client.closed)).code, 1009);
    assert.equal((await server.closed).error?.code, 'MESSAGE_TOO_BIG');
    const other = await createPair({ client: { limits: { maxMessageBytes: 10 } } });
    other.server.send('x'.repeat(11));
    assert.equal((await within('the end', other.server.closed)).code, 1009);
  });

  test('of exceptions in handlers, which go to their own side', async () => {
    const told = new Mailbox<unknown[]>();
    const fail = (name: string) => (): void => {
      throw new Error(name);
    };
    const { client, server, connect } = await createPair({
      route: { message: fail('route'), upgrade: () => 'its data' },
      onError: (error, peer) => told.put([String(error), peer?.data]),
    });
    client.send('x');
    assert.deepEqual(await told.next(), ['Error: route', 'its data']);
    assert.equal((await within('the end', client.closed)).code, 1011);
    assert.equal((await server.closed).error?.code, 'HANDLER_FAILED');
    const second = await connect({
      client: {
        message: fail('client'),
        onError: (error, peer) => told.put([String(error), peer]),
      },
    });
    second.server.send('x');
    assert.deepEqual(await told.next(), ['Error: client', second.client]);
    assert.equal((await within('the end', second.server.closed)).code, 1011);
  });

  test('of exceptions where nobody asked for them: console.error', async (t) => {
    const print = t.mock.method(console, 'error', () => {});
    const error = new Error('seen');
    const { client } = await createPair({
      route: {
        message() {
          throw error;
        },
      },
    });
    client.send('x');
    await within('the end', client.closed);
    assert.deepEqual(
      print.mock.calls.map((call) => call.arguments),
      [[error]],
    );
  });
});

describe('the end', () => {
  for (const closer of ['client', 'server'] as const) {
    const other = closer === 'client' ? 'server' : 'client';

    test(`by the ${closer}, with code and reason`, async () => {
      const pair = await createPair();
      pair[closer].send('before');
      const read = readAll(pair[other]);
      pair[closer].close(1001, 'going');
      const seen = await within('the end', pair[other].closed);
      assert.deepEqual(seen, { code: 1001, reason: 'going', error: undefined });
      const { code, error } = await within('the end', pair[closer].closed);
      assert.deepEqual([code, error], [1001, undefined]);
      assert.deepEqual(await read, ['before']);
    });

    test(`by the ${closer}, at once: 1006 on both sides, behind what was sent`, async () => {
      const seen: Message[] = [];
      const message = (_: ClientPeer, data: Message): void => void seen.push(data);
      const pair = await createPair({ route: { message }, client: { message } });
      pair[closer].send('last');
      pair[closer].terminate();
      const here = await within('the end', pair[closer].closed);
      assert.deepEqual([here.code, here.error?.code], [1006, 'TERMINATED']);
      const there = await within('the end', pair[other].closed);
      assert.deepEqual([there.code, there.error?.code], [1006, 'CONNECTION_LOST']);
      assert.deepEqual(seen, ['last']);
      assert.equal(pair[other].send('too late'), false);
    });

    test(`by disposing of the ${closer}`, async () => {
      const pair = await createPair();
      await within('the end', pair[closer][Symbol.asyncDispose]());
      assert.equal((await within('the end', pair[other].closed)).code, 1000);
    });
  }

  test('at once, of one that the other side does not read', async () => {
    const { client, server } = await createPair();
    for (let at = 0; at < 100 && client.send('x'.repeat(10_000)); at++);
    server.terminate();
    const { code, error } = await within('the end', client.closed);
    assert.deepEqual([code, error?.code], [1006, 'CONNECTION_LOST']);
    assert.equal(client.bufferedAmount, 0);
  });

  test('in open: the pair is there, and its end', async () => {
    const { client, server } = await createPair({ route: { open: (peer) => peer.terminate() } });
    assert.equal((await within('the end', client.closed)).code, 1006);
    assert.equal((await server.closed).error?.code, 'TERMINATED');
  });
});
