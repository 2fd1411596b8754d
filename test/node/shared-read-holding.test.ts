import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect, type Message, type Peer } from '../../dist/index.js';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  serverFrame,
  TEXT,
} from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { type RawSocket, within } from '../faults/raw-socket.ts';
import { type Gate, Mailbox, makeGate } from './connections.ts';
import {
  numbered,
  settle,
  spoilSharedBuffer,
  startWay,
  testEachTcpWay,
  testEachWay,
  until,
} from './ways-of-reading.ts';

const KIB = 1024;
const many = numbered(10 * KIB);

/** A route whose first message holds the peer until the gate opens. */
function holding(gate: Gate): {
  inbox: Message[];
  opened: Mailbox<Peer>;
  route: {
    open(peer: Peer): void;
    message(peer: Peer, message: Message): Promise<void> | undefined;
  };
} {
  const inbox: Message[] = [];
  const opened = new Mailbox<Peer>();
  const route = {
    open: opened.put,
    message(_: Peer, message: Message): Promise<void> | undefined {
      spoilSharedBuffer();
      if (message === 'hold') return gate.opened;
      inbox.push(message);
      return undefined;
    },
  };
  return { inbox, opened, route };
}

describe('a peer that is held', () => {
  // Below, at and over what is taken in for it; and more than the kernel keeps.
  for (const kib of [15, 16, 17, 100, 10_240]) {
    testEachWay(`is read no further than a bound, ${kib} KiB`, async (t, way) => {
      const gate = makeGate();
      const { inbox, route } = holding(gate);
      const served = await startWay(t, way, { routes: { '/': route } });
      const raw = await served.open(clientFrame(TEXT, 'hold'));
      await served.checkWay();
      const bytes = many.bytes.subarray(0, kib * KIB);
      const messages = many.messages.slice(0, kib);
      raw.write(bytes.subarray(0, 100));
      await settle();
      raw.write(bytes.subarray(100));
      await settle();
      await settle();
      assert.equal(inbox.length, 0);
      const { bytesRead } = served;
      assert.ok(bytesRead < 256 * KIB, `${bytesRead} bytes were read`);
      await settle();
      assert.equal(served.bytesRead, bytesRead);
      gate.open();
      await until('all of it', () => inbox.length === messages.length);
      assert.deepEqual(inbox, messages);
      raw.write(clientFrame(TEXT, 'more'));
      await until('one more', () => inbox.length === messages.length + 1);
    });
  }

  testEachTcpWay('is noticed to be reset, and what came before is delivered', async (t, way) => {
    const gate = makeGate();
    const { inbox, opened, route } = holding(gate);
    const served = await startWay(t, way, { routes: { '/': route } });
    const raw = await served.open(clientFrame(TEXT, 'hold'));
    const peer = await opened.next();
    const { bytes, messages } = numbered(10);
    raw.write(bytes);
    await settle();
    raw.reset();
    await until('the reset', () => peer.state === 'closing');
    assert.equal(peer.send('nobody hears it'), false);
    assert.equal(inbox.length, 0);
    gate.open();
    assert.equal((await within('the end', peer.closed)).code, 1006);
    assert.deepEqual(inbox, messages);
  });

  testEachTcpWay('is noticed to be reset while an async open runs', async (t, way) => {
    const gate = makeGate();
    const { inbox, opened, route } = holding(gate);
    const open = (peer: Peer): Promise<void> => {
      opened.put(peer);
      return gate.opened;
    };
    const served = await startWay(t, way, { routes: { '/': { ...route, open } } });
    for (const early of [Buffer.alloc(0), clientFrame(TEXT, 'early'), numbered(3).bytes]) {
      const raw = await served.open(early);
      const peer = await opened.next();
      await settle();
      raw.reset();
      await until(`the reset behind ${early.length} bytes`, () => peer.state === 'closing');
    }
    gate.open();
    await until('the early ones', () => inbox.length === 4);
    assert.deepEqual(inbox, ['early', ...numbered(3).messages]);
    await until('the peers to be gone', () => served.server.peers.size === 0);
  });

  testEachTcpWay('is noticed to be reset when held once more', async (t, way) => {
    // What arrives while it is held for the first time is too much, what is left the second time is not.
    for (const left of [0, 1, 10]) {
      const gates = [makeGate(), makeGate()];
      const [first, second] = gates;
      assert.ok(first !== undefined && second !== undefined);
      const opened = new Mailbox<Peer>();
      const inbox: Message[] = [];
      const served = await startWay(t, way, {
        routes: {
          '/': {
            open: opened.put,
            message(_, message) {
              if (message === 'hold') return gates.shift()?.opened;
              inbox.push(message);
              return undefined;
            },
          },
        },
      });
      const raw = await served.open(clientFrame(TEXT, 'hold'));
      const peer = await opened.next();
      await settle();
      const { bytes, messages } = numbered(20);
      const again = bytes.length - left * KIB;
      raw.write(bytes.subarray(0, again), clientFrame(TEXT, 'hold'), bytes.subarray(again));
      await settle();
      first.open();
      await until('what is before', () => inbox.length === 20 - left);
      raw.reset();
      await until(`the reset with ${left} left`, () => peer.state === 'closing');
      second.open();
      assert.equal((await within('the end', peer.closed)).code, 1006);
      assert.deepEqual(inbox, messages);
    }
  });

  testEachWay('has its end told after what came before it', async (t, way) => {
    for (const count of [0, 10, 100]) {
      const gate = makeGate();
      const { inbox, opened, route } = holding(gate);
      const served = await startWay(t, way, { routes: { '/': route } });
      const raw = await served.open(clientFrame(TEXT, 'hold'));
      const peer = await opened.next();
      const { bytes, messages } = numbered(count);
      raw.write(bytes);
      raw.end();
      await settle();
      // It may still read.
      assert.equal(peer.send('still there?'), true);
      await raw.expectFrame(TEXT, 'still there?');
      assert.equal(inbox.length, 0);
      gate.open();
      const { code, error } = await within('the end', peer.closed);
      assert.deepEqual([code, error?.code], [1006, 'CONNECTION_LOST']);
      assert.deepEqual(inbox, messages);
      await raw.expectEnd();
    }
  });

  testEachWay('is closed with the server, as are open and idle ones', async (t, way) => {
    const { opened, route } = holding(makeGate());
    const served = await startWay(t, way, { routes: { '/': route } });
    const raws: RawSocket[] = [];
    for (const behind of ['', 'busy', 'hold']) {
      raws.push(await served.open(behind === '' ? Buffer.alloc(0) : clientFrame(TEXT, behind)));
      await opened.next();
    }
    // Held, with more than is taken in.
    raws.at(-1)?.write(numbered(1_000).bytes);
    await settle();
    const closed = served.server.close({ timeoutMs: 60_000 });
    for (const raw of raws) {
      await raw.expectClose(1001);
      raw.write(clientFrame(CLOSE, closePayload(1001)));
      await raw.expectEnd();
      raw.end();
    }
    await within('server.close()', closed);
    assert.equal(served.server.peers.size, 0);
  });
});

