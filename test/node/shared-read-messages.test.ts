import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect, type Message, type Peer } from '../../dist/index.js';
import { checkSwitched, handshake } from '../faults/raw-client.ts';
import {
  BINARY,
  BINARY_BEGUN,
  CONTINUED,
  clientFrame,
  FINISHED,
  PING,
  PONG,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { type RawSocket, within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, makeGate } from './connections.ts';
import { settle, spoilSharedBuffer, startWay, testEachWay, until } from './ways-of-reading.ts';

type Frame = (first: number, payload?: string | Uint8Array) => Buffer;

/** Bytes that tell apart who sent them, which message they are of, and where in it they stand. */
function bytesOf(size: number, sender: number, message: number): Buffer {
  return Buffer.alloc(size, `<${sender}.${message}>${'abcdefghi'.slice(sender % 9)}`);
}

/** What one sender sends: whole messages of every size, fragmented ones, and pings between fragments. */
function conversation(
  sender: number,
  frame: Frame,
): { bytes: Buffer; messages: Message[]; pings: Buffer[] } {
  const frames: Buffer[] = [];
  const messages: Message[] = [];
  const pings: Buffer[] = [];
  const sizes = [1, 20, 125, 126, 4_096, 20, 65_535, 0, 65_536, 200_000, 7];
  if (sender === 0) sizes.push(1_048_576);
  for (const [at, size] of sizes.entries()) {
    const bytes = bytesOf(size, sender, at);
    frames.push(frame(BINARY, bytes));
    messages.push(bytes);
    const ping = bytesOf(Math.min(size, 125), sender, 100 + at);
    frames.push(frame(PING, ping));
    pings.push(ping);
    const text = `é€𝄞 ${bytes.toString('latin1', 0, 5_000)}`;
    frames.push(frame(TEXT, text));
    messages.push(text);
    const [a, b, c] = [bytes.subarray(0, 30), bytes.subarray(30, 9_000), bytes.subarray(9_000)];
    frames.push(frame(BINARY_BEGUN, a), frame(CONTINUED, b), frame(PING, ping), frame(FINISHED, c));
    messages.push(bytes);
    pings.push(ping);
  }
  return { bytes: Buffer.concat(frames), messages, pings };
}

/** Writes what belongs to each, slice by slice in turn, so that reads of all are interleaved. */
async function writeInterleaved(all: readonly { raw: RawSocket; bytes: Buffer }[]): Promise<void> {
  const slices = [1, 7_001, 300, 65_536, 13, 40_000, 2];
  const sent = all.map(() => 0);
  for (let round = 0; sent.some((at, i) => at < (all[i]?.bytes.length ?? 0)); round++) {
    for (const [i, { raw, bytes }] of all.entries()) {
      const from = sent[i] ?? 0;
      const size = slices[(round + i) % slices.length] ?? 1;
      if (from < bytes.length) raw.socket.write(bytes.subarray(from, from + size));
      sent[i] = from + size;
    }
    await nextTurn();
  }
}

function checkSameMessages(kept: readonly Message[], sent: readonly Message[]): void {
  assert.equal(kept.length, sent.length);
  for (const [at, message] of kept.entries()) {
    const expected = sent[at];
    if (typeof message === 'string' || typeof expected === 'string')
      assert.ok(message === expected, `message ${at}, ${message.length}`);
    else assert.ok(Buffer.from(expected ?? '').equals(message), `message ${at}, ${message.length}`);
  }
}

testEachWay('server: messages and pings that are kept stay what they were', async (t, way) => {
  const kept = new Map<Peer<undefined>, { messages: Message[]; pings: Uint8Array[] }>();
  const opened = new Mailbox<Peer<undefined>>();
  const served = await startWay(t, way, {
    limits: { controlFrameBurst: 1_000 },
    routes: {
      '/': {
        open(peer) {
          kept.set(peer, { messages: [], pings: [] });
          opened.put(peer);
        },
        message(peer, message) {
          kept.get(peer)?.messages.push(message);
          spoilSharedBuffer();
        },
        ping(peer, payload) {
          kept.get(peer)?.pings.push(payload);
          spoilSharedBuffer();
        },
      },
    },
  });
  const all: { raw: RawSocket; peer: Peer<undefined>; sent: ReturnType<typeof conversation> }[] =
    [];
  for (let sender = 0; sender < 12; sender++) {
    const raw = await served.open();
    all.push({ raw, peer: await opened.next(), sent: conversation(sender, clientFrame) });
  }
  await served.checkWay();
  await writeInterleaved(all.map(({ raw, sent: { bytes } }) => ({ raw, bytes })));
  for (const { peer, raw, sent } of all) {
    const { messages, pings } = kept.get(peer) ?? assert.fail();
    await until('all messages', () => messages.length === sent.messages.length);
    checkSameMessages(messages, sent.messages);
    checkSameMessages(pings, sent.pings);
    // The answers carry what the pings carried.
    for (const ping of sent.pings) await raw.expectFrame(PONG, ping);
  }
});

for (const sharedReadBuffer of [true, false]) {
  const way = sharedReadBuffer ? 'shared buffer' : "'data'";
  test(`client: messages and pings that are kept stay what they were (${way})`, async () => {
    const count = 8;
    const raws: RawSocket[] = [];
    const done = makeGate();
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(switching(request));
          raws.push(raw);
          await done.opened;
        },
      },
      async (url) => {
        const kept: { messages: Message[]; pings: Uint8Array[] }[] = [];
        for (let i = 0; i < count; i++) {
          const mine: { messages: Message[]; pings: Uint8Array[] } = { messages: [], pings: [] };
          kept.push(mine);
          await connect(url, {
            sharedReadBuffer,
            limits: { controlFrameBurst: 1_000 },
            message(_, message) {
              mine.messages.push(message);
              spoilSharedBuffer();
            },
            ping(_, payload) {
              mine.pings.push(payload);
              spoilSharedBuffer();
            },
          });
        }
        const sent = raws.map((raw, i) => ({ raw, ...conversation(i, serverFrame) }));
        assert.equal(sent.length, count);
        await writeInterleaved(sent);
        for (const [i, { messages, pings }] of sent.entries()) {
          const mine = kept[i] ?? assert.fail();
          await until('all messages', () => mine.messages.length === messages.length);
          checkSameMessages(mine.messages, messages);
          checkSameMessages(mine.pings, pings);
        }
        done.open();
      },
    );
  });
}

