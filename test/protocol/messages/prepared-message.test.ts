import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { EncodedMessage } from '../../../dist/protocol/frames/frame-sender.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames, encodeUtf8 } from '../../reference-codec.ts';
import { inflateOnce, TestCompression, type TestDeflater } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

for (const data of ['', 'hello', 'ü'.repeat(63), 'x'.repeat(70_000)]) {
  test(`a text of ${data.length} characters is one unmasked frame`, () => {
    const message = PreparedMessage.encode(data, testPlatform, true);
    const [frame] = decodeFrames(message.frame).frames;
    assert.equal(message.opcode, 1);
    assert.equal(frame?.opcode, 1);
    assert.equal(frame?.mask, undefined);
    assert.ok(Buffer.from(frame?.payload ?? []).equals(encodeUtf8(data)));
    assert.ok(Buffer.from(message.frame.subarray(message.payloadStart)).equals(encodeUtf8(data)));
  });
}

test('one that is soon forgotten is made the same, of memory for such', () => {
  const brief: number[] = [];
  const platform = {
    ...testPlatform,
    allocateBrief(size: number): Uint8Array {
      brief.push(size);
      return new Uint8Array(size);
    },
  };
  for (const data of ['häh', new Uint8Array(300).fill(9)]) {
    const kept = PreparedMessage.encode(data, platform, true);
    assert.deepEqual(brief.splice(0), []);
    const forgotten = PreparedMessage.encode(data, platform, true, true);
    assert.deepEqual(forgotten.frame, kept.frame);
    assert.deepEqual(brief.splice(0), [kept.frame.length]);
  }
});

test('bytes are copied: what happens to them later does not matter', () => {
  const data = Uint8Array.of(1, 2, 3);
  const message = PreparedMessage.encode(data, testPlatform, true);
  data.fill(0);
  assert.equal(message.opcode, 2);
  assert.deepEqual([...message.frame], [0x82, 3, 1, 2, 3]);
});

test('says how long its payload is, and whether it may be compressed', () => {
  for (const compress of [true, false]) {
    const message = PreparedMessage.encode('ü'.repeat(100), testPlatform, compress);
    assert.equal(message.size, 200);
    assert.equal(message.compress, compress);
  }
});

describe('compressed', () => {
  const parameters = { windowBits: 15, level: 1, memLevel: 8 };
  // Compressed to less and to more than what the shortest header can say.
  const short = 'compress me '.repeat(20);
  const long = Array.from({ length: 200 }, (_, i) => String(i * i * 7919)).join();
  const incompressible = Uint8Array.from({ length: 40 }, (_, i) => (i * 97 + 13) & 0xff);

  function check(encoded: EncodedMessage | undefined, data: string | Uint8Array): void {
    assert.ok(encoded);
    const { frames, rest } = decodeFrames(encoded.frame);
    const [frame] = frames;
    assert.ok(frame !== undefined && frames.length === 1 && rest.length === 0);
    const opcode = typeof data === 'string' ? 1 : 2;
    assert.deepEqual([frame.fin, frame.reserved, frame.opcode], [true, 4, opcode]);
    assert.equal(encoded.opcode, 0x40 | opcode);
    const payload = encoded.frame.subarray(encoded.payloadStart);
    assert.deepEqual(Uint8Array.from(payload), frame.payload);
    assert.ok(Buffer.from(data as string).equals(inflateOnce(payload)));
  }

  for (const data of [short, long, Buffer.from(short), Buffer.from(long)]) {
    test(`${typeof data} of ${data.length} bytes: a frame with RSV1, of its own memory`, () => {
      const port = new TestCompression();
      const deflater = port.sharedDeflater(parameters);
      const now = PreparedMessage.encode(data, testPlatform, true);
      const later = PreparedMessage.encode(data, testPlatform, true);
      const encoded = now.deflate(deflater, testPlatform);
      // What the deflater puts out next does not change it.
      deflater.deflate(incompressible, 0, 40, true);
      check(encoded, data);
      const told: EncodedMessage[] = [];
      later.deflateLater(deflater, testPlatform, (message) => told.push(message));
      assert.deepEqual(told, []);
      port.finishOne();
      assert.equal(told.length, 1);
      check(told[0], data);
      assert.deepEqual(
        deflater.calls.map(({ fresh }) => fresh),
        [true, true, undefined],
      );
    });
  }

  test('once for each deflater', () => {
    const port = new TestCompression();
    const deflaters = [1, 9].map((level) => port.sharedDeflater({ ...parameters, level }));
    const message = PreparedMessage.encode(long, testPlatform, true);
    const encoded = deflaters.map((deflater) => {
      assert.equal(message.deflatedBy(deflater), undefined);
      return message.deflate(deflater, testPlatform);
    });
    assert.notEqual(encoded[0], encoded[1]);
    deflaters.forEach((deflater, i) => {
      assert.equal(message.deflatedBy(deflater), encoded[i]);
    });
  });

  test('later: once, however many wait for it, who are told in order', () => {
    const port = new TestCompression();
    const deflaters = [1, 9].map((level) => port.sharedDeflater({ ...parameters, level }));
    const message = PreparedMessage.encode(long, testPlatform, true);
    const told: [number, EncodedMessage][] = [];
    const later = (deflater: TestDeflater | undefined, who: number): boolean => {
      assert.ok(deflater);
      return message.deflateLater(deflater, testPlatform, (found) => told.push([who, found]));
    };
    assert.equal(later(deflaters[0], 1), true);
    assert.equal(later(deflaters[0], 2), false);
    assert.equal(later(deflaters[1], 3), true);
    assert.equal(later(deflaters[0], 4), false);
    assert.deepEqual(
      deflaters.map((deflater) => message.deflatedBy(deflater)),
      [undefined, undefined],
    );
    assert.equal(port.waiting.length, 2);
    port.finishOne();
    assert.deepEqual(
      told.map(([who]) => who),
      [1, 2, 4],
    );
    assert.deepEqual(new Set(told.map(([, found]) => found)).size, 1);
    assert.equal(deflaters[0] && message.deflatedBy(deflaters[0]), told[0]?.[1]);
    assert.equal(deflaters[1] && message.deflatedBy(deflaters[1]), undefined);
    port.finishOne();
    assert.equal(told.length, 4);
  });

  test('what gets no shorter is the message itself', () => {
    const port = new TestCompression();
    const deflater = port.sharedDeflater(parameters);
    const message = PreparedMessage.encode(incompressible, testPlatform, true);
    assert.equal(message.deflate(deflater, testPlatform), message);
    assert.equal(message.deflatedBy(deflater), message);
    const other = PreparedMessage.encode(incompressible, testPlatform, true);
    other.deflateLater(deflater, testPlatform, (found) => assert.equal(found, other));
    port.finishOne();
    assert.equal(other.deflatedBy(deflater), other);
  });
});
