import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type FrameHandler, FrameParser } from '../../../dist/protocol/frames/frame-parser.js';
import { concatBytes, encodeFrame } from '../../reference-codec.ts';
import { copies, cutInto, waysOfSplitting } from '../splitting.ts';

interface Seen {
  readonly first: number;
  readonly length: number;
  readonly payload: number[];
  complete: boolean;
}

class Recorder implements FrameHandler {
  readonly frames: Seen[] = [];
  pieces = 0;
  /** How many frames came in one step. */
  whole = 0;

  wholeMessage(first: number, bytes: Uint8Array, start: number, end: number): void {
    assert.ok(end - start < 0x1_0000);
    assert.ok([0x81, 0x82, 0xc1, 0xc2].includes(first));
    this.whole++;
    this.frameStart(first, end - start);
    this.framePayload(first, bytes, start, end, true);
  }

  frameStart(first: number, length: number): void {
    this.frames.push({ first, length, payload: [], complete: false });
  }

  framePayload(first: number, bytes: Uint8Array, start: number, end: number, last: boolean): void {
    const frame = this.frames.at(-1);
    assert.ok(frame && !frame.complete);
    assert.equal(first, frame.first);
    assert.ok(last || end > start, 'no empty piece but the last');
    frame.payload.push(...bytes.subarray(start, end));
    frame.complete = last;
    this.pieces++;
  }
}

function parse(pieces: readonly Uint8Array[], mustBeMasked = true, mayBeCompressed = false) {
  const recorder = new Recorder();
  const parser = new FrameParser(mustBeMasked, mayBeCompressed);
  for (const piece of copies(pieces)) {
    const stoppedAt = parser.parse(recorder, piece, 0, piece.length);
    if (parser.error !== undefined) break;
    assert.equal(stoppedAt, piece.length);
  }
  const { frames, whole } = recorder;
  return { frames, whole, error: parser.error, unfinished: parser.unfinished, parser };
}

const mask = [0x37, 0xfa, 0x21, 0x3d];
const ping = encodeFrame({ opcode: 9, mask, payload: [7] });
const seenPing: Seen = { first: 0x89, length: 1, payload: [7], complete: true };

describe('frames', () => {
  for (const length of [0, 1, 5, 125, 126, 200, 65_535, 65_536]) {
    test(`of ${length} bytes, masked and not, however they are cut`, () => {
      const payload = Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff);
      for (const masked of [true, false]) {
        const frame = encodeFrame({ opcode: 2, payload, mask: masked ? mask : undefined });
        const next = masked ? ping : encodeFrame({ opcode: 9, payload: [7] });
        const both = concatBytes(frame, next);
        const cuts: Iterable<Uint8Array[]> =
          length <= 200
            ? waysOfSplitting(both)
            : [
                [both],
                ...[1, 2, 3, 9, 13, 14, 15, length].map((at) => cutInto(both, [at, both.length])),
              ];
        for (const pieces of cuts) {
          const { frames, error, unfinished } = parse(pieces, masked);
          assert.equal(error, undefined);
          assert.equal(unfinished, false);
          assert.deepEqual(frames, [
            { first: 0x82, length, payload: [...payload], complete: true },
            seenPing,
          ]);
        }
      }
    });
  }

  test('any frames in any pieces', () => {
    const frame = fc.record({
      opcode: fc.constantFrom(1, 2, 9, 10),
      mask: fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
      payload: fc.uint8Array({ maxLength: 125 }),
    });
    const sizes = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), sizes, (fields, cuts) => {
        const stream = concatBytes(...fields.map(encodeFrame));
        const { frames, error } = parse(cutInto(stream, cuts));
        assert.equal(error, undefined);
        assert.deepEqual(
          frames,
          fields.map(({ opcode, payload }) => ({
            first: 0x80 | opcode,
            length: payload.length,
            payload: [...payload],
            complete: true,
          })),
        );
      }),
    );
  });

  test('a frame that lies whole in a chunk is one piece, unmasked in place', () => {
    const recorder = new Recorder();
    const chunk = encodeFrame({ opcode: 1, mask, payload: [72, 105] });
    new FrameParser(true, false).parse(recorder, chunk, 0, chunk.length);
    assert.equal(recorder.pieces, 1);
    assert.deepEqual([...chunk.subarray(-2)], [72, 105]);
  });

  test('only what lies within the bounds is read', () => {
    const recorder = new Recorder();
    const chunk = concatBytes([1, 2, 3], ping, [4, 5]);
    assert.equal(
      new FrameParser(true, false).parse(recorder, chunk, 3, 3 + ping.length),
      3 + ping.length,
    );
    assert.deepEqual(recorder.frames, [seenPing]);
  });
});