testEachWay(
  'both: what is echoed by slow and quick handlers comes back in order',
  async (t, way) => {
    const served = await startWay(t, way, {
      limits: { maxBufferedBytes: 2 ** 30 },
      routes: {
        '/': {
          message(peer, message) {
            peer.send(message);
            spoilSharedBuffer();
            // Some hold the peer: what follows in the same read is kept for later.
            return message.length % 3 === 0 ? nextTurn() : undefined;
          },
        },
      },
    });
    const rounds = Array.from({ length: 10 }, async (_, client) => {
      const inbox: Message[] = [];
      const peer = await dialTo(t, served.server.url, {
        sharedReadBuffer: way.sharedReadBuffer,
        limits: { maxBufferedBytes: 2 ** 30 },
        message(_peer, message) {
          inbox.push(message);
          spoilSharedBuffer();
          return message.length % 5 === 0 ? nextTurn() : undefined;
        },
      });
      const sent = Array.from({ length: 200 }, (_, at) => {
        const bytes = bytesOf(at % 50 === 0 ? 70_000 + at : (at * 37) % 3_000, client, at);
        return at % 2 === 0 ? bytes : bytes.toString('latin1');
      });
      for (const [at, message] of sent.entries()) {
        peer.send(message);
        if (at % 20 === 0) await nextTurn();
      }
      await until('the echo', () => inbox.length === sent.length);
      checkSameMessages(inbox, sent);
    });
    await Promise.all(rounds);
    await served.checkWay();
  },
);

