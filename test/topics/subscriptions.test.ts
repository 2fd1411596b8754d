import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { Subscriptions } from '../../dist/topics/subscriptions.js';
import { FakeBroker } from './fake-broker.ts';
import { ManualPorts } from './manual-ports.ts';

function setUp() {
  const broker = new FakeBroker();
  const ports = new ManualPorts();
  const missed: string[] = [];
  const failures: unknown[] = [];
  const subscriptions = new Subscriptions(broker, ports, {
    missed: (topic) => void missed.push(topic),
    failed: (error) => void failures.push(error),
  });
  const up = (): void => {
    broker.goUp();
    subscriptions.up();
  };
  const down = (): void => {
    broker.goDown();
    subscriptions.down();
  };
  /** Has the engine answer all there is to ask. */
  const settle = async (): Promise<void> => {
    for (let idle = 0; idle < 2; idle++) {
      ports.endTick();
      await turn();
      while (broker.answer() !== undefined) {
        idle = 0;
        await turn();
      }
      ports.endTick();
    }
  };
  const next = async (): Promise<void> => {
    ports.endTick();
    await turn();
  };
  return { broker, ports, missed, failures, subscriptions, up, down, settle, next };
}

/** What a promise has come to by now. */
async function stateOf(promise: Promise<boolean>): Promise<boolean | 'pending'> {
  await turn();
  return await Promise.race([promise, turn('pending' as const)]);
}

describe('subscribing at the engine', () => {
  test('the topics of a tick go together, and are confirmed together', async () => {
    const { broker, subscriptions, up, next, missed } = setUp();
    up();
    subscriptions.added('a');
    subscriptions.added('b');
    const confirmed = subscriptions.confirmed('a');
    await next();
    assert.deepEqual(broker.log, ['subscribe a,b']);
    assert.equal(await stateOf(confirmed), 'pending');
    broker.answer();
    assert.equal(await confirmed, true);
    assert.equal(await subscriptions.confirmed('b'), true);
    assert.deepEqual(missed, []);
  });

  test('no more than a thousand at a time, one call at a time', async () => {
    const { broker, subscriptions, up, settle } = setUp();
    up();
    for (let i = 0; i < 2_500; i++) subscriptions.added(`t${i}`);
    await settle();
    assert.equal(broker.log.length, 3);
    assert.equal(broker.subscribed.size, 2_500);
  });

  test('a topic without subscribers is not confirmed, one while the engine is away neither', async () => {
    const { subscriptions, up } = setUp();
    subscriptions.added('a');
    assert.equal(await subscriptions.confirmed('a'), false);
    up();
    assert.equal(await subscriptions.confirmed('other'), false);
  });

  test('who comes and goes within a tick is not told to the engine', async () => {
    const { broker, subscriptions, up, next } = setUp();
    up();
    subscriptions.added('a');
    subscriptions.removed('a');
    await next();
    assert.deepEqual(broker.log, []);
  });

  test('a topic left while it is subscribed to is unsubscribed afterwards', async () => {
    const { broker, subscriptions, up, next, settle } = setUp();
    up();
    subscriptions.added('a');
    await next();
    subscriptions.removed('a');
    await settle();
    assert.deepEqual(broker.log, ['subscribe a', 'unsubscribe a']);
    assert.equal(broker.subscribed.size, 0);
  });

  test('a topic that comes back while it is left is subscribed to again', async () => {
    const { broker, subscriptions, up, next, settle } = setUp();
    up();
    subscriptions.added('a');
    await settle();
    subscriptions.removed('a');
    await next();
    subscriptions.added('a');
    const confirmed = subscriptions.confirmed('a');
    assert.equal(await stateOf(confirmed), 'pending');
    await settle();
    assert.equal(await confirmed, true);
    assert.ok(broker.subscribed.has('a'));
  });

  test('topics that are left all the time do not hold up one that comes', async () => {
    const { broker, subscriptions, up, settle, ports } = setUp();
    up();
    for (let i = 0; i < 50; i++) subscriptions.added(`t${i}`);
    await settle();
    subscriptions.removed('t0');
    ports.endTick();
    subscriptions.added('new');
    for (let i = 1; i < 50 && !broker.subscribed.has('new'); i++) {
      subscriptions.removed(`t${i}`);
      ports.endTick();
      broker.answer();
      await turn();
    }
    assert.ok(subscriptions.get('t49') !== undefined, 'it waited until nobody left any more');
  });
});

