import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ClientPeer, createPair, type Message } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox, makeGate } from './connections.ts';

/** A loop over a peer, as far as it has come. */
async function readAll(peer: ClientPeer): Promise<Message[]> {
  const read: Message[] = [];
  for await (const message of peer) read.push(message);
  return read;
}

describe('backpressure', () => {
  const line = (at: number): string => `${at} `.padEnd(10_000, '-');

  /** Sends lines, beginning with that one, until told to stop; the number of the next one. */
  function fill(peer: ClientPeer, from: number): number {
    for (let at = from; at < 100; at++) {
      if (!peer.send(line(at))) return at + 1;
    }
    return assert.fail('it was never told to stop');
  }

  for (const slow of ['server', 'client'] as const) {
    test(`a ${slow} that is busy holds the other side, until it goes on`, async () => {
      const counts: number[] = [];
      for (let round = 0; round < 2; round++) {
        const gate = makeGate();
        const seen = new Mailbox<Message>();
        const drained = new Mailbox<string>();
        const busy = async (_: ClientPeer, message: Message): Promise<void> => {
          seen.put(message);
          await gate.opened;
        };
        const eager = { drain: () => drained.put('drain') };
        const pair = await createPair(
          slow === 'server'
            ? { route: { message: busy }, client: eager }
            : { route: eager, client: { message: busy } },
        );
        const sender = slow === 'server' ? pair.client : pair.server;
        sender.send('first');
        await seen.next();
        let sent = 0;
        let drains: number;
        // What fits between them is taken, and is told to drain, but no more while nobody reads.
        do {
          sent = fill(sender, sent);
          assert.ok(sender.bufferedAmount > 65_536);
          drains = drained.all.length;
          for (let turn = 0; turn < 20; turn++) await nextTurn();
        } while (drained.all.length > drains);
        assert.ok(sender.bufferedAmount > 32_768);
        assert.equal(seen.all.length, 1);
        gate.open();
        const rest = await seen.take(sent);
        assert.deepEqual(
          rest,
          Array.from({ length: sent }, (_, at) => line(at)),
        );
        assert.equal(sender.bufferedAmount, 0);
        assert.equal(drained.all.length, drains + 1);
        counts.push(sent);
      }
      assert.equal(counts[0], counts[1]);
    });
  }

  test('a loop that does not read holds the other side too', async () => {
    const { client, server } = await createPair();
    const sent = fill(server, 0);
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    const more = fill(server, sent);
    assert.ok(server.bufferedAmount > 65_536);
    server.close(1000);
    const read = await within('all of it', readAll(client));
    assert.deepEqual(
      read,
      Array.from({ length: more }, (_, at) => line(at)),
    );
  });

  test('the policy for slow peers holds', async () => {
    const gate = makeGate();
    const limits = { maxBufferedBytes: 100_000 };
    const dropping = await createPair({
      route: { slowPeers: 'drop', limits },
      client: { message: () => gate.opened },
    });
    const closing = await createPair({ route: { message: () => gate.opened }, client: { limits } });
    for (const sender of [dropping.server, closing.client]) {
      for (let at = 0; at < 50; at++) {
        sender.send(line(at));
        await nextTurn();
      }
    }
    assert.ok(dropping.server.dropped > 0);
    assert.equal(dropping.server.state, 'open');
    assert.equal(closing.client.state, 'closing');
    gate.open();
    assert.equal((await within('the end', closing.server.closed)).code, 1013);
  });
});
