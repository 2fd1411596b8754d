import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { concatBytes, type FrameFields } from '../reference-codec.ts';
import { type ReceivedEvent, referenceEvents } from '../reference-receiver.ts';
import { CLOSE, closePayload, Harness, PING, PONG, type Told } from './connection-harness.ts';
import { cutInto, waysOfSplitting } from './splitting.ts';
import { testPlatform } from './test-platform.ts';

/** What was told, in the words of the reference. */
function asReference(told: readonly Told[]): ReceivedEvent[] {
  return told.flatMap((event): ReceivedEvent[] => {
    if ('message' in event) {
      return typeof event.message === 'string'
        ? [{ type: 'text', text: event.message }]
        : [{ type: 'binary', bytes: [...event.message] }];
    }
    if ('ping' in event) return [{ type: 'ping', bytes: event.ping }];
    if ('pong' in event) return [{ type: 'pong', bytes: event.pong }];
    if (!('end' in event)) return [];
    const { code, reason, error } = event.end;
    return error === undefined ? [{ type: 'close', code, reason }] : [{ type: 'failed', code }];
  });
}

function received(isServer: boolean, pieces: readonly Uint8Array[]): ReceivedEvent[] {
  const harness = new Harness(isServer);
  for (const piece of pieces) harness.chunk(Uint8Array.from(piece));
  const { state } = harness.connection;
  // What the reference does not tell is an end that nobody has begun.
  if (state > 0) harness.connection.transportClosed();
  return asReference(harness.heard());
}

const limits = { maxMessageBytes: 1024 * 1024, maxFragments: 1024 };

const fields = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ opcode: fc.constantFrom(1, 2, 0, 9, 10), fin: fc.boolean() }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ opcode: fc.nat(15), reserved: fc.nat(7), fin: fc.boolean() }),
  },
);
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 8 }).map((text) => Uint8Array.from(Buffer.from(text))),
  fc
    .constantFrom(closePayload(1000, 'bye'), closePayload(1005), [3], [])
    .map((list) => Uint8Array.from(list)),
);
const anyFrame = fc.tuple(fields, payload).map(([frame, bytes]): FrameFields => {
  // Control frames are mostly legal, or nothing else would ever be seen.
  return { ...frame, payload: bytes, fin: frame.opcode >= 8 || frame.fin };
});

describe('receiving', () => {
  for (const isServer of [true, false]) {
    test(`any frames in any pieces mean what the reference says, to a ${isServer ? 'server' : 'client'}`, () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 });
      fc.assert(
        fc.property(fc.array(anyFrame, { maxLength: 8 }), sizes, (frames, cuts) => {
          const harness = new Harness(isServer);
          const stream = concatBytes(...frames.map((frame) => harness.frame(frame)));
          const expected = referenceEvents(stream, isServer, limits);
          assert.deepEqual(received(isServer, [stream]), expected);
          assert.deepEqual(received(isServer, cutInto(stream, cuts)), expected);
        }),
        { numRuns: 1000 },
      );
    });
  }

  test('a script of everything, at every split point', () => {
    const harness = new Harness();
    const frames: FrameFields[] = [
      { opcode: 1, payload: Buffer.from('häh') },
      { opcode: 2, fin: false, payload: [1, 2] },
      { opcode: PING, payload: [7, 8] },
      { opcode: 0, fin: false, payload: [] },
      { opcode: 0, payload: [3] },
      { opcode: 1, payload: [] },
      { opcode: PONG, payload: [] },
      { opcode: CLOSE, payload: closePayload(4000, '€') },
    ];
    const stream = concatBytes(...frames.map((frame) => harness.frame(frame)));
    const expected = referenceEvents(stream, true, limits);
    assert.equal(expected.length, 6);
    for (const pieces of waysOfSplitting(stream))
      assert.deepEqual(received(true, pieces), expected);
  });

  test('messages from memory that is used again stay valid', () => {
    const harness = new Harness();
    const bytes = concatBytes(
      harness.frame({ opcode: 2, payload: [1, 2, 3] }),
      harness.frame({ opcode: 2, payload: [4, 5, 6] }),
    );
    harness.chunk(bytes, 0, true);
    bytes.fill(0);
    assert.deepEqual(harness.heard(), [
      { message: Uint8Array.of(1, 2, 3) },
      { message: Uint8Array.of(4, 5, 6) },
    ]);
  });

  test('begins where it is told to', () => {
    const harness = new Harness();
    const bytes = concatBytes([9, 9, 9], harness.frame({ opcode: 1, payload: [65] }));
    assert.equal(harness.chunk(bytes, 3, false), bytes.length);
    assert.deepEqual(harness.heard(), [{ message: 'A' }]);
  });
});

describe('pausing', () => {
  const letters = (harness: Harness) =>
    'ABC'.split('').map((c) => harness.frame({ opcode: 1, payload: Buffer.from(c) }));

  test('stops before the next frame; going on loses nothing and keeps the order', () => {
    const harness = new Harness();
    harness.onEachMessage = () => harness.connection.pause();
    const bytes = concatBytes(...letters(harness));
    let at = 0;
    for (const letter of 'ABC') {
      harness.connection.resume();
      at = harness.chunk(bytes, at, false);
      assert.deepEqual(harness.heard(), [{ message: letter }]);
    }
    assert.equal(at, bytes.length);
  });

  test('a paused connection takes nothing', () => {
    const harness = new Harness();
    harness.connection.pause();
    assert.equal(harness.receive(...letters(harness)).stoppedAt, 0);
    assert.deepEqual(harness.heard(), []);
  });

  test('after 2,048 frames others have their turn', () => {
    const harness = new Harness();
    const bytes = concatBytes(...new Array(5000).fill(harness.frame({ opcode: 2 })));
    let at = 0;
    const turns: number[] = [];
    while (at < bytes.length) {
      at = harness.chunk(bytes, at, false);
      turns.push(harness.heard().length);
    }
    assert.deepEqual(turns, [2048, 2048, 904]);
  });
});