describe('a wrong frame', () => {
  const cases: [string, Uint8Array, boolean][] = [
    ['RESERVED_BITS', encodeFrame({ reserved: 4, opcode: 1, mask }), true],
    ['RESERVED_OPCODE', encodeFrame({ opcode: 3, mask }), true],
    ['CONTROL_FRAGMENTED', encodeFrame({ fin: false, opcode: 9, mask }), true],
    ['CONTINUATION_UNEXPECTED', encodeFrame({ opcode: 0, mask }), true],
    ['MASK_MISSING', encodeFrame({ opcode: 1, payload: [65] }), true],
    ['MASK_FORBIDDEN', encodeFrame({ opcode: 1, mask, payload: [65] }), false],
    ['CONTROL_TOO_LONG', encodeFrame({ opcode: 9, mask, announced: 126 }), true],
    ['LENGTH_NOT_MINIMAL', encodeFrame({ opcode: 2, mask, lengthBits: 16, announced: 1 }), true],
    [
      'LENGTH_NOT_MINIMAL',
      encodeFrame({ opcode: 2, mask, lengthBits: 64, announced: 65_535 }),
      true,
    ],
    [
      'LENGTH_MOST_SIGNIFICANT_BIT',
      encodeFrame({ opcode: 2, mask, announced: 2n ** 63n + 1n }),
      true,
    ],
    ['MESSAGE_TOO_BIG', encodeFrame({ opcode: 2, mask, announced: 2n ** 53n }), true],
    [
      'MESSAGE_INTERLEAVED',
      concatBytes(encodeFrame({ fin: false, opcode: 1, mask }), encodeFrame({ opcode: 1, mask })),
      true,
    ],
  ];
  for (const [code, bytes, mustBeMasked] of cases) {
    test(`${code}, however it is cut, and nothing behind it is seen`, () => {
      const next = encodeFrame({ opcode: 9, mask: mustBeMasked ? mask : undefined });
      for (const pieces of waysOfSplitting(concatBytes(bytes, next))) {
        const { frames, error, parser } = parse(pieces, mustBeMasked);
        assert.equal(error, code);
        assert.ok(frames.every((frame) => frame.first !== 0x89));
        assert.ok(parser.stopped);
      }
    });
  }

  test('fails with the first byte that shows it', () => {
    assert.equal(parse([Uint8Array.of(0x83)]).error, 'RESERVED_OPCODE');
    assert.equal(parse([Uint8Array.of(0x81), Uint8Array.of(0x01)]).error, 'MASK_MISSING');
    assert.equal(parse([Uint8Array.of(0x82, 0xfe, 0x00, 0x01)]).error, 'LENGTH_NOT_MINIMAL');
  });
});

describe('RSV1', () => {
  /** Frames, and the bytes that they begin with. */
  const script = (masked: boolean) =>
    [
      { opcode: 1, reserved: 4, payload: [1, 2, 3] },
      { opcode: 2, payload: [4] },
      { opcode: 2, reserved: 4, payload: new Array(130).fill(5) },
      { opcode: 1, reserved: 4, fin: false, payload: [6, 7] },
      { opcode: 9, payload: [8] },
      { opcode: 0, fin: false, payload: [] },
      { opcode: 0, payload: [9] },
      { opcode: 2, reserved: 4, payload: [] },
    ].map((fields) => encodeFrame({ ...fields, mask: masked ? mask : undefined }));

  for (const masked of [true, false]) {
    test(`comes with the first byte, where it was agreed on; ${masked ? 'masked' : 'not masked'}`, () => {
      const frames = script(masked);
      const stream = concatBytes(...frames);
      for (const pieces of waysOfSplitting(stream)) {
        const seen = parse(pieces, masked, true);
        assert.equal(seen.error, undefined);
        assert.equal(seen.unfinished, false);
        assert.deepEqual(
          seen.frames.map(({ first, length }) => [first, length]),
          [
            [0xc1, 3],
            [0x82, 1],
            [0xc2, 130],
            [0x41, 2],
            [0x89, 1],
            [0x00, 0],
            [0x80, 1],
            [0xc2, 0],
          ],
        );
        assert.deepEqual(
          seen.frames.flatMap(({ payload }) => payload),
          [1, 2, 3, 4, ...new Array(130).fill(5), 6, 7, 8, 9],
        );
      }
    });

    test(`a message with it that lies whole in its chunk comes in one step; ${masked}`, () => {
      assert.equal(parse([concatBytes(...script(masked))], masked, true).whole, 4);
      assert.equal(parse(script(masked), masked, true).whole, 4);
    });
  }

  const wrong: [string, Uint8Array, boolean][] = [
    ['on text where nothing was agreed on', encodeFrame({ opcode: 1, reserved: 4, mask }), false],
    ['on bytes where nothing was agreed on', encodeFrame({ opcode: 2, reserved: 4, mask }), false],
    [
      'on a first fragment where nothing was agreed on',
      encodeFrame({ opcode: 2, fin: false, reserved: 4, mask }),
      false,
    ],
    ['on a ping', encodeFrame({ opcode: 9, reserved: 4, mask }), true],
    ['on a pong', encodeFrame({ opcode: 10, reserved: 4, mask }), true],
    ['on a close', encodeFrame({ opcode: 8, reserved: 4, mask }), true],
    ['with RSV2', encodeFrame({ opcode: 1, reserved: 6, mask }), true],
    ['with RSV3', encodeFrame({ opcode: 2, reserved: 5, mask }), true],
    ['but RSV2', encodeFrame({ opcode: 1, reserved: 2, mask }), true],
    ['but RSV3', encodeFrame({ opcode: 1, reserved: 1, mask }), true],
    ...[0, 4].map((reserved): [string, Uint8Array, boolean] => [
      `on the continuation of a message with${reserved === 0 ? 'out' : ''} it`,
      concatBytes(
        encodeFrame({ opcode: 1, fin: false, reserved, mask }),
        encodeFrame({ opcode: 0, reserved: 4, mask }),
      ),
      true,
    ]),
  ];
  for (const [name, bytes, mayBeCompressed] of wrong) {
    test(`fault 69: RESERVED_BITS ${name}, however it is cut`, () => {
      for (const pieces of waysOfSplitting(concatBytes(bytes, ping))) {
        const { frames, error } = parse(pieces, true, mayBeCompressed);
        assert.equal(error, 'RESERVED_BITS');
        assert.ok(frames.every(({ first }) => (first & 0x40) === 0 || first === 0x41));
        assert.ok(frames.every(({ first }) => first !== 0x89));
      }
    });
  }

  test('a compressed message must not begin inside of another either', () => {
    const begun = encodeFrame({ opcode: 1, fin: false, mask });
    for (const fin of [true, false]) {
      const stream = concatBytes(begun, encodeFrame({ opcode: 1, fin, reserved: 4, mask }));
      for (const pieces of waysOfSplitting(stream)) {
        assert.equal(parse(pieces, true, true).error, 'MESSAGE_INTERLEAVED');
      }
    }
  });
});

