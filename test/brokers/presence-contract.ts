import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Presence, PresenceOptions } from '../../dist/topics/presence.js';
import { oddNames } from './history-contract.ts';

interface PresenceNode {
  readonly presence: Presence;
  /** Ends it without a word, as a crash does: it gives no sign any more, and its members stay for the engine to expire. */
  crash(): Promise<void>;
}

/** What presences are kept in, begun for one suite. */
export interface PresenceEngine extends AsyncDisposable {
  /** Another node, with a client of its own; where there is only one process, another presence. */
  node(options?: PresenceOptions): Promise<PresenceNode>;
  /** Of engines that nodes share. Takes it away: resolves once it answers nobody. What it had in memory is lost. */
  away?(): Promise<void>;
  back?(): Promise<void>;
}

export interface PresenceContract {
  /** Whether nodes see each other, by an engine that can be away. Default true. */
  readonly isShared?: boolean;
  /** Whether exactly one node tells of a member that is gone. Default true. */
  readonly isToldOnce?: boolean;
  readonly skip?: string | false;
}

const DEADLINE_MS = 45_000;
/** Of a node that is going to crash; one that lives on has the default, so that no pause of the test ends it. */
const SHORT_TTL_MS = 900;

/** What every presence must do, whatever it is kept in. */
export function presenceContract(
  name: string,
  start: () => Promise<PresenceEngine>,
  { isShared = true, isToldOnce = true, skip = false }: PresenceContract = {},
): void {
  suite(`presence: ${name}`, { skip, concurrency: 1 }, () => {
    let engine: PresenceEngine;
    let topics = 0;
    const newTopic = (): string => `topic ${++topics}`;
    const newPresence = async (): Promise<Presence> => (await engine.node()).presence;
    before(async () => {
      engine = await start();
    });
    after(async () => {
      await engine?.[Symbol.asyncDispose]();
    });

    test('counts how often a member was entered', async () => {
      const presence = await newPresence();
      const topic = newTopic();
      assert.deepEqual(await presence.members(topic), []);
      assert.equal(await presence.leave(topic, 'a'), false);
      assert.equal(await presence.enter(topic, 'a'), true);
      assert.equal(await presence.enter(topic, 'a'), false);
      assert.equal(await presence.leave(topic, 'b'), false);
      assert.equal(await presence.leave(topic, 'a'), false);
      assert.deepEqual(await presence.members(topic), ['a']);
      assert.equal(await presence.leave(topic, 'a'), true);
      assert.equal(await presence.leave(topic, 'a'), false);
      assert.deepEqual(await presence.members(topic), []);
      assert.equal(await presence.enter(topic, 'a'), true);
      await presence.close();
    });

    test('lists members in the order of their coming', async () => {
      const presence = await newPresence();
      const topic = newTopic();
      for (const member of ['c', 'a', 'd', 'b', 'a']) await presence.enter(topic, member);
      assert.deepEqual(await presence.members(topic), ['c', 'a', 'd', 'b']);
      await presence.leave(topic, 'c');
      await presence.leave(topic, 'a');
      await presence.enter(topic, 'c');
      assert.deepEqual(await presence.members(topic), ['a', 'd', 'b', 'c']);
      await presence.close();
    });

    test('takes calls in their order, also without waiting', async () => {
      const presence = await newPresence();
      const topic = newTopic();
      const answers = await Promise.all([
        presence.enter(topic, 'a'),
        presence.enter(topic, 'a'),
        presence.enter(topic, 'b'),
        presence.leave(topic, 'a'),
        presence.leave(topic, 'a'),
        presence.enter(topic, 'a'),
        presence.leave(topic, 'b'),
      ]);
      assert.deepEqual(answers, [true, false, true, false, true, true, true]);
      assert.deepEqual(await presence.members(topic), ['a']);
      await presence.close();
    });

    test('keeps odd names apart', async () => {
      const presence = await newPresence();
      for (const topic of oddNames) {
        assert.equal(await presence.enter(topic, `of ${topic}`), true, topic);
      }
      const topic = newTopic();
      for (const member of oddNames) {
        assert.equal(await presence.enter(topic, member), true, member);
      }
      for (const odd of oddNames) assert.deepEqual(await presence.members(odd), [`of ${odd}`]);
      assert.deepEqual(await presence.members(topic), oddNames);
      for (const member of oddNames) {
        assert.equal(await presence.leave(topic, member), true, member);
      }
      await presence.close();
    });

    test('takes everything back when it closes, and ends', async () => {
      const presence = await newPresence();
      const topic = newTopic();
      await presence.enter(topic, 'a');
      await presence.enter(topic, 'a');
      await presence.close();
      await presence.close();
      const away = { code: 'ENGINE_AWAY', message: /closed/ };
      await assert.rejects(presence.enter(topic, 'a'), away);
      await assert.rejects(presence.leave(topic, 'a'), away);
      await assert.rejects(presence.members(topic), away);
      const other = await newPresence();
      assert.deepEqual(await other.members(topic), []);
      await other.close();
    });

    test('refuses misuse', async () => {
      const presence = await newPresence();
      for (const topic of ['', '\ud800', 1, null, undefined, {}] as string[]) {
        await assert.rejects(presence.enter(topic, 'a'), { code: 'INVALID_TOPIC' });
        await assert.rejects(presence.leave(topic, 'a'), { code: 'INVALID_TOPIC' });
        await assert.rejects(presence.members(topic), { code: 'INVALID_TOPIC' });
      }
      for (const member of ['', '\udc00', 1, null, undefined, {}] as string[]) {
        await assert.rejects(presence.enter('misuse', member), { code: 'INVALID_OPTION' });
        await assert.rejects(presence.leave('misuse', member), { code: 'INVALID_OPTION' });
      }
      assert.deepEqual(await presence.members('misuse'), []);
      await presence.close();
    });

    test('agrees with counts by hand', { timeout: 60_000 }, async () => {
      const calls = fc.array(
        fc.record({
          node: fc.constantFrom(0, 1, 2),
          enters: fc.boolean(),
          member: fc.constantFrom('a', 'b', 'c'),
        }),
        { maxLength: 40 },
      );
      const property = fc.asyncProperty(calls, async (sequence) => {
        const nodes = await Promise.all(Array.from({ length: isShared ? 3 : 1 }, newPresence));
        const topic = newTopic();
        const present: string[] = [];
        for (const { node, enters, member } of sequence) {
          const n = node % nodes.length;
          const presence = nodes[n];
          assert.ok(presence !== undefined);
          const entry = `${n} ${member}`;
          const isHere = (): boolean => present.some((other) => other.endsWith(` ${member}`));
          if (enters) {
            assert.equal(await presence.enter(topic, member), !isHere());
            present.push(entry);
          } else {
            const at = present.indexOf(entry);
            if (at >= 0) present.splice(at, 1);
            assert.equal(await presence.leave(topic, member), at >= 0 && !isHere());
          }
        }
        const expected = new Set(present.map((entry) => entry.slice(2)));
        for (const presence of nodes) {
          assert.deepEqual([...(await presence.members(topic))].sort(), [...expected].sort());
        }
        await Promise.all(nodes.map((presence) => presence.close()));
      });
      await fc.assert(property, { numRuns: 20 });
    });

    if (isShared) {
      sharedContract();
      awayContract();
    }

    function sharedContract(): void {
      test('counts over all nodes', async () => {
        const [a, b] = [await newPresence(), await newPresence()];
        const topic = newTopic();
        assert.equal(await a.enter(topic, 'x'), true);
        assert.equal(await b.enter(topic, 'y'), true);
        assert.equal(await b.enter(topic, 'x'), false);
        assert.equal(await b.enter(topic, 'x'), false);
        assert.deepEqual(await a.members(topic), ['x', 'y']);
        assert.deepEqual(await b.members(topic), ['x', 'y']);
        assert.equal(await a.leave(topic, 'y'), false);
        assert.equal(await a.leave(topic, 'x'), false);
        assert.equal(await a.leave(topic, 'x'), false);
        assert.deepEqual(await a.members(topic), ['x', 'y']);
        assert.equal(await b.leave(topic, 'x'), false);
        assert.equal(await b.leave(topic, 'x'), true);
        assert.deepEqual(await a.members(topic), ['y']);
        await Promise.all([a.close(), b.close()]);
      });

      test('tells one of many nodes that a member is new, and one that it is gone', async () => {
        const nodes = await Promise.all(Array.from({ length: 4 }, newPresence));
        for (let round = 0; round < 10; round++) {
          const topic = newTopic();
          const came = await Promise.all(nodes.map((presence) => presence.enter(topic, 'x')));
          assert.equal(came.filter((isNew) => isNew).length, 1);
          const left = await Promise.all(nodes.map((presence) => presence.leave(topic, 'x')));
          assert.equal(left.filter((isGone) => isGone).length, 1);
        }
        await Promise.all(nodes.map((presence) => presence.close()));
      });

      test('takes back only its own when it closes', async () => {
        const gone: unknown[] = [];
        const a = (await engine.node({ onGone: (...args) => gone.push(args) })).presence;
        const b = await newPresence();
        const topic = newTopic();
        await a.enter(topic, 'both');
        for (const member of ['both', 'b']) await b.enter(topic, member);
        await b.close();
        assert.deepEqual(await a.members(topic), ['both']);
        assert.equal(await a.leave(topic, 'both'), true);
        await a.close();
        assert.deepEqual(gone, []);
      });

      test('expires the members of a node that is gone without a word', {
        timeout: 2 * DEADLINE_MS,
      }, async () => {
        const told: string[] = [];
        const onGone = (topic: string, members: readonly string[]): void => {
          for (const member of members) told.push(`${topic}: ${member}`);
        };
        const crashing = await engine.node({ ttlMs: SHORT_TTL_MS, onGone });
        const living = [await engine.node({ onGone }), await engine.node({ onGone })];
        const [topic, elsewhere] = [newTopic(), newTopic()];
        for (const member of ['x', 'both', 'y']) await crashing.presence.enter(topic, member);
        await crashing.presence.enter(elsewhere, 'z');
        for (const [i, { presence }] of living.entries()) {
          for (const member of ['both', `living ${i}`]) await presence.enter(topic, member);
        }
        await crashing.crash();
        const expected = ['both', 'living 0', 'living 1'];
        for (const { presence } of living) {
          await eventually(async () => {
            const members = await presence.members(topic);
            for (const member of expected) assert.ok(members.includes(member), member);
            assert.equal(members.length, expected.length);
          });
          await eventually(async () => assert.deepEqual(await presence.members(elsewhere), []));
        }
        await eventually(() => assert.ok(told.length >= 2));
        assert.deepEqual([...new Set(told)].sort(), [`${topic}: x`, `${topic}: y`]);
        if (isToldOnce) assert.equal(told.length, 2);
        assert.equal(await living[0]?.presence.enter(topic, 'x'), true);
        for (const { presence } of living) await presence.close();
      });

      test('finds out about a node that is gone without being asked', {
        timeout: 2 * DEADLINE_MS,
      }, async () => {
        const crashing = await engine.node({ ttlMs: SHORT_TTL_MS });
        const topic = newTopic();
        const gone: unknown[] = [];
        const living = await engine.node({
          ttlMs: 3 * SHORT_TTL_MS,
          onGone: (...args) => gone.push(args),
        });
        await living.presence.enter(topic, 'stays');
        await crashing.presence.enter(topic, 'x');
        await crashing.crash();
        await eventually(() => assert.deepEqual(gone, [[topic, ['x']]]));
        await living.presence.close();
      });
    }

    function awayContract(): void {
      test('is true again once the engine is back', { timeout: 3 * DEADLINE_MS }, async () => {
        const { away, back } = engine;
        assert.ok(away !== undefined && back !== undefined);
        const [a, b] = [await newPresence(), await newPresence()];
        const [topic, other] = [newTopic(), newTopic()];
        const left = newTopic();
        for (const member of ['stays', 'twice', 'twice']) await a.enter(topic, member);
        for (const member of ['stays', 'leaves']) await a.enter(left, member);
        await b.enter(topic, 'of b');
        await b.enter(other, 'of b');
        await away.call(engine);
        const isAway = { code: 'ENGINE_AWAY' };
        // At once: some engines are known to be away only when no answer comes.
        await Promise.all([
          assert.rejects(a.enter(topic, 'comes'), isAway),
          assert.rejects(a.leave(left, 'leaves'), isAway),
          assert.rejects(b.leave(other, 'of b'), isAway),
          assert.rejects(a.members(topic), isAway),
        ]);
        // Known here: the engine is not asked.
        assert.equal(await a.leave(topic, 'twice'), false);
        await back.call(engine);
        for (const presence of [a, b]) {
          await eventually(async () => {
            const members = [...(await presence.members(topic))].sort();
            assert.deepEqual(members, ['comes', 'of b', 'stays', 'twice']);
            assert.deepEqual(await presence.members(left), ['stays']);
            assert.deepEqual(await presence.members(other), []);
          });
        }
        assert.equal(await b.enter(topic, 'comes'), false);
        assert.equal(await a.leave(topic, 'comes'), false);
        assert.equal(await b.leave(topic, 'comes'), true);
        assert.equal(await a.leave(topic, 'stays'), true);
        await Promise.all([a.close(), b.close()]);
      });
    }
  });
}

/** Tries until it does not throw. */
export async function eventually(check: () => unknown): Promise<void> {
  const until = performance.now() + DEADLINE_MS;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
    }
    await sleep(25);
  }
}
