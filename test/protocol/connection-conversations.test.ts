import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { concatBytes, encodeUtf8, type FrameFields } from '../reference-codec.ts';
import { type ReceivedEvent, referenceEvents } from '../reference-receiver.ts';
import { CLOSE, closePayload, Harness, PING, PONG, type Told } from './connection-harness.ts';
import { cutInto } from './splitting.ts';
import { testPlatform } from './test-platform.ts';

const unlimited = { maxMessageBytes: Infinity, maxFragments: Infinity };
const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 });

function eventOf(told: Told): ReceivedEvent[] {
  if ('message' in told) {
    const { message } = told;
    return typeof message === 'string'
      ? [{ type: 'text', text: message }]
      : [{ type: 'binary', bytes: [...message] }];
  }
  if ('ping' in told) return [{ type: 'ping', bytes: told.ping }];
  if ('pong' in told) return [{ type: 'pong', bytes: told.pong }];
  if (!('end' in told)) return [];
  const { code, reason, error } = told.end;
  return [error === undefined ? { type: 'close', code, reason } : { type: 'failed', code }];
}

/** Receives pieces one after the other out of the same memory, then looks at what was told. */
function receivedFrom(harness: Harness, pieces: readonly Uint8Array[]): ReceivedEvent[] {
  const memory = Buffer.alloc(Math.max(1, ...pieces.map(({ length }) => length)));
  for (const piece of pieces) {
    memory.set(piece);
    harness.chunk(memory.subarray(0, piece.length), 0, true);
    memory.fill(0xee);
  }
  if (harness.connection.state > 0) harness.connection.transportClosed();
  return harness.heard().flatMap(eventOf);
}

// --- What a well-behaved peer may say

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ unit: 'binary', minLength: 100, maxLength: 200 }),
);
const bytes = fc.uint8Array({ maxLength: 200 });
const control = fc.record({
  opcode: fc.constantFrom(PING, PONG),
  payload: fc.uint8Array({ maxLength: 125 }),
});
const message = fc.record({
  data: fc.oneof(text, bytes),
  /** Where the message is cut into fragments; the same place twice makes an empty one. */
  cuts: fc.array(fc.nat(200), { maxLength: 5 }),
  /** What stands before each fragment. */
  controls: fc.array(fc.array(control, { maxLength: 2 }), { maxLength: 6 }),
});

function framesOf({
  data,
  cuts,
  controls,
}: typeof message extends fc.Arbitrary<infer T> ? T : never) {
  const isText = typeof data === 'string';
  const payload = isText ? encodeUtf8(data) : data;
  const places = [0, ...cuts.map((at) => Math.min(at, payload.length)), payload.length];
  places.sort((a, b) => a - b);
  const last = places.length - 2;
  return places.slice(0, -1).flatMap((from, i): FrameFields[] => [
    ...(controls[i] ?? []),
    {
      fin: i === last,
      opcode: i > 0 ? 0 : isText ? 1 : 2,
      payload: payload.slice(from, places[i + 1]),
    },
  ]);
}

const masks = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));

