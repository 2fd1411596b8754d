import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomLog } from '../../apps/chat/dist/server/room-log.js';
import { costOf, encodeSaid, type Said } from '../../apps/chat/dist/server/said.js';
import { type History, memoryHistory } from '../../dist/index.js';

function said(id: string, text = 'x'): Said {
  return { from: 'Ana', text, at: 0, id };
}

async function append(history: History, ...ids: readonly string[]): Promise<void> {
  for (const id of ids) await history.append('room', encodeSaid(said(id)), id);
}

function ids(messages: readonly Said[]): string[] {
  return messages.map(({ id }) => id);
}

test('it reads the last messages first, and then what is new', async () => {
  const history = memoryHistory();
  await append(history, '1', '2', '3');
  const log = new RoomLog(history, 'room', 2);
  const first = await log.read();
  assert.deepEqual([ids(first.said), first.isMissing], [['2', '3'], false]);
  await append(history, '4', '5', '6');
  const second = await log.read();
  assert.deepEqual([ids(second.said), second.isMissing], [['4', '5', '6'], false]);
  assert.deepEqual(ids(log.all()), ['5', '6']);
  assert.deepEqual(await log.read(), { said: [], isMissing: false });
});

test('where more was said than is kept, it says so, and what nobody has seen', async () => {
  const history = memoryHistory({ messages: 3 });
  await append(history, '1', '2');
  const log = new RoomLog(history, 'room', 100);
  await log.read();
  await append(history, '3', '4', '5', '6');
  const news = await log.read();
  assert.deepEqual([ids(news.said), news.isMissing], [['4', '5', '6'], true]);
  assert.deepEqual(ids(log.all()), ['4', '5', '6']);
});

test('where the history is another one, what was seen of it is not news', async () => {
  const history = memoryHistory();
  await append(history, '1', '2', '3');
  let current = history;
  const log = new RoomLog(
    {
      append: (...given) => current.append(...given),
      read: (...given) => current.read(...given),
    },
    'room',
    100,
  );
  await log.read();
  // Rolled back to the second message; then somebody spoke.
  current = memoryHistory();
  await append(current, '1', '2', '4');
  const news = await log.read();
  assert.deepEqual([ids(news.said), news.isMissing], [['4'], true]);
  assert.deepEqual(ids(log.all()), ['1', '2', '4']);
});

test('of a history that is another one, what is older than what it keeps is not news', async () => {
  const histories = [memoryHistory(), memoryHistory()] as const;
  let current = histories[0];
  for (const history of histories) await append(history, '1', '2', '3', '4', '5');
  const read: History['read'] = (...given) => current.read(...given);
  const log = new RoomLog({ append: histories[0].append, read }, 'room', 2);
  await log.read();
  current = histories[1];
  await append(current, '6');
  const news = await log.read();
  assert.deepEqual([ids(news.said), news.isMissing], [['6'], true]);
  assert.deepEqual(ids(log.all()), ['5', '6']);
});

test('what it takes in memory is what its messages take, and nothing once it has forgotten them', async () => {
  const history = memoryHistory();
  const log = new RoomLog(history, 'room', 2);
  await append(history, '1', '2', '3');
  await log.read();
  assert.equal(log.bytes, costOf(said('2')) + costOf(said('3')));
  log.forget();
  assert.deepEqual([log.bytes, log.all()], [0, []]);
  await append(history, '4');
  assert.deepEqual(ids((await log.read()).said), ['4']);
  assert.equal(log.bytes, costOf(said('4')));
});

test('what others have put into the history is let be', async () => {
  const history = memoryHistory();
  for (const data of [
    '',
    '{',
    'null',
    '[]',
    '{"from":"A","text":"x","at":"1","id":"1"}',
    new Uint8Array(3),
  ]) {
    await history.append('room', data);
  }
  await append(history, '1');
  assert.deepEqual(ids((await new RoomLog(history, 'room', 100).read()).said), ['1']);
});

test('a message that is older than what it keeps is found in the history', async () => {
  const history = memoryHistory();
  await append(history, '1', '2', '3');
  const log = new RoomLog(history, 'room', 1);
  await log.read();
  assert.equal(log.find('1'), undefined);
  assert.deepEqual(await log.findEarlier('1'), said('1'));
  assert.equal(await log.findEarlier('0'), undefined);
});