describe('frames that reads cut', () => {
  const scripted = (frame: Frame): { bytes: Buffer; events: string[] } => ({
    bytes: Buffer.concat([
      frame(TEXT, 'Hé€𝄞'),
      frame(PING, 'in pieces'),
      frame(BINARY, Uint8Array.of(1, 2, 3)),
      frame(TEXT_BEGUN, Buffer.from('é€').subarray(0, 3)),
      frame(PING),
      frame(FINISHED, Buffer.from('é€').subarray(3)),
      frame(BINARY, Buffer.alloc(126, 'm')),
      frame(TEXT),
    ]),
    events: ['Hé€𝄞', 'ping in pieces', '010203', 'ping ', 'é€', '6d'.repeat(126), ''],
  });

  function shown(message: Message): string {
    return typeof message === 'string' ? message : Buffer.from(message).toString('hex');
  }

  /** Sends it cut in two at each place, and then byte by byte; each part is a read of its own. */
  async function play(
    raw: RawSocket,
    { bytes, events }: { bytes: Buffer; events: string[] },
    seen: string[],
  ): Promise<void> {
    for (let cut = 1; cut < bytes.length; cut++) {
      raw.write(bytes.subarray(0, cut));
      await settle();
      raw.write(bytes.subarray(cut));
      await until(`what was cut at ${cut}`, () => seen.length >= events.length);
      assert.deepEqual(seen.splice(0), events, `cut at ${cut}`);
    }
    for (const byte of bytes) {
      raw.write(Uint8Array.of(byte));
      await settle();
    }
    await until('what came byte by byte', () => seen.length >= events.length);
    assert.deepEqual(seen, events);
  }

  testEachWay('server', async (t, way) => {
    const seen: string[] = [];
    const served = await startWay(t, way, {
      limits: { controlFrameBurst: 10_000 },
      routes: {
        '/': {
          message(_, message) {
            seen.push(shown(message));
            spoilSharedBuffer();
          },
          ping: (_, payload) => void seen.push(`ping ${Buffer.from(payload)}`),
        },
      },
    });
    const raw = await served.open();
    await served.checkWay();
    await play(raw, scripted(clientFrame), seen);
  });

  for (const sharedReadBuffer of [true, false]) {
    test(`client (${sharedReadBuffer ? 'shared buffer' : "'data'"})`, async () => {
      const seen: string[] = [];
      await withRawServer(
        {
          async answer(raw, request) {
            // The first frame comes with the answer.
            raw.write(switching(request), serverFrame(TEXT, 'early'));
            await until('the early one', () => seen.length === 1);
            assert.deepEqual(seen.splice(0), ['early']);
            await play(raw, scripted(serverFrame), seen);
            raw.end();
          },
        },
        async (url) => {
          const peer = await connect(url, {
            sharedReadBuffer,
            limits: { controlFrameBurst: 10_000 },
            message(_, message) {
              seen.push(shown(message));
              spoilSharedBuffer();
            },
            ping: (_, payload) => void seen.push(`ping ${Buffer.from(payload)}`),
          });
          assert.equal((await within('the end', peer.closed)).code, 1006);
        },
      );
    });
  }
});

describe('what comes with the request', () => {
  const early = Buffer.concat([
    clientFrame(TEXT, 'one'),
    clientFrame(BINARY, bytesOf(5_000, 1, 1)),
    clientFrame(TEXT, 'three'),
  ]);
  const expected: Message[] = ['one', bytesOf(5_000, 1, 1), 'three'];

  testEachWay('is delivered, wherever it is cut', async (t, way) => {
    const inbox = new Mailbox<Message>();
    const served = await startWay(t, way, {
      routes: {
        '/': {
          message(_, message) {
            inbox.put(message);
            spoilSharedBuffer();
          },
        },
      },
    });
    for (const cut of [0, 1, 5, 8, 9, 12, 100, early.length - 1, early.length]) {
      const raw = await served.open(early.subarray(0, cut));
      await settle();
      raw.write(early.subarray(cut));
      checkSameMessages(await inbox.take(3), expected);
      await served.checkWay();
      raw.destroy();
      await until('it to be gone', () => served.server.peers.size === 0);
    }
  });

  testEachWay('waits for an async upgrade and an async open, little or much', async (t, way) => {
    const upgrading = makeGate();
    const opening = makeGate();
    const inbox: Message[] = [];
    const served = await startWay(t, way, {
      routes: {
        '/': {
          upgrade: async () => upgrading.opened as Promise<undefined>,
          open: () => opening.opened,
          message(_, message) {
            inbox.push(message);
            spoilSharedBuffer();
          },
        },
      },
    });
    // Nothing; a little; more than is kept before the socket is paused, so that some of it lies in it.
    const much = Array.from({ length: 40 }, (_, at) => bytesOf(10_000, 2, at));
    const raws: RawSocket[] = [];
    for (const messages of [[], expected, much]) {
      const raw = await served.dial();
      const frames = messages.map((message) =>
        clientFrame(typeof message === 'string' ? TEXT : BINARY, message),
      );
      const bytes = Buffer.concat(frames);
      raw.write(handshake(), bytes.subarray(0, 11));
      await settle();
      raw.write(bytes.subarray(11));
      raws.push(raw);
    }
    await settle();
    upgrading.open();
    for (const raw of raws) checkSwitched(await raw.readHead());
    await settle();
    assert.equal(inbox.length, 0);
    opening.open();
    await until('all of it', () => inbox.length === expected.length + much.length);
    checkSameMessages(inbox.slice(0, 3), expected);
    checkSameMessages(inbox.slice(3), much);
    for (const [at, raw] of raws.entries()) {
      raw.write(clientFrame(BINARY, bytesOf(300, 3, at)));
      await until('one more', () => inbox.length === expected.length + much.length + at + 1);
    }
    checkSameMessages(
      inbox.slice(-3),
      raws.map((_, at) => bytesOf(300, 3, at)),
    );
  });
});
