import assert from 'node:assert/strict';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { keptCompression } from '../../../dist/node/compression/kept-compression.js';
import { publicCompression } from '../../../dist/node/compression/public-compression.js';
import type { Compression, Inflater } from '../../../dist/protocol/extensions/compression.js';
import type { Random } from '../../random.ts';
import { concatBytes } from '../../reference-codec.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';

type Outcome = string | 'refused';

interface Conversation {
  readonly own: boolean;
  readonly windowBits: number;
  readonly maxBytes: number;
  readonly payloads: readonly Uint8Array[];
}

const LIMITS = [1, 100, 65_535, 65_536, 200_000, 1_048_576];

function read(bytes: Uint8Array): Conversation {
  const input = new Input(bytes);
  const options = input.byte();
  const maxBytes = LIMITS[input.byte() % LIMITS.length] ?? 1;
  const payloads: Uint8Array[] = [];
  while (!input.isAtEnd && payloads.length < 8)
    payloads.push(input.take(input.byte() * 4 + (input.byte() & 3)));
  return { own: (options & 1) !== 0, windowBits: 8 + ((options >> 1) & 7), maxBytes, payloads };
}

function inflaterOf(port: Compression, { own, windowBits }: Conversation): Inflater {
  return own ? port.ownInflater(windowBits) : port.sharedInflater();
}

/** What becomes of each payload; of an own inflater nothing is asked after it has refused one. */
function now(port: Compression, conversation: Conversation): Outcome[] {
  const inflater = inflaterOf(port, conversation);
  const outcomes: Outcome[] = [];
  for (const payload of conversation.payloads) {
    const { maxBytes, own } = conversation;
    // In the middle of other bytes, which are none of its business.
    const memory = concatBytes([1, 2, 3], payload, [4, 5, 6]);
    const length = inflater.inflate(memory, 3, 3 + payload.length, maxBytes);
    assert.ok(length <= maxBytes, `${length} bytes`);
    outcomes.push(
      length < 0 ? 'refused' : Buffer.from(inflater.output.subarray(0, length)).toString('latin1'),
    );
    if (length < 0 && own) break;
  }
  if (conversation.own) inflater.close();
  return outcomes;
}

async function later(port: Compression, conversation: Conversation): Promise<Outcome[]> {
  const inflater = inflaterOf(port, conversation);
  const outcomes: Outcome[] = [];
  for (const payload of conversation.payloads) {
    const { maxBytes, own } = conversation;
    const inflated = await new Promise<Uint8Array | number>((resolve) => {
      inflater.inflateLater(payload.slice(), maxBytes, resolve);
    });
    if (typeof inflated === 'number') {
      outcomes.push('refused');
      if (own) break;
    } else {
      assert.ok(inflated.length <= maxBytes);
      outcomes.push(Buffer.from(inflated).toString('latin1'));
    }
  }
  if (conversation.own) inflater.close();
  return outcomes;
}

/** What the calls of zlib put out at once, of all who are compared the least. */
const OUTPUT = 16_384;

/** An empty block whose head the payload has, an empty final block, and a byte that must be left over. */
const END = [0x00, 0x00, 0xff, 0xff, 0x03, 0x00, 0x00];

/** How much zlib takes of a payload and what ends it, up to the first final block. */
function takenOf(bytes: Uint8Array, history: Uint8Array, windowBits: number): number {
  const result: unknown = inflateRawSync(bytes, {
    windowBits,
    finishFlush: constants.Z_SYNC_FLUSH,
    info: true,
    ...(history.length > 0 && { dictionary: history }),
  });
  assert.ok(typeof result === 'object' && result !== null);
  const engine: unknown = Reflect.get(result, 'engine');
  assert.ok(typeof engine === 'object' && engine !== null);
  return Number(Reflect.get(engine, 'bytesWritten'));
}

