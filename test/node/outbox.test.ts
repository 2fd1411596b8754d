import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { Outbox, type OutboxOwner } from '../../dist/node/outbox.js';
import { FakeSocket } from './fake-socket.ts';

const quiet: OutboxOwner = { onTaken() {}, onBlocked() {}, onProgress() {}, onPlaceFilled() {} };

function makeOutbox(owner: OutboxOwner = quiet): { socket: FakeSocket; outbox: Outbox } {
  const socket = new FakeSocket();
  return { socket, outbox: new Outbox(socket, owner) };
}

let filler = 0;
/** Bytes unlike those of any other call nearby. */
function fresh(size: number): Buffer {
  filler = (filler + 1) % 251;
  return Buffer.alloc(size, filler);
}

/** Writes a frame of these bytes in place, as the frame sender does. */
function put(outbox: Outbox, bytes: Uint8Array): void {
  const target = outbox.reserve(bytes.length);
  target.set(bytes, outbox.position);
  outbox.commit(outbox.position + bytes.length);
}

describe('writing at once', () => {
  test('needs no end of a tick', async () => {
    const { socket, outbox } = makeOutbox();
    assert.ok(outbox.writeAtOnce(fresh(5)));
    assert.equal(socket.writes.length, 1);
    assert.equal(outbox.bufferedAmount, 0);
    await nextTurn();
    assert.equal(socket.writes.length, 1);
  });

  test('is refused where something has to leave before, or nothing may', async () => {
    const { socket, outbox } = makeOutbox();
    put(outbox, fresh(5));
    assert.equal(outbox.writeAtOnce(fresh(5)), false, 'after what waits for the end of the tick');
    outbox.flush();
    assert.equal(outbox.writeAtOnce(fresh(256 * 1024 + 1)), false, 'more than a piece');
    outbox.corked = true;
    assert.equal(outbox.writeAtOnce(fresh(5)), false, 'in a batch');
    outbox.corked = false;
    socket.atOnce = false;
    assert.ok(outbox.writeAtOnce(fresh(5)));
    assert.equal(outbox.bufferedAmount, 5);
    assert.ok(outbox.blocked);
    assert.equal(outbox.writeAtOnce(fresh(5)), false, 'behind what the stream has not taken');
    await socket.takeAll();
    await nextTurn();
    assert.equal(outbox.bufferedAmount, 0);
    outbox.close();
    assert.equal(outbox.writeAtOnce(fresh(5)), false, 'after the end');
    assert.equal(socket.writes.length, 2);
  });
});

describe('batches', () => {
  test('frames of one tick leave in one write, in order', async () => {
    const { socket, outbox } = makeOutbox();
    for (const word of ['one ', 'two ', 'three']) put(outbox, Buffer.from(word));
    assert.equal(socket.writes.length, 0);
    assert.equal(outbox.bufferedAmount, 13);
    await nextTurn();
    assert.deepEqual(socket.writes.map(String), ['one two three']);
    assert.equal(outbox.bufferedAmount, 0);
  });

  test('a mixture of small frames and large payloads is one vectored write', async () => {
    const { socket, outbox } = makeOutbox();
    const large = fresh(20_000);
    const small = fresh(10);
    put(outbox, small);
    outbox.append(large);
    put(outbox, small);
    outbox.append(large);
    await nextTurn();
    assert.equal(socket.writes.length, 1);
    assert.ok(socket.received.equals(Buffer.concat([small, large, small, large])));
  });

  test('while corked nothing leaves but by flush', async () => {
    const { socket, outbox } = makeOutbox();
    outbox.corked = true;
    put(outbox, fresh(5));
    await nextTurn();
    assert.equal(socket.writes.length, 0);
    outbox.corked = false;
    outbox.flush();
    assert.equal(socket.writes.length, 1);
  });

  test('what is sent while a write waits goes out together after it', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    put(outbox, Buffer.from('first'));
    await nextTurn();
    assert.ok(outbox.blocked);
    for (const word of ['a', 'b', 'c']) {
      put(outbox, Buffer.from(word));
      await nextTurn();
    }
    assert.equal(outbox.bufferedAmount, 8);
    assert.ok(await socket.accept());
    assert.ok(await socket.accept());
    assert.deepEqual(socket.writes.map(String), ['first', 'abc']);
    assert.equal(outbox.bufferedAmount, 0);
    assert.equal(outbox.blocked, false);
  });

  test('more than 256 KiB go in pieces, so that progress shows', async () => {
    let progress = 0;
    let blocked = 0;
    const { socket, outbox } = makeOutbox({
      onTaken() {},
      onBlocked() {
        blocked++;
      },
      onProgress() {
        progress++;
      },
      onPlaceFilled() {},
    });
    socket.atOnce = false;
    const large = fresh(700_000);
    outbox.append(large);
    await nextTurn();
    const amounts: number[] = [];
    while (await socket.accept()) amounts.push(outbox.bufferedAmount);
    assert.deepEqual(amounts, [700_000 - 262_144, 700_000 - 524_288, 0]);
    assert.equal(progress, 3);
    assert.equal(blocked, 3);
    assert.ok(socket.received.equals(large));
  });

  test('a payload of 16 KiB and more is handed on, not copied', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    const large = Buffer.alloc(20_000, 1);
    outbox.append(large);
    await nextTurn();
    large.fill(2);
    await socket.accept();
    assert.ok(socket.received.equals(large), 'the bytes were copied');
  });
});

