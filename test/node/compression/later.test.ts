import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { afterEach, suite, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CONCURRENCY, type Job, jobs } from '../../../dist/node/compression/job-queue.js';
import { keptCompression } from '../../../dist/node/compression/kept-compression.js';
import { CORRUPT, TOO_LONG } from '../../../dist/protocol/extensions/compression.js';
import {
  BOTH,
  deflate,
  deflateLater,
  inflate,
  inflateLater,
  json,
  MANY,
  payloadOf,
  pseudoRandom,
  textOf,
  USUAL,
} from './both.ts';
import { trackStreams } from './tracked-streams.ts';

const TEXT = json(300_000);
const PAYLOAD = payloadOf(TEXT);

/** Takes all places in the queue; returns what gives them back. */
function block(): () => void {
  for (let k = 0; k < CONCURRENCY; k++) jobs.add({ start() {}, isWanted: () => true });
  return () => {
    for (let k = 0; k < CONCURRENCY; k++) jobs.ended();
  };
}

/** Until no job is left; the number that run is watched. */
async function untilIdle(): Promise<void> {
  while (jobs.running > 0 || jobs.waiting > 0) {
    assert.ok(jobs.running <= CONCURRENCY, `${jobs.running} at once`);
    await nextTurn();
  }
}

function unexpected(): void {
  throw new Error('This was to be called no more');
}

afterEach(async () => {
  await untilIdle();
});

suite('the queue', () => {
  test('starts jobs in their order, so many at once, and others when one has ended; none that is not wanted', () => {
    const started: number[] = [];
    const add = (k: number): Job => {
      const job = {
        start() {
          started.push(k);
        },
        isWanted: () => k !== 5,
      };
      jobs.add(job);
      return job;
    };
    const [first, , third, , , , last] = [0, 1, 2, 3, 5, 5, 4].map(add);
    assert.ok(first !== undefined && third !== undefined && last !== undefined);
    assert.deepEqual(started, [0, 1]);
    assert.equal(jobs.running, CONCURRENCY);
    assert.equal(jobs.waiting, 5);
    assert.equal(jobs.remove(first), false);
    assert.equal(jobs.remove(third), true);
    assert.equal(jobs.remove(third), false);
    jobs.ended();
    assert.deepEqual(started, [0, 1, 3]);
    jobs.ended();
    assert.deepEqual(started, [0, 1, 3, 4]);
    assert.equal(jobs.remove(last), false);
    jobs.ended();
    jobs.ended();
    assert.equal(jobs.running, 0);
    assert.equal(jobs.waiting, 0);
  });
});

