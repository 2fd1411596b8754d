import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { Appended, History, HistoryRead, Position } from '../../dist/topics/history.js';

/** How many messages a history under test keeps of a topic. */
const MESSAGES = 60;

/** What histories are kept in, begun for one suite. */
export interface HistoryEngine extends AsyncDisposable {
  /** The history of another node, with a client of its own; where there is only one process, the same again. */
  node(): Promise<History>;
}

/** Topics that an engine could mistake for something else, or for each other. */
export const oddNames: readonly string[] = [
  ...['a', 'A', 'a.b', 'a:b', 'a/b', 'a b', ' a', 'a ', 'a\nb', 'a\0b', '\0', '\r\n', '\u007f'],
  ...['{', '}', '{}', '{a}', 'a{b}', '}a{', '{{a}}', '%', '%7B', '%7D', '%257B', '*', '>', 'a.*'],
  ...['a.>', '.', '..', 'a..b', '$', '$SYS', '$JS', '_', '_a', '=', '0', '-', '[a]', 'a?', '\\'],
  ...['ä', 'a\u0308', '\u{1F4AC}', '\ufeff', '\ufeffa', '\u2028', '__proto__', 'constructor'],
  'x'.repeat(120),
];

/** What every history must do, whatever it is kept in. */
export function historyContract(
  name: string,
  start: (options: { readonly messages: number }) => Promise<HistoryEngine>,
  skip: string | false = false,
): void {
  suite(`history: ${name}`, { skip, concurrency: 1 }, () => {
    let engine: HistoryEngine;
    let topics = 0;
    const newTopic = (): string => `topic ${++topics}`;
    before(async () => {
      engine = await start({ messages: MESSAGES });
    });
    after(async () => {
      await engine?.[Symbol.asyncDispose]();
    });

    test('has nothing of a new topic, and a position to read on from', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const topic = newTopic();
      const empty = await a.read(topic);
      assert.deepEqual(empty, { entries: [], position: empty.position, complete: true });
      assert.deepEqual(await b.read(topic), empty);
      assert.deepEqual(await b.read(topic, empty.position), empty);
      const { position, duplicate } = await b.append(topic, 'first');
      assert.equal(duplicate, false);
      assert.notDeepEqual(position, empty.position);
      const first = { entries: [{ position, data: 'first' }], position, complete: true };
      assert.deepEqual(await a.read(topic, empty.position), first);
      assert.deepEqual(await a.read(topic), first);
    });

    test('resumes behind each message', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const topic = newTopic();
      const beginning = (await a.read(topic)).position;
      const sent = numbers(10);
      const positions = [beginning, ...(await appendAll(a, topic, sent))];
      assert.equal(new Set(positions.map((position) => JSON.stringify(position))).size, 11);
      for (const [i, position] of positions.entries()) {
        // A client has it as JSON.
        const read = await b.read(topic, JSON.parse(JSON.stringify(position)));
        assert.equal(read.complete, true);
        assert.deepEqual(texts(read), sent.slice(i));
        assert.deepEqual(
          read.entries.map((entry) => entry.position),
          positions.slice(i + 1),
        );
        assert.deepEqual(read.position, positions.at(-1));
      }
    });

    test('says what it does not have any more', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const topic = newTopic();
      const beginning = (await a.read(topic)).position;
      const sent = numbers(2 * MESSAGES + 3);
      const positions = [beginning, ...(await appendAll(a, topic, sent))];
      const kept = sent.slice(-MESSAGES);
      const all = await b.read(topic);
      assert.equal(all.complete, false);
      assert.deepEqual(texts(all), kept);
      for (const [i, position] of positions.entries()) {
        const read = await b.read(topic, position);
        const removed = sent.length - MESSAGES;
        if (i === removed) {
          // Nothing that follows is missing, but an engine may not know that.
          assert.deepEqual(texts(read), kept);
          continue;
        }
        assert.equal(read.complete, i > removed, `after ${i}`);
        assert.deepEqual(texts(read), i > removed ? sent.slice(i) : kept);
        assert.deepEqual(read.position, positions.at(-1));
      }
    });

    test('gives the last ones within a limit', async () => {
      const history = await engine.node();
      const topic = newTopic();
      const positions = await appendAll(history, topic, numbers(5));
      for (const [limit, expected, complete] of [
        [0, [], false],
        [1, ['5'], false],
        [4, ['2', '3', '4', '5'], false],
        [5, numbers(5), true],
        [6, numbers(5), true],
        [Number.MAX_SAFE_INTEGER, numbers(5), true],
      ] as const) {
        const read = await history.read(topic, undefined, limit);
        assert.deepEqual(texts(read), expected);
        assert.equal(read.complete, complete, `limit ${limit}`);
        assert.deepEqual(read.position, positions.at(-1));
      }
      const read = await history.read(topic, positions[0], 1);
      assert.deepEqual([texts(read), read.complete], [['2', '3', '4', '5'], true]);
    });

    test('takes a message of an id once', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const topic = newTopic();
      const first = await a.append(topic, 'one', 'id 1');
      assert.equal(first.duplicate, false);
      assert.equal((await b.append(topic, 'two', 'id 2')).duplicate, false);
      const again = await b.append(topic, 'one again', 'id 1');
      assert.deepEqual(again, { position: first.position, duplicate: true });
      // Another topic knows nothing of it.
      assert.equal((await b.append(newTopic(), 'one', 'id 1')).duplicate, false);
      for (const id of oddNames) {
        assert.equal((await a.append(topic, id, id)).duplicate, false, id);
        assert.equal((await b.append(topic, id, id)).duplicate, true, id);
      }
      const read = await a.read(topic, first.position);
      assert.deepEqual(texts(read), ['two', ...oddNames]);
      assert.equal(read.complete, true);
    });

    test('takes one of many that try the same id at once', async () => {
      const nodes = await Promise.all([engine.node(), engine.node(), engine.node()]);
      const topic = newTopic();
      const tries = await Promise.all(
        numbers(12).map((text, i) => nodeOf(nodes, i).append(topic, text, 'the id')),
      );
      assert.equal(tries.filter(({ duplicate }) => !duplicate).length, 1);
      for (const { position } of tries) assert.deepEqual(position, tries[0]?.position);
      assert.equal((await nodeOf(nodes, 0).read(topic)).entries.length, 1);
    });

    test('has one order for all nodes while they append', { timeout: 60_000 }, async () => {
      const nodes = await Promise.all([engine.node(), engine.node(), engine.node()]);
      const topic = newTopic();
      const beginning = (await nodeOf(nodes, 0).read(topic)).position;
      const each = Math.floor(MESSAGES / nodes.length);
      const appending = nodes.map(async (history, n) => {
        const own: Appended[] = [];
        for (let i = 0; i < each; i++) own.push(await history.append(topic, `${n} ${i}`));
        return own;
      });
      const following = nodes.map(async (history) => {
        const got: { text: string; position: Position }[] = [];
        let position = beginning;
        while (got.length < each * nodes.length) {
          const read = await history.read(topic, position);
          assert.equal(read.complete, true);
          assert.deepEqual(read.position, read.entries.at(-1)?.position ?? position);
          for (const entry of read.entries) {
            got.push({ text: String(entry.data), position: entry.position });
          }
          position = read.position;
        }
        return got;
      });
      const [appended, followed] = [await Promise.all(appending), await Promise.all(following)];
      const [order = []] = followed;
      for (const other of followed) assert.deepEqual(other, order);
      for (const [n, own] of appended.entries()) {
        const seen = order.filter(({ text }) => text.startsWith(`${n} `));
        assert.deepEqual(
          seen.map(({ text }) => text),
          own.map((_, i) => `${n} ${i}`),
        );
        assert.deepEqual(
          seen.map(({ position }) => position),
          own.map(({ position }) => position),
        );
      }
    });

    test('gives text and bytes back as they went in', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const topic = newTopic();
      const all = Uint8Array.from({ length: 256 }, (_, i) => i);
      const messages = [
        ...[
          '',
          'text',
          '\0',
          '\ufefftext',
          'ä\u{1F4AC}\u{10FFFF}',
          '{"a":[1]}',
          'x'.repeat(50_000),
        ],
        ...[new Uint8Array(0), all, Buffer.from('text'), all.subarray(100, 110)],
        ...[Uint8Array.of(0), Uint8Array.of(0xff, 0xfe), new Uint8Array(50_000).fill(0x80)],
      ];
      for (const message of messages) await a.append(topic, message);
      const { entries } = await b.read(topic);
      assert.equal(entries.length, messages.length);
      for (const [i, { data }] of entries.entries()) {
        const message = messages[i] ?? '';
        assert.equal(typeof data, typeof message);
        assert.ok(!Buffer.isBuffer(data));
        assert.ok(Buffer.from(data).equals(Buffer.from(message)), `message ${i}`);
      }
    });

    test('keeps bytes as they were, whatever their owner does with them', async () => {
      const history = await engine.node();
      const topic = newTopic();
      const bytes = Uint8Array.of(1, 2, 3);
      const appending = history.append(topic, bytes);
      await appending;
      bytes.fill(9);
      const { entries } = await history.read(topic);
      assert.deepEqual([...Buffer.from(entries[0]?.data ?? '')], [1, 2, 3]);
    });

    test('keeps odd names apart', async () => {
      const [a, b] = [await engine.node(), await engine.node()];
      const positions = new Map<string, Position>();
      for (const topic of oddNames) {
        const { position, duplicate } = await a.append(topic, `of ${topic}`, 'an id');
        assert.equal(duplicate, false, topic);
        positions.set(topic, position);
      }
      for (const topic of oddNames) {
        const read = await b.read(topic);
        assert.deepEqual([texts(read), read.complete], [[`of ${topic}`], true], topic);
        const rest = await b.read(topic, positions.get(topic));
        assert.deepEqual([texts(rest), rest.complete], [[], true], topic);
      }
    });

    test('believes no position that it did not give', async () => {
      const history = await engine.node();
      const topic = newTopic();
      const beginning = (await history.read(topic)).position;
      const [first] = await appendAll(history, topic, numbers(3));
      assert.ok(first !== undefined);
      const other = await appendAll(history, newTopic(), numbers(3));
      const { epoch, offset } = first;
      const offsets: readonly unknown[] = [
        ...['', '-1', '+1', '1e3', '0x1', '00', '01', '1.0', ' 1', '1 ', '0-0', '1-1', '-', '+'],
        ...['99', '99999999999999999999', '9'.repeat(10_000), '*', '$', '>', '(1-0', '[1', 'a\0b'],
        ...['18446744073709551615-18446744073709551615', '18446744073709551616-0', 'NaN'],
        ...['Infinity', '\ud800', `${offset}0`, `0${offset}`, `${offset} `, offset.toUpperCase()],
        ...[0, 1, -1, Number.NaN, null, undefined, true, {}, [offset], () => offset],
      ].filter((forged) => forged !== offset && forged !== beginning.offset);
      const epochs: readonly unknown[] = [
        ...['', '0', `${epoch}0`, epoch.slice(1), '\ud800', 'e'.repeat(10_000), '*', 'a\0b'],
        ...[0, null, undefined, {}, [epoch]],
      ];
      const forgeries: readonly unknown[] = [
        ...offsets.map((forged) => ({ epoch, offset: forged })),
        ...epochs.flatMap((forged) => [
          { epoch: forged, offset },
          { epoch: forged, offset: beginning.offset },
        ]),
        ...other,
        ...[null, 0, '', 'position', true, {}, [], [epoch, offset], () => first],
      ];
      for (const forged of forgeries) {
        const read = await history.read(topic, forged as Position);
        const what = JSON.stringify(forged)?.slice(0, 100);
        assert.equal(read.complete, false, what);
        assert.deepEqual(texts(read), ['1', '2', '3'], what);
        const rest = await history.read(topic, read.position);
        assert.deepEqual([texts(rest), rest.complete], [[], true], what);
      }
    });

    test('refuses misuse', async () => {
      const history = await engine.node();
      for (const topic of ['', '\ud800', 'a\udfff', 1, null, undefined, {}, ['a']] as string[]) {
        await assert.rejects(history.append(topic, 'x'), { code: 'INVALID_TOPIC' });
        await assert.rejects(history.read(topic), { code: 'INVALID_TOPIC' });
      }
      for (const data of [1, null, undefined, {}, ['a'], new ArrayBuffer(1)] as unknown[]) {
        await assert.rejects(history.append('misuse', data as string), { code: 'INVALID_DATA' });
      }
      for (const id of ['', '\ud800', 1, null, {}] as string[]) {
        await assert.rejects(history.append('misuse', 'x', id), { code: 'INVALID_OPTION' });
      }
      for (const limit of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', null] as number[]) {
        const reading = history.read('misuse', undefined, limit);
        await assert.rejects(reading, { code: 'INVALID_OPTION' });
      }
      assert.deepEqual((await history.read('misuse')).entries, []);
    });
  });
}

/** One after the other. */
export async function appendAll(
  history: History,
  topic: string,
  messages: readonly string[],
): Promise<Position[]> {
  const positions: Position[] = [];
  for (const message of messages) positions.push((await history.append(topic, message)).position);
  return positions;
}

/** '1', '2' and so on. */
export function numbers(count: number, from = 1): string[] {
  return Array.from({ length: count }, (_, i) => String(from + i));
}

export function texts(read: HistoryRead): string[] {
  return read.entries.map(({ data }) => String(data));
}

function nodeOf(nodes: readonly History[], i: number): History {
  const history = nodes[i % nodes.length];
  assert.ok(history !== undefined);
  return history;
}