describe('an engine that refuses', () => {
  test('is asked again after a while, once; what was missed meanwhile is told', async () => {
    const { broker, subscriptions, up, next, ports, failures, missed } = setUp();
    up();
    subscriptions.added('a');
    const confirmed = subscriptions.confirmed('a');
    await next();
    broker.refuse();
    assert.equal(await confirmed, false);
    assert.equal(failures.length, 1);
    await next();
    assert.equal(broker.log.length, 1);
    ports.pass(10_000);
    await next();
    assert.deepEqual(broker.log, ['subscribe a', 'subscribe a']);
    broker.answer();
    await next();
    assert.deepEqual(missed, ['a']);
    assert.equal(await subscriptions.confirmed('a'), true);
  });

  test('a topic that came back after the refusal is subscribed to', async () => {
    const { broker, subscriptions, up, next, ports, settle } = setUp();
    up();
    subscriptions.added('a');
    await next();
    subscriptions.removed('a');
    broker.refuse();
    await turn();
    subscriptions.added('a');
    const confirmed = subscriptions.confirmed('a');
    assert.equal(await stateOf(confirmed), 'pending', 'nothing was confirmed');
    ports.pass(10_000);
    await settle();
    assert.ok(broker.subscribed.has('a'));
  });

  test('a topic that came back after leaving it was refused is subscribed to again', async () => {
    const { broker, subscriptions, up, next, ports, settle } = setUp();
    up();
    subscriptions.added('a');
    await settle();
    subscriptions.removed('a');
    await next();
    // It may have been done all the same.
    broker.refuse(true);
    await turn();
    subscriptions.added('a');
    ports.pass(10_000);
    await settle();
    assert.ok(broker.subscribed.has('a'));
  });

  test('a topic refused, perhaps done all the same, is unsubscribed once nobody is left', async () => {
    const { broker, subscriptions, up, next, ports, settle } = setUp();
    up();
    subscriptions.added('a');
    await next();
    broker.refuse(true);
    await turn();
    subscriptions.removed('a');
    ports.pass(10_000);
    await settle();
    assert.deepEqual([...broker.subscribed], []);
  });

  test('there is one timer, however often it is asked meanwhile', async () => {
    const { broker, subscriptions, up, next, ports } = setUp();
    up();
    for (let i = 0; i < 20; i++) {
      subscriptions.added(`t${i}`);
      await next();
      while (broker.calls.length > 0) {
        broker.refuse();
        await turn();
      }
    }
    assert.equal(ports.timers.size, 1);
  });

  test('one topic that is refused does not hold up the others for good', async () => {
    const { broker, subscriptions, up, next, ports } = setUp();
    up();
    for (let i = 0; i < 1_000; i++) subscriptions.added(i === 500 ? 'forbidden' : `t${i}`);
    for (let round = 0; round < 30 && broker.subscribed.size < 999; round++) {
      await next();
      while (broker.calls.length > 0) {
        if (broker.calls[0]?.topics.includes('forbidden')) broker.refuse();
        else broker.answer();
        await turn();
      }
      ports.pass(10_000);
    }
    assert.equal(broker.subscribed.size, 999);
  });

  test('nothing is asked, and no timer runs, once it is away', async () => {
    const { broker, subscriptions, up, down, next, ports } = setUp();
    up();
    subscriptions.added('a');
    await next();
    while (broker.calls.length > 0) {
      broker.refuse();
      await turn();
    }
    down();
    assert.equal(ports.timers.size, 0);
    const asked = broker.log.length;
    ports.pass(10_000);
    subscriptions.added('b');
    await next();
    assert.equal(broker.log.length, asked);
  });
});

