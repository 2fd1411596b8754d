import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApertoError, CloseInfo } from '../../dist/index.js';
import { MessageReader } from '../../dist/node/message-reader.js';
import { apertoError } from '../../dist/protocol/errors.js';

function closedWith(code: number, error?: ApertoError): CloseInfo {
  return { code, reason: '', error };
}

function makeReader(capacity = 1_000): { reader: MessageReader; pulls: () => number } {
  let pulls = 0;
  const reader = new MessageReader(
    {
      pull() {
        pulls++;
      },
    },
    capacity,
  );
  return { reader, pulls: () => pulls };
}

describe('pull', () => {
  test('messages may lie here up to a size; then no more are wanted until there is room', async () => {
    const { reader, pulls } = makeReader();
    assert.equal(reader.push('x'.repeat(400)), true);
    assert.equal(reader.push('y'.repeat(400)), true);
    assert.equal(reader.push('z'.repeat(400)), false);
    assert.equal(pulls(), 0);
    assert.deepEqual(await reader.next(), { done: false, value: 'x'.repeat(400) });
    assert.equal(pulls(), 1);
    await reader.next();
    assert.equal(pulls(), 1, 'it has been asked for already');
    assert.equal(reader.push('a'.repeat(900)), false);
    await reader.next();
    assert.equal(pulls(), 2);
  });

  test('a message alone may be larger than that', async () => {
    const { reader, pulls } = makeReader(10);
    assert.equal(reader.push('larger than ten'), false);
    assert.equal((await reader.next()).value, 'larger than ten');
    assert.equal(pulls(), 1);
  });

  test('who waits is handed the message at once, in the order of waiting', async () => {
    const { reader, pulls } = makeReader(1);
    const both = Promise.all([reader.next(), reader.next()]);
    assert.equal(reader.push('one'), true);
    assert.equal(reader.push('two'), true);
    assert.deepEqual(
      (await both).map(({ value }) => value),
      ['one', 'two'],
    );
    assert.equal(pulls(), 0);
  });

  test('messages come in the order they came in', async () => {
    const { reader } = makeReader(10_000);
    for (const text of ['a', 'b', 'c']) reader.push(text);
    const read: unknown[] = [];
    for (let at = 0; at < 3; at++) read.push((await reader.next()).value);
    assert.deepEqual(read, ['a', 'b', 'c']);
  });

  test('empty messages are messages, and no end of them fits', async () => {
    const { reader } = makeReader();
    reader.push('');
    assert.deepEqual(await reader.next(), { done: false, value: '' });
    reader.push(new Uint8Array(0));
    assert.deepEqual(await reader.next(), { done: false, value: new Uint8Array(0) });
    let wanted = 0;
    while (reader.push('')) wanted++;
    assert.ok(wanted < 100, `${wanted}`);
  });
});

describe('the end', () => {
  for (const code of [1000, 1001, 1005]) {
    test(`is clean with ${code}, after what lies here`, async () => {
      const { reader } = makeReader();
      reader.push('last');
      reader.end(closedWith(code));
      assert.deepEqual(await reader.next(), { done: false, value: 'last' });
      assert.deepEqual(await reader.next(), { done: true, value: undefined });
      assert.deepEqual(await reader.next(), { done: true, value: undefined });
    });
  }

  test('reaches all who wait', async () => {
    const { reader } = makeReader();
    const both = Promise.all([reader.next(), reader.next()]);
    reader.end(closedWith(1000));
    assert.deepEqual(
      (await both).map(({ done }) => done),
      [true, true],
    );
  });

  for (const code of [1006, 1011, 4000]) {
    test(`throws with ${code}`, async () => {
      const { reader } = makeReader();
      const waiting = reader.next();
      reader.end(closedWith(code));
      for (const next of [waiting, reader.next()]) {
        await assert.rejects(next, { code: 'CLOSED_BY_PEER', message: new RegExp(String(code)) });
      }
    });
  }

  test('throws what broke the connection', async () => {
    const { reader } = makeReader();
    const error = apertoError('CONNECTION_LOST');
    reader.end(closedWith(1006, error));
    await assert.rejects(reader.next(), (thrown) => thrown === error);
  });
});

describe('who reads', () => {
  test('one at a time', async () => {
    const { reader } = makeReader();
    reader.take();
    assert.throws(() => reader.take(), { code: 'MESSAGES_TAKEN' });
    await reader.return();
    reader.take();
  });

  test('the iterator can itself be iterated', async () => {
    const { reader } = makeReader();
    reader.take();
    reader.push('hello');
    assert.equal((await reader.next()).value, 'hello');
    reader.push('world');
    for await (const message of reader) {
      assert.equal(message, 'world');
      break;
    }
    reader.take();
  });

  test('nobody any more after the end', async () => {
    const { reader } = makeReader();
    reader.take();
    reader.end(closedWith(1000));
    for await (const message of reader) assert.fail(String(message));
    reader.take();
    assert.deepEqual(await reader.next(), { done: true, value: undefined });
  });
});
