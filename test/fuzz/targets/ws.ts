import assert from 'node:assert/strict';
import { cutInto } from '../../protocol/splitting.ts';
import { NO_TAKEOVER, TAKEOVER } from '../../protocol/test-compression.ts';
import { concatBytes } from '../../reference-codec.ts';
import { someFrames } from '../frame-stream.ts';
import { Input } from '../input.ts';
import { ourEvents, plainEvents, type StreamEvent } from '../stream-events.ts';
import type { Target } from '../target.ts';
import { firstDifference, wsLimits as limits, listed } from '../ws-disagreements.ts';
import { theirEvents } from '../ws-receiver.ts';

/** Ours may have failed where the frame that is wrong is not whole yet; the plain reading sees whole ones only. */
function assertPlain(ours: readonly StreamEvent[], plain: readonly StreamEvent[]): void {
  const [last] = ours.slice(-1);
  const isEarly = last?.kind === 'failed' && ours.length === plain.length + 1;
  const heard = (isEarly ? ours.slice(0, -1) : ours).map(({ kind, content }) => ({
    kind,
    content,
  }));
  assert.deepEqual(heard, plain);
}

export const ws: Target = {
  name: 'ws',
  invariant:
    'Whatever the stream of frames and however it is cut, a connection hears what a plain reading of RFC 6455 hears, and what `ws` hears but for the disagreements that are listed.',
  async run(bytes) {
    const input = new Input(bytes);
    const options = input.byte();
    const isServer = (options & 1) !== 0;
    const agreement =
      (options & 2) === 0 ? undefined : (options & 4) === 0 ? NO_TAKEOVER : TAKEOVER;
    const cuts = input.cuts();
    const stream = input.rest();
    const ours = ourEvents(cutInto(stream, cuts), isServer, limits, agreement);
    if (agreement === undefined) assertPlain(ours, plainEvents(stream, isServer, limits));
    const whole = ourEvents([stream], isServer, limits, agreement);
    assert.deepEqual(ours, whole);
    const theirs = await theirEvents([stream], isServer, limits, agreement);
    const difference = firstDifference(ours, theirs);
    if (difference !== undefined && listed(difference, stream, agreement) === undefined) {
      assert.fail(
        `not listed: ${difference.ours} / ${difference.theirs}\nours ${JSON.stringify(ours)}\ntheirs ${JSON.stringify(theirs)}`,
      );
    }
    return `${JSON.stringify(difference)} ${ours.at(-1)?.kind} ${ours.at(-1)?.name}`;
  },
  generate(random) {
    const options = random.below(8);
    return concatBytes(
      [options, ...random.bytes(1 + random.below(3))],
      someFrames(random, (options & 1) !== 0, (options & 2) !== 0),
    );
  },
};