describe('an engine that goes and comes', () => {
  test('all is subscribed anew, and told as missed once that is confirmed', async () => {
    const { broker, subscriptions, up, down, next, settle, missed } = setUp();
    up();
    subscriptions.added('a');
    subscriptions.added('b');
    await settle();
    down();
    subscriptions.removed('b');
    subscriptions.added('c');
    assert.deepEqual(missed, []);
    up();
    await next();
    assert.equal(broker.log.at(-1), 'subscribe a,c');
    assert.deepEqual(missed, []);
    await settle();
    assert.deepEqual(missed, ['a', 'c']);
    assert.deepEqual([...broker.subscribed], ['a', 'c']);
  });

  test('up again without down is away all the same', async () => {
    const { subscriptions, up, settle, missed } = setUp();
    up();
    subscriptions.added('a');
    await settle();
    up();
    const confirmed = subscriptions.confirmed('a');
    assert.equal(await stateOf(confirmed), 'pending');
    await settle();
    assert.equal(await confirmed, true);
    assert.deepEqual(missed, ['a']);
  });

  test('who left and came while it was away is not confirmed by that', async () => {
    const { subscriptions, up, down, settle } = setUp();
    up();
    subscriptions.added('a');
    await settle();
    down();
    subscriptions.removed('a');
    subscriptions.added('a');
    assert.equal(await subscriptions.confirmed('a'), false);
    up();
    const confirmed = subscriptions.confirmed('a');
    assert.equal(await stateOf(confirmed), 'pending');
    await settle();
    assert.equal(await confirmed, true);
  });

  test('a call that is never answered holds up nothing once it is back', async () => {
    const { broker, subscriptions, up, down, next, settle } = setUp();
    up();
    subscriptions.added('a');
    const first = subscriptions.confirmed('a');
    await next();
    const [hanging] = broker.calls.splice(0);
    down();
    assert.equal(await first, false);
    up();
    await settle();
    assert.equal(await subscriptions.confirmed('a'), true);
    hanging?.reject(new Error('late'));
    await settle();
    assert.equal(await subscriptions.confirmed('a'), true);
  });

  test('topics that come and go while it is away leave nothing behind', async () => {
    const { broker, subscriptions, up, down, settle } = setUp();
    up();
    subscriptions.added('kept');
    await settle();
    down();
    for (let i = 0; i < 1_000; i++) {
      subscriptions.added(`t${i}`);
      subscriptions.removed(`t${i}`);
    }
    const asked = broker.log.length;
    up();
    await settle();
    assert.deepEqual(broker.log.slice(asked), ['subscribe kept']);
    assert.equal(subscriptions.among().length, 1);
  });
});

const names = ['a', 'b', 'c', 'd'] as const;

test('after any script the engine has what is wanted, nobody waits, and each hole was told', async () => {
  const topic = fc.constantFrom(...names);
  const steps = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.record({ do: fc.constantFrom('toggle', 'ask'), topic }) },
      {
        weight: 6,
        arbitrary: fc.record({
          do: fc.constantFrom('tick', 'answer', 'refuse', 'refuse-done', 'pass', 'down', 'up'),
          topic,
        }),
      },
    ),
    { maxLength: 40 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (program) => {
      const broker = new FakeBroker();
      const ports = new ManualPorts();
      const wanted = new Set<string>();
      /** Topics of which something may have been lost since they were told so last. */
      const holes = new Set<string>();
      const subscriptions = new Subscriptions(broker, ports, {
        missed(name) {
          assert.ok(wanted.has(name), `${name} has nobody`);
          assert.ok(broker.subscribed.has(name), `${name} is not subscribed to yet`);
          holes.delete(name);
        },
        failed() {},
      });
      const waiting = new Set<object>();
      const lost = (isNow: (name: string) => boolean): void => {
        for (const name of wanted) if (isNow(name)) holes.add(name);
      };
      const steer = {
        tick: () => ports.endTick(),
        pass: () => ports.pass(1_000),
        answer: () => void broker.answer(),
        refuse: (): void => {
          const call = broker.refuse();
          if (call?.kind !== 'subscribe') return;
          lost((name) => call.topics.includes(name) && !broker.subscribed.has(name));
        },
        'refuse-done': () => void broker.refuse(true),
        down: () => {
          broker.goDown();
          lost(() => true);
          subscriptions.down();
        },
        up: () => {
          if (broker.isUp) lost(() => true);
          broker.goUp();
          subscriptions.up();
        },
      };
      for (const { do: action, topic: name } of program) {
        if (action === 'toggle') {
          if (wanted.delete(name)) {
            holes.delete(name);
            subscriptions.removed(name);
          } else {
            wanted.add(name);
            if (!broker.isUp) holes.add(name);
            subscriptions.added(name);
          }
        } else if (action === 'ask') {
          const asked = {};
          waiting.add(asked);
          void subscriptions.confirmed(name).then((isConfirmed) => {
            waiting.delete(asked);
            if (isConfirmed) assert.ok(broker.subscribed.has(name), `${name} was not confirmed`);
          });
        } else steer[action as keyof typeof steer]();
        await turn();
      }
      if (!broker.isUp) steer.up();
      for (let quiet = 0; quiet < 3; quiet++) {
        ports.endTick();
        await turn();
        ports.pass(10_000);
        ports.endTick();
        while (broker.answer() !== undefined) {
          quiet = 0;
          await turn();
          ports.endTick();
        }
      }
      assert.deepEqual([...broker.subscribed].sort(), [...wanted].sort());
      assert.equal(waiting.size, 0, 'somebody waits');
      assert.deepEqual([...holes], [], 'not told');
      for (const name of wanted) assert.equal(await subscriptions.confirmed(name), true);
      assert.equal(ports.timers.size, 0);
    }),
    { numRuns: 400 },
  );
});
