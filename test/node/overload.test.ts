import assert from 'node:assert/strict';
import { afterEach, suite, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { connect, type Limits, type Peer, type Route } from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { type Application, withApplication } from '../faults/application.ts';
import { watchHeap } from '../faults/heap.ts';
import { dialHttp2, startHttp2 } from '../faults/http2-peer.ts';
import {
  BINARY_BEGUN,
  CLOSE,
  CONTINUED,
  clientFrame,
  closeCodeOf,
  closePayload,
  FINISHED,
  hex,
  PING,
  PONG,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { type RawSocket, within } from '../faults/raw-socket.ts';
import { testOverHttp1 } from '../faults/transport.ts';
import { Mailbox } from './connections.ts';
import { until } from './ways-of-reading.ts';

const KIB = 1024;
const { unfinished } = nodePlatform;

/** What came before is taken in when the answer to this is there. */
async function settled(raw: RawSocket): Promise<'open' | number | undefined> {
  raw.write(clientFrame(PING));
  const { first, payload } = await raw.readFrame();
  if (first === PONG) return 'open';
  assert.equal(first, CLOSE);
  return closeCodeOf(payload);
}

// The budget is that of the process: no test leaves anything in it.
afterEach(async () => {
  await until('all to be given back', () => unfinished.bytes === 0);
});

/** Peers that each begin a message and do not end it, until one is refused. */
async function fill(application: Application, limit: number): Promise<RawSocket[]> {
  const holding: RawSocket[] = [];
  for (let i = 0; i < 100; i++) {
    const raw = await application.open();
    const first = i % 2 === 0 ? TEXT_BEGUN : BINARY_BEGUN;
    raw.write(clientFrame(first, 'x'.repeat(60 * KIB)));
    const answer = await settled(raw);
    assert.ok(unfinished.bytes <= limit, `${unfinished.bytes} of ${limit}`);
    if (answer !== 'open') {
      assert.equal(answer, 1013);
      await raw.expectEnd();
      raw.end();
      return holding;
    }
    holding.push(raw);
  }
  return assert.fail('nobody was refused');
}

testOverHttp1(
  'many peers with unfinished messages: who asks for more gets 1013, the others go on',
  async (over) => {
    const limit = 1024 * KIB;
    const limits = { maxUnfinishedBytes: limit };
    const route = { ping(): void {}, message: echo };
    await withApplication({ over, limits, route }, async (application) => {
      const checkHeap = await watchHeap();
      for (let round = 0; round < 3; round++) {
        const holding = await fill(application, limit);
        assert.ok(holding.length >= 4, `${holding.length} peers`);
        // What needs nothing to be kept is served.
        const other = await application.open();
        other.write(clientFrame(TEXT, 'whole'));
        await other.expectFrame(TEXT, 'whole');
        // And those who hold what they have may finish it.
        for (const raw of holding) {
          raw.write(clientFrame(FINISHED, 'end'));
          const { payload } = await raw.readFrame();
          assert.equal(payload.length, 60 * KIB + 3);
          assert.equal(payload.subarray(-4).toString(), 'xend');
        }
        assert.equal(unfinished.bytes, 0);
        for (const raw of [...holding, other]) raw.destroy();
        await until('their end', () => application.server.peers.size === 0);
        assert.equal(application.closes.filter(({ code }) => code === 1013).length, round + 1);
      }
      await checkHeap(8);
      const refused = application.closes.filter(({ code }) => code === 1013);
      assert.ok(refused.every(({ errorCode }) => errorCode === 'OVERLOADED'));
    });
  },
);

function echo(peer: Peer, message: string | Uint8Array): void {
  peer.send(message);
}

test('at the limit to the byte, and one past it', async () => {
  // 64 for the fragment, and the room for four times its size, but for no more than a message may have.
  const limits = { maxMessageBytes: 1_000, maxUnfinishedBytes: 2 * (64 + 1_000) };
  await withApplication(
    { limits, route: { ping(): void {}, message: echo } },
    async (application) => {
      const begun = clientFrame(TEXT_BEGUN, 'x'.repeat(500));
      const [one, two, three] = [
        await application.open(),
        await application.open(),
        await application.open(),
      ];
      for (const raw of [one, two]) {
        raw.write(begun);
        assert.equal(await settled(raw), 'open');
      }
      assert.equal(unfinished.bytes, limits.maxUnfinishedBytes);
      // The smallest there is.
      three.write(clientFrame(BINARY_BEGUN));
      assert.equal(await settled(three), 1013);
      // An empty fragment counts as well, whose-ever it is.
      two.write(clientFrame(CONTINUED));
      assert.equal(await settled(two), 1013);
      assert.equal(unfinished.bytes, limits.maxUnfinishedBytes / 2);
      one.write(clientFrame(FINISHED, 'end'));
      await one.expectFrame(TEXT, `${'x'.repeat(500)}end`);
      for (const raw of [two, three]) raw.end();
    },
  );
});

test('streams of one HTTP/2 session: one of them fails, the session goes on', async (t) => {
  const limits = { maxMessageBytes: 1_000, maxUnfinishedBytes: 64 + 1_000 };
  const route: Route<undefined> = { message: echo };
  const server = await startHttp2(t, false, { routes: { '/': route }, limits });
  const session = await dialHttp2(t, server.port, false);
  const [one, two] = [await session.open(), await session.open()];
  one.write(clientFrame(TEXT_BEGUN, 'x'.repeat(500)), clientFrame(PING));
  await one.expectFrame(PONG);
  two.write(clientFrame(TEXT_BEGUN, 'y'));
  await two.expectClose(1013);
  two.end();
  one.write(clientFrame(FINISHED, 'end'));
  await one.expectFrame(TEXT, `${'x'.repeat(500)}end`);
  const three = await session.open();
  three.write(clientFrame(TEXT, 'whole'));
  await three.expectFrame(TEXT, 'whole');
});

test('a client is bound as well', async () => {
  await withRawServer(
    {
      async answer(raw, request) {
        raw.write(switching(request), serverFrame(TEXT_BEGUN, 'x'));
        const close = await raw.readFrame();
        assert.equal(closeCodeOf(close.payload), 1013);
        raw.end();
        await raw.expectEnd();
      },
    },
    async (url) => {
      const peer = await connect(url, { limits: { maxUnfinishedBytes: 64 } });
      const { code, error } = await within('the end', peer.closed);
      assert.deepEqual([code, error?.code], [1013, 'OVERLOADED']);
    },
  );
});

suite('nothing is left in the budget after', () => {
  const begun = clientFrame(TEXT_BEGUN, 'x'.repeat(500));
  /** Makes the connection end, one way or the other; of what is sent the end follows. */
  const ends: Readonly<Record<string, (raw: RawSocket, peer: Peer) => void>> = {
    'a FIN': (raw) => raw.end(),
    'a socket that is destroyed': (raw) => raw.destroy(),
    'a close frame among the fragments': (raw) => raw.write(clientFrame(CLOSE, closePayload(1000))),
    'a protocol error': (raw) => raw.write(hex('ff 80 m')),
    'text that is not UTF-8': (raw) => raw.write(clientFrame(CONTINUED, Buffer.of(0xff))),
    'a message that gets too large': (raw) => raw.write(clientFrame(CONTINUED, 'x'.repeat(501))),
    'too many fragments': (raw) => raw.write(...Array(5).fill(clientFrame(CONTINUED))),
    'the deadline of the message': () => {},
    'terminate()': (_, peer) => peer.terminate(),
    'close()': (raw, peer) => {
      peer.close(1000);
      raw.write(clientFrame(CLOSE, closePayload(1000)));
    },
    'close() without an answer': (_, peer) => peer.close(1000),
    'the frame’s header alone': (raw) => {
      raw.write(hex('80 fe'));
      raw.end();
    },
    'half of a frame': (raw) => {
      raw.write(hex('80 fe 0100 m 41414141'));
      raw.end();
    },
  };
  const limits: Partial<Limits> = {
    maxMessageBytes: 1_000,
    maxFragments: 5,
    messageTimeoutMs: 150,
    closeTimeoutMs: 100,
  };
  for (const [name, end] of Object.entries(ends)) {
    testOverHttp1(name, async (over) => {
      const opened = new Mailbox<Peer>();
      const route = { ping(): void {}, open: opened.put };
      await withApplication({ over, limits, route }, async (application) => {
        for (let i = 0; i < 2; i++) {
          const raw = await application.open();
          const peer = await opened.next();
          raw.write(begun);
          assert.equal(await settled(raw), 'open');
          assert.equal(unfinished.bytes, 64 + 1_000);
          end(raw, peer);
          await within('the end', Promise.race([peer.closed, raw.expectEnd().catch(() => {})]));
          raw.destroy();
          await within('the end', peer.closed);
          assert.equal(unfinished.bytes, 0);
        }
      });
    });
  }

  test('a compressed message, cut off at any point', async (t) => {
    const opened = new Mailbox<Peer>();
    const server = await startHttp2(t, false, {
      routes: { '/': { open: opened.put } },
      compression: true,
    });
    const session = await dialHttp2(t, server.port, false);
    const payload = deflateRawSync(Buffer.alloc(300_000, 'some text '));
    const fields = { 'sec-websocket-extensions': 'permessage-deflate' };
    for (const size of [0, 1, 100, payload.length - 1]) {
      const stream = await session.open('/', fields);
      const peer = await opened.next();
      // RSV1, RFC 7692 6.1.
      stream.write(clientFrame(0x40 | TEXT_BEGUN, payload.subarray(0, size)), clientFrame(PING));
      await stream.expectFrame(PONG);
      assert.ok(unfinished.bytes >= 64);
      stream.reset();
      await within('the end', peer.closed);
      assert.equal(unfinished.bytes, 0);
    }
  });
});
