import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Position } from '../../dist/topics/history.js';
import { MemoryHistory, type MemoryHistoryOptions } from '../../dist/topics/memory-history.js';
import { appendAll, historyContract, numbers, texts } from '../brokers/history-contract.ts';
import { testPlatform } from '../protocol/test-platform.ts';

const newHistory = (options?: MemoryHistoryOptions): MemoryHistory =>
  new MemoryHistory(testPlatform, options);

historyContract('in memory', async (options) => {
  const history = newHistory(options);
  return { node: async () => history, [Symbol.asyncDispose]: async () => {} };
});

suite('the limits of a history in memory', () => {
  test('forgets the topic used longest ago, and says so by its epoch', async () => {
    const history = newHistory({ topics: 2 });
    const [a] = await appendAll(history, 'a', ['of a']);
    const [b] = await appendAll(history, 'b', ['of b']);
    await history.read('a', a);
    await history.append('c', 'of c');
    assert.deepEqual(texts(await history.read('a')), ['of a']);
    const forgotten = await history.read('b', b);
    assert.deepEqual([forgotten.entries, forgotten.complete], [[], false]);
    assert.notEqual(forgotten.position.epoch, b?.epoch);
    // Reading it has made it one that is used.
    assert.equal((await history.read('b', forgotten.position)).complete, true);
    assert.deepEqual(texts(await history.read('c')), []);
  });

  test('forgets ids with their messages', async () => {
    const history = newHistory({ messages: 2 });
    await history.append('t', '1', 'one');
    await history.append('t', '2', 'two');
    await history.append('t', '3');
    assert.equal((await history.append('t', 'again', 'two')).duplicate, true);
    assert.equal((await history.append('t', 'again', 'one')).duplicate, false);
    assert.deepEqual(texts(await history.read('t')), ['3', 'again']);
  });

  test('keeps within its bytes: other topics go first, then the oldest messages', async () => {
    const history = newHistory({ bytes: 10_000 });
    const kilobyte = 'x'.repeat(500);
    const [early] = await appendAll(history, 'early', [kilobyte]);
    const positions = await appendAll(history, 'late', Array(8).fill(kilobyte));
    assert.equal((await history.read('early', early)).complete, false);
    assert.equal((await history.read('late', positions[0])).complete, true);
    await appendAll(history, 'late', Array(8).fill(kilobyte));
    const kept = await history.read('late', positions[0]);
    assert.equal(kept.complete, false);
    assert.equal(kept.entries.length, 8);
  });

  test('has taken a message that it is too small for, and nothing of it is left', async () => {
    const history = newHistory({ bytes: 1000 });
    const { position } = await history.append('t', new Uint8Array(10_000), 'an id');
    const read = await history.read('t');
    assert.deepEqual(read, { entries: [], position, complete: false });
    assert.equal((await history.read('t', position)).complete, true);
    assert.equal((await history.append('t', 'small', 'an id')).duplicate, false);
    assert.deepEqual(texts(await history.read('t', position)), ['small']);
  });

  test('counts bytes, ids and names of topics, and gives all of them back', async () => {
    const history = newHistory({ bytes: 20_000, messages: 1 });
    // Were something of each message or topic counted for good, little would be kept at the end.
    for (const i of numbers(500))
      await history.append(`topic ${i}`, new Uint8Array(300), `id ${i}`);
    for (const i of numbers(500)) await history.append('one', 'x'.repeat(100), `id ${i}`);
    for (const i of numbers(60)) await history.append(`t${i}`, 'x');
    for (const i of numbers(60)) {
      assert.equal((await history.read(`t${i}`)).entries.length, 1);
    }
  });

  test('refuses limits that are none', () => {
    for (const value of [0, -1, 0.5, Number.NaN, '5', null] as number[]) {
      for (const name of ['messages', 'topics', 'bytes']) {
        assert.throws(() => newHistory({ [name]: value }), { code: 'INVALID_OPTION' }, name);
      }
    }
  });
});

interface Listed {
  readonly text: string;
  readonly id: string | undefined;
  readonly position: Position;
}

test('answers as a plain list would', async () => {
  const action = fc.oneof(
    fc.record({ text: fc.string({ maxLength: 5 }), id: fc.constantFrom(undefined, 'a', 'b', 'c') }),
    fc.record({ from: fc.nat(30) }),
    fc.record({ limit: fc.nat(8) }),
  );
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 6 }),
    fc.array(action, { maxLength: 60 }),
    async (messages, actions) => {
      const history = newHistory({ messages });
      const beginning = (await history.read('t')).position;
      const listed: Listed[] = [];
      for (const action of actions) {
        const kept = listed.slice(-messages);
        if ('text' in action) {
          const { text, id } = action;
          const earlier = id === undefined ? undefined : kept.find((entry) => entry.id === id);
          const { position, duplicate } = await history.append('t', text, id);
          assert.equal(duplicate, earlier !== undefined);
          if (earlier === undefined) listed.push({ text, id, position });
          else assert.deepEqual(position, earlier.position);
          continue;
        }
        const from = 'from' in action ? action.from % (listed.length + 1) : undefined;
        const after = from === undefined ? undefined : (listed[from - 1]?.position ?? beginning);
        const limit = 'limit' in action ? action.limit : undefined;
        const read = await history.read('t', after, limit);
        const start = from ?? listed.length - Math.min(kept.length, limit ?? kept.length);
        const isComplete =
          start >= listed.length - kept.length && (from !== undefined || start === 0);
        const expected = start >= listed.length - kept.length ? listed.slice(start) : kept;
        assert.equal(read.complete, isComplete);
        assert.deepEqual(
          read.entries,
          expected.map(({ position, text }) => ({ position, data: text })),
        );
        assert.deepEqual(read.position, listed.at(-1)?.position ?? beginning);
      }
    },
  );
  await fc.assert(property, { numRuns: 300 });
});
