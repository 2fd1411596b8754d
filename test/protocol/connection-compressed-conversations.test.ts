import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DeflateAgreement } from '../../dist/protocol/extensions/permessage-deflate.js';
import { MessageBatch } from '../../dist/protocol/messages/message-batch.js';
import { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { decodeFrames } from '../reference-codec.ts';
import { Harness, PING, type Told } from './connection-harness.ts';
import { cutInto } from './splitting.ts';
import { compressionSettings, mirrored, type TestCompression } from './test-compression.ts';
import { testPlatform } from './test-platform.ts';

const agreements: fc.Arbitrary<DeflateAgreement> = fc.record({
  deflateTakeover: fc.boolean(),
  deflateWindowBits: fc.integer({ min: 8, max: 15 }),
  inflateTakeover: fc.boolean(),
  inflateWindowBits: fc.integer({ min: 8, max: 15 }),
});

const options = fc.record({
  level: fc.integer({ min: 1, max: 9 }),
  memLevel: fc.integer({ min: 1, max: 9 }),
  threshold: fc.constantFrom(0, 1, 40),
});

/** Some that compress well, some not at all, some that repeat what others have said, some beyond the smallest windows. */
const data = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.uint8Array({ maxLength: 100 }),
  fc.nat(200).map((times) => 'repeat me, '.repeat(times)),
  fc.nat(900).map((size) => Uint8Array.from({ length: size }, (_, i) => (i * i * 31 + i) & 0xff)),
);

type Data = string | Uint8Array;
type Step =
  | { readonly send: Data; readonly how: 'direct' | 'prepared'; readonly compress: boolean }
  | { readonly publish: readonly Data[] }
  | { readonly ping: Uint8Array }
  | { readonly discard: true }
  | { readonly finish: true };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      send: data,
      how: fc.constantFrom('direct' as const, 'prepared' as const),
      compress: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ publish: fc.array(data, { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ ping: fc.uint8Array({ maxLength: 20 }) }) },
  { weight: 1, arbitrary: fc.constant({ discard: true as const }) },
  { weight: 2, arbitrary: fc.constant({ finish: true as const }) },
);

/** Sends a batch as a session does; only a server publishes. */
function publish(harness: Harness, isServer: boolean, messages: readonly Data[]): void {
  const { connection } = harness;
  const prepared = messages.map((each) => PreparedMessage.encode(each, testPlatform, true));
  const frames = isServer && connection.framesOf(new MessageBatch(prepared, testPlatform));
  if (frames) harness.append(frames);
  else for (const message of prepared) connection.sendPrepared(message, true);
}

/** Does as told; returns what the other side must hear. */
function perform(
  harness: Harness,
  isServer: boolean,
  port: TestCompression,
  steps: readonly Step[],
  out: Uint8Array[],
): Told[] {
  const expected: Told[] = [];
  // What waits, and can still be thrown away.
  let waiting: Told[] = [];
  for (const each of steps) {
    if ('send' in each) {
      const { send, how, compress } = each;
      if (how === 'prepared') {
        harness.connection.sendPrepared(PreparedMessage.encode(send, testPlatform, true), compress);
      } else if (typeof send === 'string') harness.connection.sendText(send, compress);
      else harness.connection.sendBinary(send, compress);
      waiting.push({ message: send });
    } else if ('publish' in each) {
      publish(harness, isServer, each.publish);
      waiting.push(...each.publish.map((message) => ({ message })));
    } else if ('ping' in each) {
      harness.connection.sendBytes(PING, each.ping);
      waiting.push({ ping: [...each.ping] });
    } else if ('discard' in each) {
      harness.discard();
      waiting = [];
    } else port.finishOne();
    // What is written has left.
    const written = harness.written();
    out.push(written);
    const { length } = decodeFrames(written).frames;
    expected.push(...waiting.splice(0, length));
  }
  while (port.finishOne());
  out.push(harness.written());
  return [...expected, ...waiting];
}

/** Lets a connection receive as a host does: what it did not take in waits until it can. */
function receive(
  harness: Harness,
  port: TestCompression,
  pieces: readonly Uint8Array[],
  borrowed: boolean,
): void {
  for (const piece of pieces) {
    let rest = Uint8Array.from(piece);
    while (rest.length > 0) {
      const memory = Uint8Array.from(rest);
      rest = rest.slice(harness.chunk(memory, 0, borrowed));
      if (borrowed) memory.fill(0xee);
      if (harness.connection.inflating) assert.ok(port.finishOne());
    }
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 4 });
const laterAbove = fc.constantFrom(Infinity, 0, 50, 400);

for (const isServer of [true, false]) {
  test(`what a ${isServer ? 'server' : 'client'} sends arrives as it was, whatever was agreed on and however it is cut`, () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        fc.record({
          agreement: agreements,
          given: options,
          deflate: laterAbove,
          inflate: laterAbove,
        }),
        sizes,
        fc.boolean(),
        (steps, { agreement, given, deflate, inflate }, cuts, borrowed) => {
          const own = compressionSettings(agreement, given);
          own.port.deflateLaterAbove = deflate;
          const its = compressionSettings(mirrored(agreement));
          its.port.inflateLaterAbove = inflate;
          const sender = new Harness(isServer, {}, own);
          const receiver = new Harness(!isServer, {}, its);

          const out: Uint8Array[] = [];
          const expected = perform(sender, isServer, own.port, steps, out);
          const stream = Uint8Array.from(Buffer.concat(out));
          receive(receiver, its.port, cutInto(stream, cuts), borrowed);
          const heard = receiver.heard().filter((told) => !('inflated' in told));
          assert.deepEqual(heard, expected);
          assert.equal(receiver.connection.state, 0);

          // Nothing is compressed that must not be, and all that is counted was.
          const { frames, rest } = decodeFrames(stream);
          assert.equal(rest.length, 0);
          const compressed = frames.filter(({ reserved }) => reserved !== 0);
          assert.ok(compressed.every(({ reserved, opcode }) => reserved === 4 && opcode < 3));
          if (agreement.deflateWindowBits === 8) assert.equal(compressed.length, 0);
          assert.equal(its.counters.inflated.messages, compressed.length);
          assert.ok(own.counters.deflated.messages >= compressed.length);
        },
      ),
      { numRuns: 500 },
    );
  });
}
