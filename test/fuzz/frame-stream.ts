import { constants, deflateRawSync } from 'node:zlib';
import type { Random } from '../random.ts';
import { concatBytes, encodeFrame, type FrameFields } from '../reference-codec.ts';

const TEXTS = [
  '',
  'a',
  'Hello',
  'h\u00e9llo',
  '\u20ac',
  '\u{1f600}',
  'x'.repeat(125),
  'y'.repeat(126),
];

function payloadOf(random: Random): Uint8Array {
  if (random.oneIn(3)) return random.bytes(random.below(20));
  if (random.oneIn(12)) return new Uint8Array(random.pick([125, 126, 127, 300, 1_000]));
  return Uint8Array.from(Buffer.from(random.pick(TEXTS)));
}

function deflated(payload: Uint8Array): Uint8Array {
  return deflateRawSync(payload, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function control(random: Random): FrameFields {
  const opcode = random.pick([9, 10]);
  return { opcode, payload: random.bytes(random.below(random.oneIn(8) ? 127 : 6)) };
}

/** A message, perhaps in fragments with control frames between them. */
function message(random: Random, mayBeCompressed: boolean): FrameFields[] {
  const isCompressed = mayBeCompressed && random.oneIn(2);
  const payload = isCompressed ? deflated(payloadOf(random)) : payloadOf(random);
  const opcode = random.oneIn(3) ? 2 : 1;
  const cuts = random.oneIn(2) ? [random.below(payload.length + 1)] : [];
  const ends = [...cuts, payload.length];
  let at = 0;
  return ends.flatMap((end, i) => {
    const frame: FrameFields = {
      fin: i === ends.length - 1,
      opcode: i === 0 ? opcode : 0,
      reserved: i === 0 && isCompressed ? 4 : 0,
      payload: payload.slice(at, end),
    };
    at = end;
    return random.oneIn(4) ? [frame, control(random)] : [frame];
  });
}

function close(random: Random): FrameFields {
  const code = random.pick([
    1000, 1001, 1004, 1005, 1006, 1007, 1014, 1015, 2999, 3000, 4999, 5000, 0,
  ]);
  const payload = random.oneIn(4) ? random.bytes(random.below(4)) : [code >> 8, code & 0xff];
  return { opcode: 8, payload: concatBytes(payload, random.oneIn(3) ? payloadOf(random) : []) };
}

/** Something that is not allowed. */
function wrong(random: Random, frame: FrameFields): FrameFields {
  switch (random.below(6)) {
    case 0:
      return { ...frame, reserved: random.below(8) };
    case 1:
      return { ...frame, opcode: random.below(16) };
    case 2:
      return { ...frame, fin: random.oneIn(2) };
    case 3:
      return { ...frame, lengthBits: random.oneIn(2) ? 16 : 64 };
    case 4:
      return {
        ...frame,
        lengthBits: 64,
        announced: random.pick([2n ** 63n, 2n ** 53n, 2n ** 32n, 65_535n]),
      };
    default:
      return { ...frame, payload: random.bytes(130) };
  }
}

/** Frames as a peer sends them, most of them right. */
export function someFrames(random: Random, masked: boolean, mayBeCompressed = false): Uint8Array {
  const frames: FrameFields[] = [];
  for (let count = 1 + random.below(5); count > 0; count--) {
    if (random.oneIn(8)) frames.push(close(random));
    else if (random.oneIn(5)) frames.push(control(random));
    else frames.push(...message(random, mayBeCompressed));
  }
  return concatBytes(
    ...frames.map((frame) => {
      const mask = masked ? [...random.bytes(4)] : undefined;
      const sent = { ...frame, mask: random.oneIn(40) ? [1, 2, 3, 4] : mask };
      return encodeFrame(random.oneIn(8) ? wrong(random, sent) : sent);
    }),
  );
}