describe('sending', () => {
  for (const isServer of [true, false]) {
    test(`text, bytes and prepared messages, as a ${isServer ? 'server' : 'client'}`, () => {
      const harness = new Harness(isServer);
      harness.connection.sendText('ü', true);
      harness.connection.sendBytes(2, Uint8Array.of(1));
      harness.connection.sendPrepared(PreparedMessage.encode('p', testPlatform, true), true);
      assert.deepEqual(harness.sent(), [
        { opcode: 1, payload: [0xc3, 0xbc] },
        { opcode: 2, payload: [1] },
        { opcode: 1, payload: [112] },
      ]);
    });
  }
});

describe('control frames', () => {
  test('a ping is answered with its payload, before the application hears of it', () => {
    for (const size of [0, 1, 125]) {
      const harness = new Harness();
      const bytes = Array.from({ length: size }, (_, i) => i);
      harness.receive({ opcode: PING, payload: bytes });
      assert.deepEqual(harness.sent(), [{ opcode: PONG, payload: bytes }]);
      assert.deepEqual(harness.heard(), [{ ping: bytes }]);
    }
  });

  test('while the transport is behind, only the newest ping is answered, and later', () => {
    const harness = new Harness();
    harness.backlogged = true;
    harness.receive({ opcode: PING, payload: [1] }, { opcode: PING, payload: [2] });
    assert.deepEqual(harness.sent(), []);
    harness.connection.drained();
    assert.deepEqual(harness.sent(), [{ opcode: PONG, payload: [2] }]);
    harness.connection.drained();
    assert.deepEqual(harness.sent(), []);
  });

  test('a pong that waits is not sent after a close frame', () => {
    const harness = new Harness();
    harness.backlogged = true;
    harness.receive({ opcode: PING, payload: [1] });
    harness.connection.close(1000, new Uint8Array(0));
    harness.connection.drained();
    assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: closePayload(1000) }]);
  });

  test('nor is one that the transport lets out when the other side has gone', () => {
    const harness = new Harness();
    harness.backlogged = true;
    harness.receive({ opcode: PING, payload: [1] });
    harness.connection.transportEnded();
    harness.connection.drained();
    assert.deepEqual(harness.sent(), []);
  });

  test('a pong that nobody asked for is told, and not answered', () => {
    const harness = new Harness();
    harness.receive({ opcode: PONG, payload: [1] });
    assert.deepEqual(harness.sent(), []);
    assert.deepEqual(harness.heard(), [{ pong: [1] }]);
  });

  test('the burst is allowed, one more fails with 1008; a close frame is not counted', () => {
    const harness = new Harness(true, { controlFrameBurst: 3 });
    harness.receive(...new Array(3).fill({ opcode: PONG }));
    assert.equal(harness.heard().length, 3);
    harness.receive({ opcode: CLOSE });
    assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: [] }]);

    const flooded = new Harness(true, { controlFrameBurst: 3 });
    flooded.receive(...new Array(4).fill({ opcode: PING }));
    assert.deepEqual(flooded.sent().at(-1)?.payload.slice(0, 2), closePayload(1008));
    flooded.connection.transportClosed();
    assert.equal(flooded.heard().filter((event) => 'ping' in event).length, 3);
  });

  test('the rate refills the burst', () => {
    const harness = new Harness(true, { controlFrameBurst: 2, controlFramesPerSecond: 10 });
    for (let i = 0; i < 50; i++) {
      harness.receive({ opcode: PONG });
      harness.time += 100;
    }
    assert.equal(harness.heard().length, 50);
  });
});

describe('limits', () => {
  test('a message over the size that lies whole in a chunk fails with 1009, too', () => {
    const harness = new Harness(true, { maxMessageBytes: 10 });
    harness.receive({ opcode: 1, payload: new Array(10).fill(65) });
    harness.receive({ opcode: 1, payload: new Array(11).fill(65) });
    assert.deepEqual(harness.heard(), [{ message: 'A'.repeat(10) }, { transport: 'end' }]);
    assert.deepEqual(harness.sent()[0]?.payload.slice(0, 2), closePayload(1009));
  });

  test('a message over the size fails with 1009 when it is announced', () => {
    const harness = new Harness(true, { maxMessageBytes: 10 });
    harness.receive({ opcode: 2, payload: new Uint8Array(10) });
    harness.receive({ opcode: 2, announced: 11 });
    assert.deepEqual(harness.sent()[0]?.payload.slice(0, 2), closePayload(1009));
    assert.deepEqual(harness.heard().at(-1), { transport: 'end' });
  });

  test('a fragment too many fails with 1008', () => {
    const harness = new Harness(true, { maxFragments: 2 });
    harness.receive({ opcode: 2, fin: false }, { opcode: 0, fin: false }, { opcode: 0 });
    assert.deepEqual(harness.sent()[0]?.payload.slice(0, 2), closePayload(1008));
  });
});
