import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import type { NatsConnection } from '@nats-io/transport-node';
import { type NatsHistoryOptions, natsHistory } from '../../dist/brokers/nats.js';
import type { History } from '../../dist/topics/history.js';
import { NatsEngine, skipWithoutNats, until } from './engines/nats-engine.ts';
import { appendAll, historyContract, numbers, texts } from './history-contract.ts';

type Request = NatsConnection['requestMany'];
type Options = Omit<NatsHistoryOptions, 'connection'>;

async function begin(context: TestContext, ...settings: string[]): Promise<NatsEngine> {
  const engine = await NatsEngine.start({ settings });
  context.after(() => engine[Symbol.asyncDispose]());
  return engine;
}

async function node(engine: NatsEngine, options: Options = {}): Promise<History> {
  return natsHistory({ connection: await engine.connect(), ...options });
}

/** Asks JetStream by itself. */
async function api(engine: NatsEngine, name: string, body?: object): Promise<unknown> {
  const connection = await engine.connect();
  const payload = body === undefined ? '' : JSON.stringify(body);
  return (await connection.request(`$JS.API.${name}`, payload)).json();
}

const away = { name: 'ApertoError', code: 'ENGINE_AWAY' };

historyContract(
  'JetStream',
  async ({ messages }) => {
    const engine = await NatsEngine.start();
    return {
      node: () => node(engine, { messages }),
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  },
  skipWithoutNats,
);

suite('history in JetStream', { skip: skipWithoutNats, timeout: 60_000 }, () => {
  test('keeps what it has while the server is away, and says so', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(engine), await node(engine)];
    const positions = await appendAll(a, 't', numbers(3));
    await engine.pause();
    const inFlight = [a.append('t', 'lost'), a.read('t'), b.read('t', positions[0])];
    const rejected = Promise.all(inFlight.map((promise) => assert.rejects(promise, away)));
    await engine.kill();
    await rejected;
    await assert.rejects(a.append('t', 'no'), away);
    await assert.rejects(b.read('t'), away);
    await engine.restart();
    await until('back', () => works(a.append('t', '4')));
    await until('back', () => works(b.read('t')));
    const read = await b.read('t', positions[0]);
    assert.deepEqual([texts(read), read.complete], [['2', '3', '4'], true]);
    assert.equal(read.position.epoch, positions[0]?.epoch);
  });

  test('finds out that its store is lost, though sequences come again', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(engine), await node(engine)];
    const beginning = (await b.read('empty')).position;
    const positions = await appendAll(a, 't', numbers(3));
    await engine.kill();
    await engine.deleteStore();
    await engine.restart();
    await until('back', () => works(a.read('other')));
    const again = await appendAll(a, 't', ['x', 'y', 'z']);
    assert.equal(again[0]?.offset.split('-')[0], positions[0]?.offset.split('-')[0]);
    await until('back', () => works(b.read('t')));
    for (const position of positions) {
      const read = await b.read('t', position);
      assert.deepEqual([texts(read), read.complete], [['x', 'y', 'z'], false]);
      assert.deepEqual(read.position, again[2]);
    }
    assert.equal((await b.read('empty', beginning)).complete, false);
    assert.equal((await b.read('t', again[0])).complete, true);
  });

  test('finds out that its stream was deleted under it', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(engine), await node(engine)];
    const before = await appendAll(a, 't', numbers(3));
    await api(engine, 'STREAM.DELETE.aperto-history');
    const after = await appendAll(a, 't', ['x', 'y']);
    assert.notEqual(after[0]?.epoch, before[0]?.epoch);
    const read = await b.read('t', before[0]);
    assert.deepEqual([texts(read), read.complete], [['x', 'y'], false]);
    const rest = await b.read('t', after[0]);
    assert.deepEqual([texts(rest), rest.complete], [['y'], true]);
    // The other node overtook this one, which cannot know: its position is good for nothing, but no lie.
    await api(engine, 'STREAM.DELETE.aperto-history');
    await appendAll(b, 't', numbers(5));
    const { position } = await a.append('t', '6');
    assert.equal((await b.read('t', position)).complete, false);
    assert.equal((await a.read('t', (await a.append('t', '7')).position)).complete, false);
    assert.equal((await a.read('t', (await a.append('t', '8')).position)).complete, true);
  });

  test('finds out that its store was rolled back', async (context) => {
    const engine = await begin(context);
    const history = await node(engine);
    const kept = await appendAll(history, 't', ['1', '2']);
    const empty = (await history.read('empty')).position;
    await engine.kill();
    await engine.backUp();
    await engine.restart();
    await until('back', () => works(history.read('t')));
    const lost = await appendAll(history, 't', ['3', '4', '5']);
    const later = (await history.read('empty')).position;
    await engine.kill();
    await engine.rollBack();
    await engine.restart();
    await until('back', () => works(history.read('t')));
    // Beyond its end.
    assert.equal((await history.read('t', lost[2])).complete, false);
    const others = await appendAll(history, 't', ['three', 'four', 'five', 'six']);
    await history.append('empty', 'first');
    assert.equal(others[0]?.epoch, lost[0]?.epoch);
    for (const position of lost) {
      const read = await history.read('t', position);
      assert.equal(read.complete, false);
      assert.deepEqual(texts(read), ['1', '2', 'three', 'four', 'five', 'six']);
    }
    const read = await history.read('t', kept[1]);
    assert.deepEqual([texts(read), read.complete], [['three', 'four', 'five', 'six'], true]);
    for (const position of [empty, later]) {
      assert.deepEqual(texts(await history.read('empty', position)), ['first']);
    }
  });

  test('says what has expired', async (context) => {
    const engine = await begin(context);
    const history = await node(engine, { maxAgeMs: 300 });
    const fresh = await history.read('t');
    assert.equal(fresh.complete, true);
    const first = await history.append('t', '1', 'id');
    await until('expired', async () => (await history.read('t')).entries.length === 0);
    for (const position of [fresh.position, first.position]) {
      assert.equal((await history.read('t', position)).complete, false);
    }
    const now = await history.read('t');
    assert.equal(now.complete, false);
    assert.deepEqual(await history.read('t', now.position), { ...now, complete: true });
    assert.equal((await history.append('t', '2', 'id')).duplicate, false);
    assert.equal((await history.read('t', now.position)).complete, true);
  });

  test('knows an id as long as it is told to', async (context) => {
    const engine = await begin(context);
    const history = await node(engine, { messages: 1, duplicateWindowMs: 400 });
    const first = await history.append('t', '1', 'id');
    await history.append('t', '2');
    // What is not kept any more cannot be read on from.
    const again = await history.append('t', '3', 'id');
    if (again.duplicate) {
      assert.equal(again.position.epoch, first.position.epoch);
      assert.equal((await history.read('t', again.position)).complete, false);
    }
    await until('forgotten', async () => !(await history.append('t', '4', 'id')).duplicate);
  });

  test('sets its stream anew, and remembers what it had not kept', async (context) => {
    const engine = await begin(context);
    const few = await node(engine, { messages: 2 });
    await appendAll(few, 't', numbers(4));
    assert.deepEqual(texts(await (await node(engine, { messages: 10 })).read('t')), ['3', '4']);
    const again = await (await node(engine, { messages: 10 })).read('t');
    assert.equal(again.complete, false);
    const many = await node(engine, { messages: 10, maxAgeMs: 3_600_000 });
    const read = await many.read('t');
    assert.deepEqual([texts(read), read.complete], [['3', '4'], false]);
    await appendAll(many, 't', numbers(6, 5));
    assert.deepEqual(texts(await many.read('t')), numbers(8, 3));
    const info = await api(engine, 'STREAM.INFO.aperto-history');
    assert.ok(typeof info === 'object' && info !== null && 'config' in info);
    const { max_msgs_per_subject, max_age, description } = info.config as Record<string, unknown>;
    assert.deepEqual(
      { max_msgs_per_subject, max_age, description },
      {
        max_msgs_per_subject: 10,
        max_age: 3_600_000_000_000,
        description: 'Aperto history: least 2, expires',
      },
    );
  });

  test('carries many large messages, and none that is too large', async (context) => {
    const engine = await begin(context);
    const history = await node(engine, { prefix: 'my.app' });
    const large = (i: number): Uint8Array => new Uint8Array(700_000).fill(i);
    for (let i = 0; i < 20; i++) await history.append('t', large(i));
    const { entries } = await history.read('t');
    assert.equal(entries.length, 20);
    for (const [i, { data }] of entries.entries()) assert.deepEqual(data, large(i));
    await assert.rejects(history.append('t', new Uint8Array(1024 * 1024)), {
      code: 'MESSAGE_TOO_BIG',
      message: /max_payload is 1048576/,
    });
    const info = await api(engine, 'STREAM.INFO.my=app-history');
    assert.ok(typeof info === 'object' && info !== null && 'state' in info);
  });

  test('leaves no consumer behind', async (context) => {
    const engine = await begin(context);
    const history = await node(engine);
    await appendAll(history, 't', numbers(3));
    for (let i = 0; i < 10; i++) await history.read('t');
    await until('deleted', async () => {
      const answer = await api(engine, 'CONSUMER.NAMES.aperto-history');
      assert.ok(typeof answer === 'object' && answer !== null && 'total' in answer);
      return answer.total === 0;
    });
  });

  test('has no hole in what it reads though the oldest go meanwhile', async (context) => {
    const engine = await begin(context);
    const messages = 600;
    const writer = await node(engine, { messages });
    const first = (await writer.append('t', '1')).position;
    await Promise.all(numbers(messages - 1, 2).map((text) => writer.append('t', text)));
    let last = messages;
    for (const position of [first, undefined, { ...first, epoch: 'lost' }]) {
      const connection = await engine.connect();
      const reader = natsHistory({ connection, messages });
      const { requestMany } = connection;
      let pulls = 0;
      // Between the first batch and the second.
      context.mock.method(connection, 'requestMany', async (...args: Parameters<Request>) => {
        pulls += 1;
        if (pulls === 2) {
          await Promise.all(numbers(500, last + 1).map((text) => writer.append('t', text)));
          last += 500;
        }
        return requestMany.apply(connection, args);
      });
      const read = await reader.read('t', position);
      assert.ok(pulls > 2);
      assert.equal(read.complete, false);
      const got = texts(read).map(Number);
      assert.equal(got.at(-1), last);
      for (const [i, number] of got.entries()) assert.equal(number, (got[0] ?? 0) + i);
    }
  });

  test('ends its read where all went meanwhile', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const history = natsHistory({ connection });
    const [, second] = await appendAll(history, 't', numbers(3));
    const { requestMany } = connection;
    context.mock.method(connection, 'requestMany', async (...args: Parameters<Request>) => {
      await api(engine, 'STREAM.PURGE.aperto-history');
      return requestMany.apply(connection, args);
    });
    const read = await history.read('t', second);
    assert.deepEqual([texts(read), read.complete], [[], false]);
  });

  test('has no hole in what it reads while the oldest go', async (context) => {
    const engine = await begin(context);
    const [a, b] = [await node(engine, { messages: 20 }), await node(engine, { messages: 20 })];
    let { position } = await b.read('t');
    let last = 0;
    let isDone = false;
    const writing = (async () => {
      for (let i = 0; i < 40; i++) {
        await Promise.all(numbers(15, 15 * i + 1).map((text) => a.append('t', text)));
      }
      isDone = true;
    })();
    let incomplete = 0;
    for (let wasDone = false; !wasDone; ) {
      wasDone = isDone;
      const read = await b.read('t', position);
      const got = texts(read).map(Number);
      if (!read.complete) incomplete += 1;
      else if (got.length > 0) assert.equal(got[0], last + 1);
      for (const [i, number] of got.entries()) assert.equal(number, (got[0] ?? 0) + i);
      last = got.at(-1) ?? last;
      position = read.position;
    }
    await writing;
    assert.equal(last, 600);
    assert.ok(incomplete < 600);
  });

  test('says what is wrong with its options or its server', async (context) => {
    const engine = await begin(context);
    const connection = await engine.connect();
    const wrong = { code: 'INVALID_OPTION' };
    for (const options of [
      ...[{ messages: 0 }, { messages: 1.5 }, { maxAgeMs: 0 }, { maxAgeMs: -1 }],
      ...[{ replicas: 0 }, { replicas: 6 }, { duplicateWindowMs: 0 }, { prefix: 'a b' }],
    ]) {
      assert.throws(() => natsHistory({ connection, ...options }), wrong, JSON.stringify(options));
    }
    assert.throws(() => natsHistory({ connection: {} as typeof connection }), wrong);
    // What only the server knows.
    for (const options of [{ maxAgeMs: 10 }, { replicas: 3 }]) {
      const history = natsHistory({ connection, prefix: 'other', ...options });
      await assert.rejects(history.append('t', 'x'), wrong, JSON.stringify(options));
      await assert.rejects(history.read('t'), wrong);
    }
    await api(engine, 'STREAM.CREATE.theirs', { name: 'theirs', subjects: ['taken.h.>'] });
    const taken = natsHistory({ connection, prefix: 'taken' });
    await assert.rejects(taken.read('t'), { ...wrong, message: /subjects overlap/ });

    const without = await NatsEngine.start({ jetStream: false });
    context.after(() => without[Symbol.asyncDispose]());
    const history = natsHistory({ connection: await without.connect() });
    const notEnabled = { ...wrong, message: /JetStream is not enabled/ };
    await assert.rejects(history.append('t', 'x'), notEnabled);
    await assert.rejects(history.read('t'), notEnabled);
  });
});

function works(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    (error) => {
      assert.equal(error.code, 'ENGINE_AWAY');
      return false;
    },
  );
}
