import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Heartbeat, Timed } from '../../dist/node/heartbeat.js';

const TICK = 100;

/** What is woken writes its name and the time down, and asks for `wakeNext`. */
class Sleeper extends Timed {
  readonly woken: number[] = [];
  readonly name: string;
  readonly log: string[];
  wakeNext: (now: number) => number = () => Number.POSITIVE_INFINITY;

  constructor(name: string, log: string[] = []) {
    super();
    this.name = name;
    this.log = log;
  }

  override wake(now: number): number {
    this.woken.push(now);
    this.log.push(this.name);
    return this.wakeNext(now);
  }
}

describe('the wheel', () => {
  let clock = 0;
  let heartbeat = new Heartbeat();
  let ring: (() => void) | undefined;

  beforeEach(() => {
    clock = 12_345;
    ring = undefined;
    heartbeat = new Heartbeat();
    mock.method(performance, 'now', () => clock + 0.7);
    mock.method(globalThis, 'setInterval', (handler: () => void) => {
      ring = handler;
      return { unref() {} };
    });
    mock.method(globalThis, 'clearInterval', () => {
      ring = undefined;
    });
  });

  afterEach(() => mock.restoreAll());

  /** Lets time pass in ticks of the interval, or all at once where the process was stalled. */
  async function pass(ms: number, isStall = false): Promise<void> {
    const step = isStall ? ms : TICK;
    for (let passed = 0; passed < ms; passed += step) {
      clock += step;
      ring?.();
      await nextTurn();
    }
  }

  test('wakes nobody early, and nobody later than a tick', async () => {
    const sleepers = [1, 99, 100, 101, 555, 1000, 5_000].map((after) => {
      const sleeper = new Sleeper(String(after));
      heartbeat.wakeBy(sleeper, clock + after);
      return { after, sleeper };
    });
    const begun = clock;
    await pass(5_200);
    for (const { after, sleeper } of sleepers) {
      assert.equal(sleeper.woken.length, 1, `after ${after}`);
      const late = (sleeper.woken[0] as number) - begun - after;
      assert.ok(late >= 0 && late <= 2 * TICK, `${after} was woken ${late} ms late`);
    }
  });

  test('wakes in order of time, a tick wide', async () => {
    const log: string[] = [];
    for (const [name, after] of Object.entries({ late: 900, soon: 200, middle: 500 })) {
      heartbeat.wakeBy(new Sleeper(name, log), clock + after);
    }
    await pass(1_200);
    assert.deepEqual(log, ['soon', 'middle', 'late']);
  });

  test('an earlier time replaces a later one, not the other way round', async () => {
    const sleeper = new Sleeper('s');
    heartbeat.wakeBy(sleeper, clock + 1_000);
    heartbeat.wakeBy(sleeper, clock + 300);
    heartbeat.wakeBy(sleeper, clock + 2_000);
    assert.equal(sleeper.wakeAt, clock + 300);
    await pass(3_000);
    assert.equal(sleeper.woken.length, 1);
    assert.ok((sleeper.woken[0] as number) <= 12_345 + 300 + 2 * TICK);
  });

  test('what was cleared is not woken, and can be set again', async () => {
    const first = new Sleeper('first');
    const second = new Sleeper('second');
    const third = new Sleeper('third');
    for (const sleeper of [first, second, third]) heartbeat.wakeBy(sleeper, clock + 200);
    heartbeat.clear(second);
    heartbeat.clear(second);
    await pass(400);
    assert.deepEqual(
      [first, second, third].map(({ woken }) => woken.length),
      [1, 0, 1],
    );
    heartbeat.wakeBy(second, clock + 200);
    await pass(400);
    assert.equal(second.woken.length, 1);
  });

  test('wake says when it wants to be woken next', async () => {
    const sleeper = new Sleeper('s');
    sleeper.wakeNext = (now) => now + 250;
    heartbeat.wakeBy(sleeper, clock + 250);
    await pass(2_000);
    assert.ok(sleeper.woken.length >= 5 && sleeper.woken.length <= 8, `${sleeper.woken.length}`);
  });

  test('a time that was set while being woken counts where it is the earlier', async () => {
    const sleeper = new Sleeper('s');
    sleeper.wakeNext = (now) => {
      if (sleeper.woken.length === 1) heartbeat.wakeBy(sleeper, now + 200);
      return Number.POSITIVE_INFINITY;
    };
    heartbeat.wakeBy(sleeper, clock + 100);
    await pass(1_000);
    assert.equal(sleeper.woken.length, 2);
  });

  test('one that is woken may clear another of the same tick', async () => {
    const log: string[] = [];
    const [a, b, c] = ['a', 'b', 'c'].map((name) => new Sleeper(name, log)) as [
      Sleeper,
      Sleeper,
      Sleeper,
    ];
    for (const one of [a, b, c]) {
      one.wakeNext = () => {
        for (const other of [a, b, c]) heartbeat.clear(other);
        return Number.POSITIVE_INFINITY;
      };
      heartbeat.wakeBy(one, clock + 100);
    }
    await pass(500);
    assert.equal(log.length, 1);
    assert.equal(ring, undefined, 'the timer runs for nobody');
  });

  test('what is far off is looked at on the way, and woken in time', async () => {
    const sleeper = new Sleeper('s');
    const due = clock + 120_000;
    sleeper.wakeNext = (now) => (now < due ? due : Number.POSITIVE_INFINITY);
    heartbeat.wakeBy(sleeper, due);
    await pass(121_000);
    const last = sleeper.woken.at(-1) as number;
    assert.ok(last >= due && last <= due + 2 * TICK, `${last - due}`);
    assert.ok(sleeper.woken.length <= 5, `woken ${sleeper.woken.length} times`);
  });

  test('after a stall everything due is woken once, and what follows is in time', async () => {
    const due = [100, 700, 30_000].map((after) => {
      const sleeper = new Sleeper(String(after));
      heartbeat.wakeBy(sleeper, clock + after);
      return sleeper;
    });
    const later = new Sleeper('later');
    const at = clock + 201_000;
    later.wakeNext = (now) => (now < at ? at : Number.POSITIVE_INFINITY);
    heartbeat.wakeBy(later, at);
    await pass(200_000, true);
    assert.deepEqual(
      due.map(({ woken }) => woken.length),
      [1, 1, 1],
    );
    await pass(1_500);
    const last = later.woken.at(-1) as number;
    assert.ok(last >= at && last <= at + 2 * TICK, `${last - at}`);
  });

  test('the timer runs only while somebody sleeps', async () => {
    assert.equal(ring, undefined);
    const sleeper = new Sleeper('s');
    heartbeat.wakeBy(sleeper, Number.POSITIVE_INFINITY);
    assert.equal(ring, undefined, 'never is not set');
    heartbeat.wakeBy(sleeper, clock + 100);
    assert.notEqual(ring, undefined);
    await pass(300);
    assert.equal(ring, undefined);
  });
});

test('on the real clock', async () => {
  const heartbeat = new Heartbeat();
  const begun = heartbeat.now();
  // The heartbeat does not keep the process.
  const keep = setInterval(() => {}, 1_000);
  const now = await new Promise<number>((resolve) => {
    class Once extends Timed {
      override wake(at: number): number {
        resolve(at);
        return Number.POSITIVE_INFINITY;
      }
    }
    heartbeat.wakeBy(new Once(), begun + 50);
  });
  clearInterval(keep);
  assert.ok(now >= begun + 50);
});
