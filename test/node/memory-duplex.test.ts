import assert from 'node:assert/strict';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { connectedDuplexes } from '../../dist/node/memory-duplex.js';
import { within } from '../faults/raw-socket.ts';

const KIB = 1024;

function happens(stream: Duplex, event: string): Promise<void> {
  return within(event, new Promise((resolve) => stream.once(event, () => resolve())));
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

/** What comes, piece by piece. */
function pieces(stream: Duplex): Buffer[] {
  const read: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => read.push(chunk));
  return read;
}

/** All that comes, up to the end. */
async function toItsEnd(stream: Duplex): Promise<Buffer> {
  const read = pieces(stream);
  await happens(stream, 'end');
  return Buffer.concat(read);
}

describe('what is written', () => {
  test('arrives in both directions, in a later turn, in one piece', async () => {
    const [one, other] = connectedDuplexes();
    const read = [pieces(one), pieces(other)] as const;
    for (const stream of [one, other]) {
      stream.write('a');
      stream.cork();
      stream.write('b');
      stream.write('');
      stream.write('c');
      stream.uncork();
      assert.equal(stream.writableLength, 0);
    }
    await Promise.resolve();
    await new Promise<void>((resolve) => process.nextTick(resolve));
    assert.deepEqual(read, [[], []]);
    await turns(2);
    assert.deepEqual(read.map(String), ['abc', 'abc']);
    assert.deepEqual([read[0].length, read[1].length], [1, 1]);
  });

  test('is copied: neither side sees what the other does with its memory', async () => {
    const [one, other] = connectedDuplexes();
    const read = pieces(other);
    const written = Buffer.alloc(10 * KIB, 1);
    one.write(written);
    written.fill(2);
    await turns(2);
    assert.ok(read[0]?.every((byte) => byte === 1));
    read[0]?.fill(3);
    assert.ok(written.every((byte) => byte === 2));
  });

  test('waits where nobody reads, and goes on where somebody does', async () => {
    const [one, other] = connectedDuplexes();
    const taken: number[] = [];
    for (let at = 0; at < 20; at++) one.write(Buffer.alloc(16 * KIB, at), () => taken.push(at));
    await turns(5);
    // The one that makes more than 64 KiB of it waits, and those behind it.
    assert.equal(one.writableLength, 16 * 16 * KIB);
    assert.deepEqual(taken, [0, 1, 2, 3]);
    const drained = happens(one, 'drain');
    const read = pieces(other);
    await drained;
    await turns(2);
    assert.equal(one.writableLength, 0);
    const all = Buffer.concat(read);
    assert.equal(all.length, 20 * 16 * KIB);
    assert.deepEqual([...new Set(all)], [...Array(20).keys()]);
    // Who pauses is handed nothing more, and the writer waits again.
    other.pause();
    for (let at = 0; at < 20; at++) one.write(Buffer.alloc(16 * KIB));
    await turns(10);
    assert.ok(one.writableLength > 0);
    assert.equal(Buffer.concat(read).length, all.length);
    other.resume();
    await turns(10);
    assert.equal(one.writableLength, 0);
    assert.equal(Buffer.concat(read).length, 2 * all.length);
  });

  test('arrives whole and in order, however it is written and read', async () => {
    const step = fc.record({
      write: fc.integer({ min: 0, max: 100 * KIB }),
      corked: fc.boolean(),
      reads: fc.boolean(),
      turns: fc.integer({ min: 0, max: 3 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.boolean(), async (steps, ends) => {
        const [one, other] = connectedDuplexes();
        const read = pieces(other);
        const written: Buffer[] = [];
        let last = 0;
        for (const { write, corked, reads, turns: count } of steps) {
          const bytes = Buffer.alloc(write);
          for (let at = 0; at < write; at += 4) bytes.writeUInt8(last++ & 0xff, at);
          if (corked) one.cork();
          one.write(bytes.subarray(0, write / 3));
          one.write(bytes.subarray(write / 3));
          if (corked) one.uncork();
          written.push(bytes);
          if (reads) other.resume();
          else other.pause();
          await turns(count);
        }
        other.resume();
        // Where it is destroyed instead, what still waits for room is lost.
        const waiting = one.writableLength;
        const ended = happens(other, 'end');
        if (ends) one.end();
        else one.destroy();
        await ended;
        const sent = Buffer.concat(written);
        const came = Buffer.concat(read);
        assert.ok(sent.subarray(0, came.length).equals(came));
        if (ends) assert.equal(came.length, sent.length);
        else assert.ok(came.length >= sent.length - waiting);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the end', () => {
  test('of one direction leaves the other open; after both, both are closed', async () => {
    const [one, other] = connectedDuplexes();
    const closed = Promise.all([happens(one, 'close'), happens(other, 'close')]);
    one.end('question');
    assert.equal(String(await toItsEnd(other)), 'question');
    assert.equal(other.writable, true);
    other.end('answer');
    assert.equal(String(await toItsEnd(one)), 'answer');
    await closed;
    assert.deepEqual([one.destroyed, other.destroyed], [true, true]);
  });

  test('comes behind what waits for a reader', async () => {
    const [one, other] = connectedDuplexes();
    one.end(Buffer.alloc(1_000 * KIB, 7));
    await turns(5);
    assert.equal(other.readableEnded, false);
    const all = await toItsEnd(other);
    assert.equal(all.length, 1_000 * KIB);
  });

  test('of one that is destroyed is the end of what it had written, and no error', async () => {
    const [one, other] = connectedDuplexes();
    const errors: unknown[] = [];
    other.on('error', (error) => errors.push(error));
    one.on('error', (error) => errors.push(error));
    one.write('last words');
    one.destroy(new Error('of its own'));
    // Nobody hears this any more.
    let lost = false;
    other.write(Buffer.alloc(300 * KIB), () => {
      lost = true;
    });
    assert.equal(String(await toItsEnd(other)), 'last words');
    const closed = happens(other, 'close');
    other.end();
    await closed;
    assert.equal(lost, true);
    assert.deepEqual(errors.map(String), ['Error: of its own']);
  });

  test('frees a write that waited for the one that is destroyed', async () => {
    const [one, other] = connectedDuplexes();
    one.write(Buffer.alloc(300 * KIB));
    one.end();
    await turns(3);
    assert.equal(one.writableFinished, false);
    const finished = happens(one, 'finish');
    other.destroy();
    await finished;
    const closed = happens(one, 'close');
    one.resume();
    await closed;
  });
});