describe('unfinished', () => {
  const states: [string, Uint8Array, boolean][] = [
    ['nothing', Uint8Array.of(), false],
    ['half a header', Uint8Array.of(0x82), true],
    ['a header', encodeFrame({ opcode: 2, mask, announced: 5 }), true],
    ['half a payload', encodeFrame({ opcode: 2, mask, announced: 5, payload: [1] }), true],
    ['a first fragment', encodeFrame({ fin: false, opcode: 2, mask }), true],
    [
      'a first fragment and a ping',
      concatBytes(encodeFrame({ fin: false, opcode: 2, mask }), ping),
      true,
    ],
    ['a frame', ping, false],
  ];
  for (const [name, bytes, expected] of states) {
    test(`${name}: ${expected}`, () => assert.equal(parse([bytes]).unfinished, expected));
  }

  test('fragments end with FIN', () => {
    const fragments = concatBytes(
      encodeFrame({ fin: false, opcode: 2, mask }),
      encodeFrame({ fin: false, opcode: 0, mask }),
      encodeFrame({ opcode: 0, mask }),
    );
    assert.equal(parse([fragments]).unfinished, false);
  });
});

describe('stopping', () => {
  test('before the next frame, and going on where it stopped', () => {
    const recorder = new Recorder();
    const parser = new FrameParser(true, false);
    const original = recorder.framePayload.bind(recorder);
    recorder.framePayload = (first, bytes, start, end, last) => {
      original(first, bytes, start, end, last);
      parser.stopped = true;
    };
    const stream = concatBytes(ping, ping, ping);
    let at = parser.parse(recorder, stream, 0, stream.length);
    assert.equal(at, ping.length);
    assert.equal(parser.parse(recorder, stream, at, stream.length), at, 'it stays stopped');
    parser.stopped = false;
    at = parser.parse(recorder, stream, at, stream.length);
    assert.equal(at, 2 * ping.length);
    assert.equal(recorder.frames.length, 2);
  });

  test('at the start of a frame, before its payload', () => {
    const recorder = new Recorder();
    const parser = new FrameParser(true, false);
    recorder.frameStart = () => {
      parser.stopped = true;
    };
    parser.parse(recorder, Uint8Array.from(ping), 0, ping.length);
    assert.equal(recorder.pieces, 0);
  });

  test('after so many frames, so that others have their turn', () => {
    const recorder = new Recorder();
    const parser = new FrameParser(true, false);
    const empty = encodeFrame({ opcode: 1, mask });
    const stream = concatBytes(
      ...Array.from({ length: 3000 }, (_, i) => (i % 3 > 0 ? empty : ping)),
    );
    const stoppedAt = parser.parse(recorder, stream, 0, stream.length);
    assert.equal(recorder.frames.length, 2048);
    assert.equal(parser.parse(recorder, stream, stoppedAt, stream.length), stream.length);
    assert.equal(recorder.frames.length, 3000);
  });
});

test('one parser serves several streams, one after another', () => {
  const parser = new FrameParser(true, false);
  for (const frame of [ping, encodeFrame({ opcode: 2, mask, payload: new Array(300).fill(7) })]) {
    for (const cut of [0, 1, 3, frame.length - 1]) {
      const recorder = new Recorder();
      parser.parse(recorder, frame.slice(0, cut), 0, cut);
      parser.parse(recorder, frame.slice(cut), 0, frame.length - cut);
      assert.equal(recorder.frames.length, 1);
      assert.equal(recorder.frames[0]?.complete, true);
      assert.equal(parser.unfinished, false);
    }
  }
});