/** What messages behind a payload may refer to of those before it; undefined where that is not clear, see `meaningful`. */
function historyBehind(
  payload: Uint8Array,
  before: Uint8Array,
  windowBits: number,
): Uint8Array | undefined {
  let history = before.subarray(-(2 ** windowBits));
  try {
    for (let rest = payload; rest.length > 0; ) {
      const taken = takenOf(concatBytes(rest, END), history, windowBits);
      if (taken === rest.length + END.length - 1) return history;
      history = new Uint8Array(0);
      // A final block is the end of what may be referred to, as zlib has it.
      if (taken === rest.length) return history;
      if (taken > rest.length) return undefined;
      rest = rest.subarray(taken);
    }
    return history;
  } catch {
    // Without what ends it, it was taken.
    return undefined;
  }
}

/**
 * How many of the outcomes mean something. Of an own inflater, what zlib makes of a payload that stops inside the head
 * of a block does not show that it is wrong: there is no output to come yet. The peer that sends that, which no RFC
 * allows, makes nonsense of its own next message, and what that is may differ. Nor behind a final block that is empty and
 * whose end is left out: contexts that are kept have forgotten what was before it then, the public calls have not.
 */
function meaningful(
  { own, windowBits, payloads }: Conversation,
  outcomes: readonly Outcome[],
): number {
  if (!own) return outcomes.length;
  let said: Uint8Array = new Uint8Array(0);
  for (const [i, outcome] of outcomes.entries()) {
    // What refers to more than the window has, zlib takes while that is still in its output, which others keep longer.
    if (windowBits < 15 && outcome.length > OUTPUT) return i;
    const history = historyBehind(payloads[i] ?? said, said, windowBits);
    if (outcome === 'refused' || history === undefined) return i + 1;
    said = concatBytes(history, Buffer.from(outcome, 'latin1'));
  }
  return outcomes.length;
}

/** Another thread takes a hundred times as long: it is asked for one input in eight, told by its bytes. */
function alsoLater(bytes: Uint8Array): boolean {
  let sum = 0;
  for (const byte of bytes) sum = (sum * 31 + byte) & 0xffff;
  return sum % 8 === 0;
}

async function alsoOnAnotherThread(
  conversation: Conversation,
  expected: readonly Outcome[],
): Promise<void> {
  for (const port of [keptCompression, publicCompression]) {
    const outcomes = await later(port, conversation);
    assert.deepEqual(outcomes.slice(0, expected.length), expected);
  }
}

function deflated(random: Random): Uint8Array {
  const times = random.pick([0, 1, 3, 50, 5_000]);
  const text = random
    .pick(['a', 'Hello ', 'the quick brown fox ', String(random.next())])
    .repeat(times);
  const options = { level: random.below(10), windowBits: 9 + random.below(7) };
  const { Z_SYNC_FLUSH, Z_FINISH, Z_FULL_FLUSH } = constants;
  const finishFlush = random.pick([Z_SYNC_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH]);
  const whole = deflateRawSync(text, { ...options, finishFlush });
  return finishFlush === Z_FINISH ? whole : whole.subarray(0, -4);
}

export const inflater: Target = {
  name: 'inflater',
  invariant:
    'Whatever the payloads that come one after the other, each inflates to the same bytes or is refused alike by the contexts that are kept and by the public calls of zlib, on the calling thread and on another, to no more than it may be, and never throws.',
  run(bytes) {
    const conversation = read(bytes);
    const all = now(keptCompression, conversation);
    const outcomes = all.slice(0, meaningful(conversation, all));
    const others = now(publicCompression, conversation);
    assert.deepEqual(others.slice(0, outcomes.length), outcomes);
    const told = `${conversation.own} ${outcomes.includes('refused')} ${Math.min(3, outcomes.length)}`;
    if (!alsoLater(bytes)) return told;
    return alsoOnAnotherThread(conversation, outcomes).then(() => told);
  },
  generate(random) {
    const parts: Uint8Array[] = [];
    for (let count = 1 + random.below(4); count > 0; count--) {
      const payload = random.oneIn(8)
        ? random.bytes(random.below(30))
        : deflated(random).subarray(0, 1_000);
      parts.push(Uint8Array.of(payload.length >> 2, payload.length & 3), payload);
    }
    return concatBytes([random.below(16), random.below(LIMITS.length)], ...parts);
  },
};