testEachWay('a loop that nobody runs stops the reading', async (t, way) => {
  const opened = new Mailbox<Peer>();
  const served = await startWay(t, way, {
    limits: { highWaterMarkBytes: 16 * KIB },
    routes: { '/': { open: opened.put } },
  });
  const raw = await served.open();
  const peer = await opened.next();
  const { bytes, messages } = many;
  const iterator = peer[Symbol.asyncIterator]();
  raw.write(bytes);
  for (let i = 0; i < 10; i++) await settle();
  const { bytesRead } = served;
  assert.ok(bytesRead < 256 * KIB, `${bytesRead} bytes were read`);
  const read: unknown[] = [];
  while (read.length < messages.length) {
    read.push((await within('a message', iterator.next())).value);
    // Slowly at first.
    if (read.length < 50) await nextTurn();
  }
  assert.deepEqual(read, messages);
  raw.end();
  await assert.rejects(within('the end', iterator.next()), { code: 'CONNECTION_LOST' });
});

for (const sharedReadBuffer of [true, false]) {
  const way = sharedReadBuffer ? 'shared buffer' : "'data'";

  test(`client: a loop that nobody runs stops the reading (${way})`, async () => {
    const payload = Buffer.alloc(100 * KIB, 'x');
    const count = 100;
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(switching(request), ...Array(count).fill(serverFrame(BINARY, payload)));
          for (let i = 0; i < 10; i++) await settle();
          assert.ok(raw.socket.writableLength > KIB * KIB, 'all of it was taken');
          raw.end();
        },
      },
      async (url) => {
        const peer = await connect(url, { sharedReadBuffer });
        for (let i = 0; i < 12; i++) await settle();
        let size = 0;
        let messages = 0;
        await assert.rejects(
          within(
            'the end of the loop',
            (async () => {
              for await (const message of peer) {
                size += message.length;
                messages += 1;
              }
            })(),
          ),
          { code: 'CONNECTION_LOST' },
        );
        assert.deepEqual([messages, size], [count, count * payload.length]);
      },
    );
  });
}