for (const isServer of [true, false]) {
  describe(isServer ? 'a server' : 'a client', () => {
    test('hears a legal conversation whole and in order, and answers each ping', () => {
      fc.assert(
        fc.property(fc.array(message, { maxLength: 5 }), masks, sizes, (messages, mask, cuts) => {
          const frames = messages.flatMap(framesOf);
          const harness = new Harness(isServer, { controlFrameBurst: 1000 });
          const own = isServer ? { mask } : {};
          const stream = concatBytes(...frames.map((frame) => harness.frame({ ...frame, ...own })));
          const expected = referenceEvents(stream, isServer, unlimited);
          const heard = receivedFrom(harness, cutInto(stream, cuts));
          assert.deepEqual(heard, expected);
          assert.equal(harness.connection.state, 0);
          // The reference's reading is checked against what was meant.
          const meant = messages.map(({ data }) =>
            typeof data === 'string' ? Buffer.from(data).toString() : [...data],
          );
          const said = heard.flatMap((event): (string | readonly number[])[] => {
            if (event.type === 'text') return [event.text];
            return event.type === 'binary' ? [event.bytes] : [];
          });
          assert.deepEqual(said, meant);
          const pings = frames.filter(({ opcode }) => opcode === PING);
          assert.deepEqual(
            harness.sent(),
            pings.map(({ payload = [] }) => ({ opcode: PONG, payload: [...payload] })),
          );
        }),
        { numRuns: 300 },
      );
    });

    test('hears frames with any field wrong as the reference does, within small limits', () => {
      const limits = { maxMessageBytes: 150, maxFragments: 3 };
      const wrong = fc.record(
        {
          fin: fc.boolean(),
          reserved: fc.nat(7),
          opcode: fc.nat(15),
          lengthBits: fc.constantFrom(16 as const, 64 as const),
          payload: fc.uint8Array({ maxLength: 160 }),
          mask: fc.constantFrom(undefined, [9, 8, 7, 6]),
        },
        { requiredKeys: ['opcode', 'payload'] },
      );
      const closes = fc
        .constantFrom([], [3], closePayload(1000, 'ü'), closePayload(1006), [3, 232, 0xff])
        .map((payload) => ({ opcode: CLOSE, payload }));
      const parts = fc.array(message.map(framesOf), { maxLength: 3 }).map((list) => list.flat());
      const script = fc.tuple(parts, fc.oneof(wrong, closes), parts);
      fc.assert(
        fc.property(script, sizes, ([before, odd, after], cuts) => {
          const frames: FrameFields[] = [...before, odd, ...after];
          const harness = new Harness(isServer, { ...limits, controlFrameBurst: 1000 });
          const stream = concatBytes(...frames.map((frame) => harness.frame(frame)));
          const expected = referenceEvents(stream, isServer, limits);
          assert.deepEqual(receivedFrom(harness, cutInto(stream, cuts)), expected);
        }),
        { numRuns: 1000 },
      );
    });

    test('makes the same of any bytes, however they are cut, and never throws', () => {
      const some = fc.uint8Array({ maxLength: 80 });
      fc.assert(
        fc.property(some, fc.array(message, { maxLength: 1 }), sizes, (noise, messages, cuts) => {
          const harness = new Harness(isServer);
          const legal = messages.flatMap(framesOf).map((frame) => harness.frame(frame));
          const stream = concatBytes(...legal, noise);
          const whole = receivedFrom(new Harness(isServer), [stream]);
          assert.deepEqual(receivedFrom(new Harness(isServer), cutInto(stream, cuts)), whole);
          assert.deepEqual(receivedFrom(new Harness(isServer), cutInto(stream, [1])), whole);
        }),
        { numRuns: 500 },
      );
    });

    test('sends what the reference, and the other side, read as it was meant', () => {
      fc.assert(
        fc.property(fc.array(fc.oneof(text, bytes, control)), sizes, (items, cuts) => {
          const harness = new Harness(isServer);
          const other = new Harness(!isServer, { controlFrameBurst: 1000 });
          for (const [i, item] of items.entries()) {
            if (typeof item === 'object' && 'opcode' in item) {
              harness.connection.sendBytes(item.opcode, item.payload);
            } else if (i % 3 === 0) {
              harness.connection.sendPrepared(
                PreparedMessage.encode(item, testPlatform, true),
                true,
              );
            } else if (typeof item === 'string') harness.connection.sendText(item, true);
            else harness.connection.sendBytes(2, item);
          }
          const stream = harness.written();
          const expected = items.map((item): ReceivedEvent => {
            if (typeof item === 'string') return { type: 'text', text: item };
            if (item instanceof Uint8Array) return { type: 'binary', bytes: [...item] };
            const type = item.opcode === PING ? 'ping' : 'pong';
            return { type, bytes: [...item.payload] };
          });
          assert.deepEqual(referenceEvents(stream, !isServer, unlimited), expected);
          assert.deepEqual(receivedFrom(other, cutInto(stream, cuts)), expected);
        }),
        { numRuns: 300 },
      );
    });
  });
}