for (const [way, compression] of BOTH) {
  suite(way, () => {
    test('done is called later, and in order for jobs alike', async () => {
      const order: number[] = [];
      const inflater = compression.sharedInflater();
      await new Promise<void>((resolve) => {
        for (let k = 0; k < 20; k++) {
          inflater.inflateLater(PAYLOAD, MANY, (inflated) => {
            assert.ok(typeof inflated !== 'number' && TEXT.equals(inflated));
            order.push(k);
            if (order.length === 20) resolve();
          });
        }
        assert.deepEqual(order, []);
      });
      // They begin in order, two are at work at once, and one of them may be overtaken by any number.
      order.forEach((k, place) => {
        assert.ok(k - place < CONCURRENCY, `${k} at ${place}`);
      });
    });

    test('what nobody wants any more when its turn has come is not compressed', async () => {
      const goOn = block();
      const deflater = compression.sharedDeflater(USUAL);
      for (let k = 0; k < 100; k++) deflater.deflateLater(TEXT, unexpected, () => false);
      const done = new Promise((resolve) => deflater.deflateLater(TEXT, resolve, () => true));
      assert.equal(jobs.waiting, 101);
      goOn();
      assert.equal(jobs.waiting, 0);
      await done;
    });

    test('never more than so many streams are at work', async (t) => {
      const streams = trackStreams(t);
      const results = [];
      for (let k = 0; k < 15; k++) {
        results.push(inflateLater(compression.sharedInflater(), PAYLOAD));
        results.push(
          deflateLater(compression.sharedDeflater({ ...USUAL, windowBits: 9 + (k % 7) }), TEXT),
        );
      }
      await untilIdle();
      for (const [k, result] of (await Promise.all(results)).entries()) {
        assert.ok(typeof result !== 'number');
        assert.ok(TEXT.equals(k % 2 === 0 ? result : textOf(result)));
      }
      // Those that inflate were destroyed, of those that deflate at most two of a kind are kept.
      const open = streams.filter((stream) => !stream.destroyed);
      assert.ok(open.length <= 7 * (CONCURRENCY + 1), `${open.length}`);
      for (let k = 0; k < 30; k++) await deflateLater(compression.sharedDeflater(USUAL), TEXT);
      assert.ok(streams.filter((stream) => !stream.destroyed).length <= open.length);
    });

    test('what is received is the receiver’s, and as long as it says', async () => {
      for (const text of [json(100), json(65_536), json(65_537), json(200_000), TEXT]) {
        const received: Uint8Array[] = [];
        for (let k = 0; k < 4; k++) {
          compression.sharedInflater().inflateLater(payloadOf(text), MANY, (inflated) => {
            assert.ok(typeof inflated !== 'number');
            received.push(inflated);
          });
        }
        await untilIdle();
        assert.equal(received.length, 4);
        for (const inflated of received) {
          assert.ok(text.equals(inflated));
          assert.ok(inflated.buffer.byteLength <= Math.max(65_536, 2 * inflated.length));
          // Nobody else sees it.
          inflated.fill(0);
        }
      }
    });

    test('corrupt and too long', async () => {
      const corrupt = Buffer.concat([PAYLOAD, Buffer.from([0xff, 0xff])]);
      const bomb = payloadOf(Buffer.alloc(MANY / 4));
      assert.equal(await inflateLater(compression.sharedInflater(), corrupt), CORRUPT);
      assert.equal(await inflateLater(compression.sharedInflater(), bomb, 1_000_000), TOO_LONG);
      for (const [payload, expected] of [
        [corrupt, CORRUPT],
        [bomb, TOO_LONG],
      ] as const) {
        const own = compression.ownInflater(15);
        assert.deepEqual(inflate(own, payloadOf(json(100))), json(100));
        assert.equal(await inflateLater(own, payload, 1_000_000), expected);
        assert.equal(inflate(own, PAYLOAD), CORRUPT);
        own.close();
      }
    });

    test('an own inflater at once and later by turns', async () => {
      const deflater = compression.ownDeflater(USUAL);
      const own = compression.ownInflater(15);
      for (let k = 0; k < 30; k++) {
        const text = json([100, 70_000, 5_000][k % 3] ?? 0, k);
        const payload = deflate(deflater, text, false);
        const inflated = k % 2 === 0 ? await inflateLater(own, payload) : inflate(own, payload);
        assert.ok(Buffer.isBuffer(inflated) && text.equals(inflated), `${k}`);
      }
      deflater.close();
      own.close();
    });

    test('closed while it waits', async (t) => {
      const streams = trackStreams(t);
      const unblock = block();
      const own = compression.ownInflater(15);
      own.inflateLater(PAYLOAD, MANY, unexpected);
      assert.equal(jobs.waiting, 1);
      own.close();
      assert.equal(jobs.waiting, 0);
      own.close();
      assert.equal(inflate(own, PAYLOAD), CORRUPT);
      unblock();
      await untilIdle();
      assert.ok(streams.every((stream) => stream.destroyed));
    });

    test('closed while a thread works for it, at any time', async (t) => {
      const streams = trackStreams(t);
      const corrupt = Buffer.concat([PAYLOAD, Buffer.from([0xff, 0xff])]);
      const final = Buffer.concat([Buffer.from([3, 0]), PAYLOAD]);
      for (const payload of [PAYLOAD, corrupt, final, Buffer.alloc(0)]) {
        for (let turns = 0; turns < 6; turns++) {
          const own = compression.ownInflater(15);
          let closed = false;
          own.inflateLater(payload, MANY, () => {
            if (closed) unexpected();
          });
          for (let k = 0; k < turns; k++) await nextTurn();
          own.close();
          closed = true;
          assert.equal(inflate(own, PAYLOAD), CORRUPT);
          own.close();
          await untilIdle();
        }
      }
      assert.ok(streams.every((stream) => stream.destroyed));
    });

    test('closed by the receiver', async (t) => {
      const streams = trackStreams(t);
      for (const payload of [PAYLOAD, Buffer.from([0xff])]) {
        const own = compression.ownInflater(15);
        await new Promise<void>((resolve) => {
          own.inflateLater(payload, MANY, () => {
            own.close();
            resolve();
          });
        });
      }
      await untilIdle();
      assert.ok(streams.every((stream) => stream.destroyed));
    });

    test('a receiver that throws stops nobody else', async (t) => {
      const thrown: unknown[] = [];
      const uncaught = new Promise<void>((resolve) => {
        const others = process.listeners('uncaughtException');
        process.removeAllListeners('uncaughtException');
        process.once('uncaughtException', (error) => {
          thrown.push(error);
          for (const other of others) process.on('uncaughtException', other);
          resolve();
        });
      });
      t.after(() => uncaught);
      const inflater = compression.sharedInflater();
      inflater.inflateLater(PAYLOAD, MANY, unexpected);
      const after = [inflateLater(inflater, PAYLOAD), inflateLater(inflater, PAYLOAD)];
      await uncaught;
      assert.equal(thrown.length, 1);
      for (const inflated of await Promise.all(after)) assert.deepEqual(inflated, TEXT);
    });

    test('1,000 jobs closed at random leave nothing behind', async (t) => {
      setFlagsFromString('--expose-gc');
      const gc: unknown = runInNewContext('gc');
      assert.ok(typeof gc === 'function');
      const text = json(70_000);
      const payload = payloadOf(text);
      const corrupt = Buffer.concat([payload, Buffer.from([0xff])]);
      const random = pseudoRandom(4);
      const streams = trackStreams(t);
      let done = 0;
      let closed = 0;
      async function some(count: number): Promise<void> {
        for (let k = 0; k < count; k++) {
          const own = compression.ownInflater(15);
          let isClosed = false;
          const close = (): void => {
            own.close();
            isClosed = true;
          };
          own.inflateLater(random() < 0.2 ? corrupt : payload, MANY, () => {
            assert.equal(isClosed, false);
            done++;
            close();
          });
          const when = random();
          if (when < 0.3) close();
          else if (when < 0.7) setTimeout(close, when * 20);
          else if (when < 0.9) setImmediate(close);
          if (isClosed) closed++;
          if (random() < 0.3) await nextTurn();
        }
        await untilIdle();
        await nextTurn();
      }
      const used = (): number => {
        gc();
        gc();
        return process.memoryUsage().external;
      };
      await some(200);
      await nextTurn();
      const before = used();
      await some(800);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(done > 50 && closed > 50, `${done} done, ${closed} closed at once`);
      assert.ok(streams.length > 100, `${streams.length} streams`);
      assert.ok(streams.every((stream) => stream.destroyed));
      // Each that was forgotten would hold 100 KB: its window, and the 64 KiB of the stream.
      const more = used() - before;
      assert.ok(more < (800 * 65_536) / 4, `${more}`);
    });

    test('the receiver is called where it asked', async () => {
      const storage = new AsyncLocalStorage<number>();
      const seen: (number | undefined)[] = [];
      await Promise.all(
        [1, 2, 3, 4].map((connection) =>
          storage.run(connection, async () => {
            await new Promise<void>((resolve) => {
              compression.sharedInflater().inflateLater(PAYLOAD, MANY, () => {
                seen.push(storage.getStore());
                resolve();
              });
            });
            await new Promise<void>((resolve) => {
              compression.sharedDeflater(USUAL).deflateLater(TEXT, () => {
                seen.push(storage.getStore());
                resolve();
              });
            });
          }),
        ),
      );
      assert.deepEqual(seen.toSorted(), [1, 1, 2, 2, 3, 3, 4, 4]);
    });
  });
}

test('an inflater that a thread works with is not touched', async () => {
  const own = keptCompression.ownInflater(15);
  const later = inflateLater(own, PAYLOAD);
  assert.equal(inflate(own, PAYLOAD), CORRUPT);
  assert.deepEqual(await later, TEXT);
  own.close();
});

test('contexts of a connection’s own do not hold a stream’s buffer', async (t) => {
  const streams = trackStreams(t);
  const own = [keptCompression.ownInflater(15), keptCompression.ownInflater(15)] as const;
  const deflater = keptCompression.ownDeflater(USUAL);
  const buffers = (): Set<unknown> =>
    new Set(streams.map((stream) => Reflect.get(stream, '_outBuffer')));
  assert.equal(streams.length, 3);
  assert.equal(buffers().size, 1);
  await Promise.all(own.map((inflater) => inflateLater(inflater, PAYLOAD)));
  assert.equal(streams.length, 3);
  assert.equal(buffers().size, 1);
  for (const each of [...own, deflater]) each.close();
});
