import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { drawNode, readHead, readMessages, sealEnvelope } from '../../dist/topics/envelope.js';
import { testPlatform } from '../protocol/test-platform.ts';

const HEAD = 24;
const LARGEST = 2 ** 48 - 1;

function prepare(data: string | Uint8Array, compress = true): PreparedMessage {
  return PreparedMessage.encode(data, testPlatform, compress);
}

function seal(...messages: PreparedMessage[]): Uint8Array {
  return sealEnvelope({ node: 1, sequence: 2, previous: 1, age: 3 }, messages, testPlatform);
}

/** An envelope with these bytes where the frames are. */
function withFrames(...bytes: number[]): Uint8Array {
  return Uint8Array.of(...seal(), ...bytes);
}

test('what is sealed is read', () => {
  const number = fc.oneof(
    fc.maxSafeNat().map((n) => n % (LARGEST + 1)),
    fc.constantFrom(0, LARGEST),
  );
  const length = fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 65_535, 65_536));
  const data = fc.oneof(
    length.map((size) => new Uint8Array(size).fill(0xff)),
    length.map((size) => 'x'.repeat(size)),
    fc.string({ unit: 'grapheme' }),
  );
  fc.assert(
    fc.property(
      number,
      number,
      number,
      fc.array(data),
      fc.boolean(),
      (...[node, sequence, previous, all, compress]) => {
        const messages = all.map((one) => prepare(one, compress));
        const head = { node, sequence, previous, age: sequence % 2 ** 32 };
        const bytes = sealEnvelope(head, messages, testPlatform);
        assert.deepEqual(readHead(bytes), head);
        const read = readMessages(bytes, testPlatform);
        assert.ok(read !== undefined);
        assert.deepEqual(
          read.map(({ opcode, frame, payloadStart }) => ({ opcode, frame, payloadStart })),
          messages.map(({ opcode, frame, payloadStart }) => ({ opcode, frame, payloadStart })),
        );
        if (messages.length > 0) assert.ok(read.every((one) => one.compress === compress));
      },
    ),
    { numRuns: 200 },
  );
});

test('an age is whole milliseconds, and as many as there is room for', () => {
  const aged = (age: number): number | undefined =>
    readHead(sealEnvelope({ node: 1, sequence: 2, previous: 1, age }, [], testPlatform))?.age;
  assert.equal(aged(0.2), 1);
  assert.equal(aged(2 ** 40), 2 ** 32 - 1);
});

test('its layout does not change by itself: other servers may be of another version', () => {
  const head = { node: 0x010203040506, sequence: 0x0a0b, previous: 1, age: 0x0c0d };
  assert.equal(
    Buffer.from(sealEnvelope(head, [prepare('hi', false)], testPlatform)).toString('hex'),
    '01' + '01' + '010203040506' + '000000000a0b' + '000000000001' + '00000c0d' + '81026869',
  );
});

test('cut off anywhere it is no envelope, or one of fewer messages', () => {
  const messages = [prepare('one'), prepare(new Uint8Array(200)), prepare('x'.repeat(66_000))];
  const whole = seal(...messages);
  const ends = new Set([HEAD]);
  let end = HEAD;
  for (const { frame } of messages) {
    end += frame.length;
    ends.add(end);
  }
  const cuts = [...Array(HEAD + 230).keys(), whole.length - 1, whole.length];
  for (const cut of cuts) {
    const bytes = whole.subarray(0, cut);
    assert.equal(readHead(bytes) !== undefined, cut >= HEAD, `${cut}`);
    if (cut < HEAD) continue;
    assert.equal(readMessages(bytes, testPlatform) !== undefined, ends.has(cut), `${cut}`);
  }
});

test('what is no envelope, and one of another version, is none', () => {
  assert.equal(readHead(new Uint8Array(0)), undefined);
  assert.equal(
    readHead(new TextEncoder().encode('a text as any other client may publish')),
    undefined,
  );
  const other = seal(prepare('x'));
  other[0] = 2;
  assert.equal(readHead(other), undefined);
});

test('only whole, unmasked, minimal frames of text and bytes go on to peers', () => {
  const refused: Record<string, number[]> = {
    'one byte': [0x81],
    'a fragment': [0x01, 0x01, 0x78],
    'a continuation': [0x80, 0x01, 0x78],
    'a ping': [0x89, 0x00],
    'a close': [0x88, 0x00],
    RSV1: [0xc1, 0x01, 0x78],
    masked: [0x81, 0x81, 0, 0, 0, 0, 0x78],
    'the mask bit with 16 bits of length': [0x81, 0xfe, 0, 1, 0x78],
    'a length not minimal, 16 bits': [0x82, 0x7e, 0, 1, 0x78],
    'a length not minimal, 64 bits': [0x82, 0x7f, 0, 0, 0, 0, 0, 0, 0, 1, 0x78],
    'the most significant bit': [0x82, 0x7f, 0x80, 0, 0, 0, 0, 0, 0, 1, 0x78],
    'more than there is': [0x82, 0x02, 0x78],
    'a length beyond all numbers': [0x82, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    'a length cut off': [0x82, 0x7e],
    'text that is not UTF-8': [0x81, 0x01, 0xff],
    'a whole one and rubbish': [0x82, 0x01, 0x78, 0x00],
  };
  for (const [name, bytes] of Object.entries(refused)) {
    assert.equal(readMessages(withFrames(...bytes), testPlatform), undefined, name);
  }
  // The same, as it has to be.
  assert.equal(readMessages(withFrames(0x82, 0x01, 0x78), testPlatform)?.length, 1);
  assert.equal(readMessages(withFrames(0x82, 0x01, 0xff), testPlatform)?.length, 1);
});

test('no bytes make it throw, and what it takes are frames', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (rest) => {
      const bytes = Uint8Array.of(...seal(), ...rest);
      const messages = readMessages(bytes, testPlatform);
      const frames = messages?.flatMap(({ frame }) => [...frame]);
      if (frames !== undefined) assert.deepEqual(frames, [...rest]);
    }),
    { numRuns: 500 },
  );
});

test('nodes draw numbers of 48 bits, each another', () => {
  const drawn = new Set(Array.from({ length: 1_000 }, () => drawNode(testPlatform)));
  assert.equal(drawn.size, 1_000);
  for (const node of drawn) assert.ok(Number.isInteger(node) && node >= 0 && node <= LARGEST);
  assert.ok(Math.max(...drawn) > 2 ** 45, 'of fewer bits');
});
