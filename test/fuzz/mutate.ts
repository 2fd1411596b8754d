import type { Random } from '../random.ts';
import type { Target } from './target.ts';

const MAX_BYTES = 2_048;
/** Values at which lengths, opcodes and bounds of UTF-8 turn. */
const TURNS = [
  0x00, 0x01, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8a, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0,
  0xed, 0xf0, 0xf4, 0xfe, 0xff, 0x0d, 0x0a, 0x20, 0x22, 0x2c, 0x3b, 0x3d, 0x5c,
] as const;

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Where something begins and ends; small more often than large. */
function range(random: Random, length: number): [number, number] {
  const start = random.below(length + 1);
  const most = random.oneIn(4) ? length : 8;
  return [start, Math.min(length, start + 1 + random.below(most))];
}

function changeOnce(
  bytes: Uint8Array,
  random: Random,
  target: Target,
  other: Uint8Array,
): Uint8Array {
  const [start, end] = range(random, bytes.length);
  const before = bytes.subarray(0, start);
  const after = bytes.subarray(end);
  switch (random.below(9)) {
    case 0: {
      const flipped = bytes.slice();
      if (start < bytes.length) flipped[start] = (bytes[start] ?? 0) ^ (1 << random.below(8));
      return flipped;
    }
    case 1: {
      const set = bytes.slice();
      if (start < bytes.length)
        set[start] = random.oneIn(2) ? random.pick(TURNS) : random.below(256);
      return set;
    }
    case 2:
      return joined(before, after);
    case 3:
      return joined(before, random.bytes(1 + random.below(8)), bytes.subarray(start));
    case 4:
      return joined(bytes.subarray(0, end), bytes.subarray(start));
    case 5: {
      const [from, to] = range(random, other.length);
      return joined(
        before,
        other.subarray(from, to),
        random.oneIn(2) ? after : bytes.subarray(start),
      );
    }
    case 6: {
      const { words = [] } = target;
      if (words.length === 0) return joined(before, Uint8Array.of(random.pick(TURNS)), after);
      return joined(before, random.pick(words), random.oneIn(2) ? after : bytes.subarray(start));
    }
    case 7: {
      const set = bytes.slice();
      if (start < bytes.length) set[start] = (bytes[start] ?? 0) + random.below(5) - 2;
      return set;
    }
    default:
      return joined(before, other.subarray(random.below(other.length + 1)));
  }
}

/** An input made of those that were good before. */
export function mutate(corpus: readonly Uint8Array[], random: Random, target: Target): Uint8Array {
  const { maxBytes = MAX_BYTES } = target;
  const isNew = target.generate !== undefined && random.oneIn(4);
  // What was found last has been tried least.
  const recent = random.oneIn(3) ? corpus.slice(-16) : corpus;
  let bytes = isNew ? (target.generate?.(random) ?? new Uint8Array(0)) : random.pick(recent);
  if (isNew && random.oneIn(2)) return bytes.slice(0, maxBytes);
  for (let changes = 1 << random.below(4); changes > 0; changes--) {
    bytes = changeOnce(bytes, random, target, random.pick(corpus));
  }
  return bytes.slice(0, maxBytes);
}
