import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  type FramePlace,
  FrameSender,
  type FrameSink,
} from '../../../dist/protocol/frames/frame-sender.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames, encodeUtf8 } from '../../reference-codec.ts';
import { testPlatform } from '../test-platform.ts';

/** One growing buffer, begun at an odd place; refuses what was not reserved. */
class Sink implements FrameSink {
  position = 3;
  readonly #parts: Uint8Array[] = [];
  #buffer = new Uint8Array(3);
  #from = 3;

  reserve(size: number): Uint8Array {
    const grown = new Uint8Array(this.position + size);
    grown.set(this.#buffer.subarray(0, this.position));
    this.#buffer = grown;
    return grown;
  }

  commit(end: number): void {
    assert.ok(end <= this.#buffer.length, 'written within what was reserved');
    this.position = end;
  }

  append(bytes: Uint8Array): void {
    this.#cut();
    this.#parts.push(bytes);
  }

  keepPlace(): FramePlace {
    throw new Error('no frame is made later');
  }

  #cut(): void {
    this.#parts.push(this.#buffer.slice(this.#from, this.position));
    this.#from = this.position;
  }

  get appended(): readonly Uint8Array[] {
    return this.#parts;
  }

  get bytes(): Uint8Array {
    this.#cut();
    return Buffer.concat(this.#parts);
  }
}

function sent(masked: boolean, send: (sender: FrameSender, sink: FrameSink) => void) {
  const sink = new Sink();
  send(new FrameSender(testPlatform, masked), sink);
  const { frames, rest } = decodeFrames(sink.bytes);
  assert.equal(rest.length, 0);
  for (const frame of frames) {
    assert.ok(frame.fin && frame.reserved === 0);
    assert.equal(frame.mask !== undefined, masked);
  }
  return frames.map(({ opcode, payload }) => ({ opcode, payload: Buffer.from(payload) }));
}

for (const masked of [false, true]) {
  describe(masked ? 'a client' : 'a server', () => {
    test('sends any text as UTF-8, an unpaired surrogate as U+FFFD', () => {
      fc.assert(
        fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.boolean(), (text, lone) => {
          const whole = lone ? `${text}\ud800` : text;
          const [frame] = sent(masked, (sender, sink) => sender.text(sink, whole));
          assert.deepEqual(frame, { opcode: 1, payload: Buffer.from(whole, 'utf8') });
        }),
      );
    });

    for (const [name, text] of Object.entries({
      'whose bytes need a longer header than its characters': 'ü'.repeat(100),
      'that just fits the shortest header': 'a'.repeat(125),
      'that just does not': 'a'.repeat(126),
      'that fills 16 bits': 'a'.repeat(65_535),
      'that does not': '\u{1f600}'.repeat(16_384),
      'that is not measured first': '€'.repeat(1024),
      'that is': '€'.repeat(1025),
      'that is measured and is ASCII': 'a'.repeat(1025),
      'that is empty': '',
    })) {
      test(`sends a text ${name}`, () => {
        const [frame] = sent(masked, (sender, sink) => sender.text(sink, text));
        assert.ok(frame?.payload.equals(encodeUtf8(text)));
      });
    }

    for (const length of [0, 1, 31, 32, 125, 126, 16_383, 16_384, 65_535, 65_536, 200_000]) {
      test(`sends ${length} bytes, and leaves them as they were`, () => {
        const payload = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
        const before = Buffer.from(payload);
        const [frame] = sent(masked, (sender, sink) => sender.bytes(sink, 2, payload));
        assert.equal(frame?.opcode, 2);
        assert.ok(frame?.payload.equals(before));
        assert.ok(before.equals(payload));
      });
    }

    test('sends prepared messages, several times', () => {
      const text = PreparedMessage.encode('häh', testPlatform, true);
      const binary = PreparedMessage.encode(new Uint8Array(300).fill(9), testPlatform, true);
      const frames = sent(masked, (sender, sink) => {
        sender.encoded(sink, text);
        sender.encoded(sink, binary);
        sender.encoded(sink, text);
      });
      assert.deepEqual(
        frames.map(({ opcode, payload }) => [opcode, payload.length]),
        [
          [1, 4],
          [2, 300],
          [1, 4],
        ],
      );
      assert.equal(String(frames[2]?.payload), 'häh');
    });
  });
}

for (const masked of [false, true]) {
  describe(`a frame by itself, ${masked ? 'masked' : 'not masked'}`, () => {
    const sender = new FrameSender(testPlatform, masked);
    for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
      test(`of ${length} bytes`, () => {
        const payload = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
        const before = Buffer.from(payload);
        const { frames, rest } = decodeFrames(sender.frame(0x42, payload));
        assert.equal(rest.length, 0);
        const [frame] = frames;
        assert.ok(frame?.fin && frames.length === 1);
        assert.deepEqual([frame.opcode, frame.reserved], [2, 4]);
        assert.equal(frame.mask !== undefined, masked);
        assert.ok(before.equals(frame.payload));
        assert.ok(before.equals(payload));
      });
    }

    test('of a message that is encoded already', () => {
      const message = PreparedMessage.encode('häh', testPlatform, true);
      const frame = sender.encodedFrame(message);
      assert.equal(frame === message.frame, !masked);
      const [decoded] = decodeFrames(frame).frames;
      assert.equal(decoded?.mask !== undefined, masked);
      assert.equal(String(Buffer.from(decoded?.payload ?? [])), 'häh');
      assert.equal(decodeFrames(message.frame).frames[0]?.mask, undefined);
    });

    test('an opcode with RSV1 is sent so', () => {
      const sink = new Sink();
      sender.bytes(sink, 0x41, Uint8Array.of(1, 2));
      sender.encoded(sink, { opcode: 0x42, frame: Uint8Array.of(0xc2, 1, 9), payloadStart: 2 });
      assert.deepEqual(
        decodeFrames(sink.bytes).frames.map(({ opcode, reserved, payload }) => [
          opcode,
          reserved,
          [...payload],
        ]),
        [
          [1, 4, [1, 2]],
          [2, 4, [9]],
        ],
      );
    });
  });
}

test('what is borrowed is copied, however large it is', () => {
  for (const length of [16_383, 16_384, 70_000]) {
    const sink = new Sink();
    const payload = new Uint8Array(length).fill(7);
    new FrameSender(testPlatform, false).bytes(sink, 2, payload, true);
    payload.fill(0);
    const [frame] = decodeFrames(sink.bytes).frames;
    assert.ok(frame?.payload.length === length && frame.payload.every((byte) => byte === 7));
  }
});

test('a server hands on large payloads and prepared frames without copying them', () => {
  const sink = new Sink();
  const sender = new FrameSender(testPlatform, false);
  const payload = new Uint8Array(16_384);
  const message = PreparedMessage.encode('hello', testPlatform, true);
  sender.bytes(sink, 2, payload);
  sender.encoded(sink, message);
  assert.ok(sink.appended.includes(payload));
  assert.ok(sink.appended.includes(message.frame));
});

test('every frame of a client has a mask of its own', () => {
  const masks = new Set<string>();
  const sink = new Sink();
  const sender = new FrameSender(testPlatform, true);
  for (let i = 0; i < 50; i++) sender.text(sink, 'same');
  for (const { mask } of decodeFrames(sink.bytes).frames) masks.add(String(mask));
  assert.ok(masks.size > 45, `${masks.size} of 50 differ`);
});
