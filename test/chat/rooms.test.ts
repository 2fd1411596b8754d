import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ChatLimits, defaultChatLimits } from '../../apps/chat/dist/server/limits.js';
import { Room, type Said } from '../../apps/chat/dist/server/room.js';
import { Rooms } from '../../apps/chat/dist/server/rooms.js';

function said(id: string, text = 'x'): Said {
  return { from: 'Ana', text, at: 0, id };
}

function rooms(limits: Partial<ChatLimits>): Rooms {
  return new Rooms({ ...defaultChatLimits, ...limits });
}

function openRoom(all: Rooms, name: string): Room {
  const room = all.open(name);
  assert.ok(room !== undefined, `no room for ${name}`);
  return room;
}

test('a name is present from its first connection to its last', () => {
  const room = new Room('lobby', 10);
  assert.equal(room.enter('Ana'), true);
  assert.equal(room.enter('Bo'), true);
  assert.equal(room.enter('Ana'), false);
  assert.deepEqual(room.members(), ['Ana', 'Bo']);
  assert.equal(room.leave('Ana'), false);
  assert.equal(room.has('Ana'), true);
  assert.equal(room.leave('Ana'), true);
  assert.deepEqual(room.members(), ['Bo']);
});

test('a room remembers so many messages, the oldest go first, and history is the end of them', () => {
  const room = new Room('lobby', 3);
  for (const id of ['1', '2', '3', '4']) room.remember(said(id));
  assert.equal(room.find('1'), undefined);
  assert.equal(room.find('2')?.id, '2');
  assert.deepEqual(
    room.history(2).map(({ id }) => id),
    ['3', '4'],
  );
  assert.deepEqual(
    room.history(100).map(({ id }) => id),
    ['2', '3', '4'],
  );
});

test('what a room takes in memory is what its remembered messages take', () => {
  const full = new Room('a', 2);
  for (const id of ['1', '2', '3', '4']) full.remember(said(id, 'y'.repeat(Number(id) * 100)));
  const same = new Room('b', 2);
  for (const id of ['3', '4']) same.remember(said(id, 'y'.repeat(Number(id) * 100)));
  assert.equal(full.bytes, same.bytes);
  full.forget();
  assert.equal(full.bytes, 0);
});

test('to make place, the empty room that was used longest ago is forgotten', () => {
  const all = rooms({ rooms: 3 });
  const first = openRoom(all, 'first');
  all.remember(first, said('1'));
  all.remember(openRoom(all, 'second'), said('2'));
  openRoom(all, 'third').enter('Ana');
  all.remember(first, said('3'));
  openRoom(all, 'fourth');
  assert.equal(all.get('second'), undefined);
  assert.equal(all.get('first'), first);
  assert.equal(all.size, 3);
});

test('no room is made when there are too many and somebody is in each', () => {
  const all = rooms({ rooms: 2 });
  openRoom(all, 'a').enter('Ana');
  openRoom(all, 'b').enter('Bo');
  assert.equal(all.open('c'), undefined);
  assert.equal(all.open('a')?.name, 'a');
});

test('a room with nobody and nothing in it is not kept; one with history is', () => {
  const all = rooms({});
  const blank = openRoom(all, 'blank');
  const told = openRoom(all, 'told');
  all.remember(told, said('1'));
  all.release(blank);
  all.release(told);
  assert.equal(all.get('blank'), undefined);
  assert.equal(all.get('told'), told);
});

test('over the memory for messages, the rooms used longest ago lose theirs', () => {
  const probe = new Room('probe', 10);
  probe.remember(said('1', 'z'.repeat(1000)));
  const all = rooms({ memoryBytes: probe.bytes * 2 });
  const oldest = openRoom(all, 'oldest');
  oldest.enter('Ana');
  all.remember(oldest, said('1', 'z'.repeat(1000)));
  const empty = openRoom(all, 'empty');
  all.remember(empty, said('2', 'z'.repeat(1000)));
  const latest = openRoom(all, 'latest');
  all.remember(latest, said('3', 'z'.repeat(1000)));
  assert.deepEqual(oldest.history(10), []);
  assert.equal(all.get('oldest'), oldest);
  assert.equal(empty.history(10).length, 1);
  assert.equal(latest.history(10).length, 1);

  all.remember(latest, said('4', 'z'.repeat(1000)));
  assert.equal(all.get('empty'), undefined);
  assert.equal(latest.history(10).length, 2);
});