describe('a queue that is discarded', () => {
  test('loses what has not begun to go out, and nothing else', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    put(outbox, Buffer.from('kept '));
    outbox.messagesQueued(1);
    await nextTurn();
    put(outbox, Buffer.from('lost '));
    outbox.messagesQueued(1);
    outbox.append(fresh(30_000));
    outbox.messagesQueued(1);
    assert.equal(outbox.discard(), 2);
    assert.equal(outbox.bufferedAmount, 5);
    put(outbox, Buffer.from('new'));
    outbox.messagesQueued(1);
    await socket.takeAll();
    assert.equal(String(socket.received), 'kept new');
    assert.equal(outbox.discard(), 0);
  });

  test('never loses a payload whose header has gone out', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    const first = fresh(65_530);
    put(outbox, first);
    outbox.messagesQueued(1);
    // This header makes the batch large enough to leave.
    const header = fresh(10);
    const payload = fresh(100_000);
    put(outbox, header);
    outbox.append(payload);
    outbox.messagesQueued(1);
    const dropped = outbox.discard();
    await socket.takeAll();
    await nextTurn();
    const kept = dropped === 0 ? [first, header, payload] : [first];
    assert.ok(socket.received.equals(Buffer.concat(kept)), `${socket.received.length} bytes`);
  });

  test('does not count what left at once', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    outbox.append(fresh(300_000));
    outbox.messagesQueued(1);
    assert.ok(outbox.blocked, 'a large batch leaves before the tick ends');
    assert.equal(outbox.discard(), 0);
    await socket.takeAll();
    assert.equal(socket.takenBytes, 300_000);
  });
});

describe('the end', () => {
  test('a closed outbox holds and writes nothing more', async () => {
    const { socket, outbox } = makeOutbox();
    socket.atOnce = false;
    put(outbox, fresh(100));
    await nextTurn();
    put(outbox, fresh(100));
    outbox.close();
    assert.equal(outbox.bufferedAmount, 0);
    put(outbox, fresh(100));
    await nextTurn();
    assert.equal(outbox.bufferedAmount, 0);
    await socket.takeAll();
    assert.equal(socket.takenBytes, 100);
  });
});

test('a stream that keeps what it was given is given buffers of its own', async () => {
  // As an in-memory pair does: it calls back at once, and hands the same memory on.
  const stream = new PassThrough({ highWaterMark: 1024 * 1024 });
  const outbox = new Outbox(stream, quiet);
  put(outbox, Buffer.from('one'));
  await nextTurn();
  put(outbox, Buffer.from('two'));
  await nextTurn();
  // Without a size, Node 26 gives one buffer, and not all that are there.
  assert.equal(String(stream.read(stream.readableLength)), 'onetwo');
});

type Step =
  | { readonly do: 'put' | 'append'; readonly size: number }
  | { readonly do: 'flush' | 'turn' | 'take' | 'cork' | 'uncork' }
  | { readonly do: 'speed'; readonly atOnce: boolean };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('put' as const), size: fc.integer({ min: 2, max: 6_000 }) }),
  fc.record({ do: fc.constant('put' as const), size: fc.integer({ min: 2, max: 90_000 }) }),
  fc.record({ do: fc.constant('append' as const), size: fc.integer({ min: 2, max: 8_000 }) }),
  fc.record({
    do: fc.constant('append' as const),
    size: fc.integer({ min: 16_384, max: 600_000 }),
  }),
  fc.record({ do: fc.constantFrom('flush', 'turn', 'take', 'take', 'cork', 'uncork') }),
  fc.record({ do: fc.constant('speed' as const), atOnce: fc.boolean() }),
);

test('whatever is sent, and however slowly it is taken: the same bytes, and a true count', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { socket, outbox } = makeOutbox();
      const sent: Buffer[] = [];
      let accepted = 0;
      const checkCount = (): void => {
        assert.equal(outbox.bufferedAmount, accepted - socket.takenBytes);
      };
      for (const now of steps) {
        switch (now.do) {
          case 'put':
          case 'append': {
            const bytes = fresh(now.size);
            if (now.do === 'put') put(outbox, bytes);
            else outbox.append(bytes);
            accepted += now.size;
            checkCount();
            outbox.messagesQueued(1);
            sent.push(bytes);
            break;
          }
          case 'flush':
            outbox.flush();
            break;
          case 'turn':
            await nextTurn();
            break;
          case 'take':
            // What a stream did not take at once it takes in a later turn.
            await nextTurn();
            await socket.accept();
            break;
          case 'cork':
          case 'uncork':
            outbox.corked = now.do === 'cork';
            break;
          case 'speed':
            socket.atOnce = now.atOnce;
        }
        checkCount();
      }
      outbox.flush();
      await socket.takeAll();
      await nextTurn();
      assert.equal(outbox.bufferedAmount, 0);
      assert.ok(socket.received.equals(Buffer.concat(sent)));
    }),
    { numRuns: 150 },
  );
});
