import assert from 'node:assert/strict';
import { type FrameHandler, FrameParser } from '../../../dist/protocol/frames/frame-parser.js';
import { cutInto } from '../../protocol/splitting.ts';
import type { Random } from '../../random.ts';
import { concatBytes, type DecodedFrame, decodeFrames } from '../../reference-codec.ts';
import { someFrames } from '../frame-stream.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';

interface Frame {
  readonly first: number;
  payload: Buffer;
  complete: boolean;
}

/** Notes frames, and sees to it that pieces belong together. */
class Recorder implements FrameHandler {
  readonly frames: Frame[] = [];
  readonly #parser: FrameParser;
  readonly #stopsOften: boolean;
  #announced = 0;

  constructor(parser: FrameParser, stopsOften: boolean) {
    this.#parser = parser;
    this.#stopsOften = stopsOften;
  }

  wholeMessage(first: number, bytes: Uint8Array, start: number, end: number): void {
    this.frames.push({ first, payload: Buffer.from(bytes.slice(start, end)), complete: true });
    this.#parser.stopped = this.#stopsOften;
  }

  frameStart(first: number, length: number): void {
    assert.ok(this.frames.at(-1)?.complete ?? true, 'a frame begins in another');
    this.#announced = length;
    this.frames.push({ first, payload: Buffer.alloc(0), complete: false });
  }

  framePayload(first: number, bytes: Uint8Array, start: number, end: number, last: boolean): void {
    const frame = this.frames.at(-1);
    assert.ok(frame !== undefined && !frame.complete && frame.first === first);
    frame.payload = Buffer.concat([frame.payload, bytes.subarray(start, end)]);
    assert.equal(frame.payload.length === this.#announced, last);
    frame.complete = last;
    this.#parser.stopped = last && this.#stopsOften;
  }
}

interface Parsed {
  readonly frames: readonly Frame[];
  readonly error: string | undefined;
  readonly unfinished: boolean;
}

/** @param options bit 0: frames must be masked; bit 1: they may have RSV1; bit 2: the parser is stopped after each. */
function parse(pieces: readonly Uint8Array[], options: number): Parsed {
  const parser = new FrameParser((options & 1) !== 0, (options & 2) !== 0);
  const recorder = new Recorder(parser, (options & 4) !== 0);
  for (const piece of pieces) {
    // Memory of its own, since it is unmasked in place.
    const bytes = piece.slice();
    for (let at = 0; at < bytes.length && parser.error === undefined; ) {
      parser.stopped = false;
      const stop = parser.parse(recorder, bytes, at, bytes.length);
      assert.ok(stop > at || parser.error !== undefined, 'it does not move');
      at = stop;
    }
  }
  const frames = recorder.frames.filter(
    // How much of a frame had come when the bytes ended is seen sooner or later.
    ({ complete }) => complete,
  );
  // One that has failed is not to be used any more.
  const unfinished = parser.error === undefined && parser.unfinished;
  return { frames, error: parser.error, unfinished };
}

function assertSame(parsed: Parsed, expected: readonly DecodedFrame[]): void {
  const { frames, error } = parsed;
  assert.ok(frames.length <= expected.length);
  if (error === undefined) assert.equal(frames.length, expected.length);
  frames.forEach(({ first, payload }, i) => {
    const frame = expected[i];
    assert.ok(frame);
    assert.equal(first, (frame.fin ? 128 : 0) + frame.reserved * 16 + frame.opcode);
    assert.ok(payload.equals(frame.payload));
  });
}

export const frameParser: Target = {
  name: 'frame-parser',
  invariant:
    'Whatever the bytes, and however they are cut and the parser is stopped between frames, it hands on the frames that a plain reading of RFC 6455 5.2 finds, or ends at the same frame with the same error, and never throws.',
  run(bytes) {
    const input = new Input(bytes);
    const options = input.byte();
    const cuts = input.cuts();
    const stream = input.rest();
    const whole = parse([stream], options & 3);
    assertSame(whole, decodeFrames(stream).frames);
    const others = [parse(cutInto(stream, cuts), options), parse(cutInto(stream, [1]), options)];
    for (const other of others) assert.deepEqual(other, whole);
    return `${whole.error} ${whole.unfinished}`;
  },
  generate(random: Random) {
    const options = random.below(8);
    return concatBytes(
      [options, ...random.bytes(1 + random.below(4))],
      someFrames(random, (options & 1) !== 0),
    );
  },
};
