import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineAwayError } from '../../apps/chat/dist/server/engine.js';
import type { Room, RoomGround } from '../../apps/chat/dist/server/room.js';
import { Rooms } from '../../apps/chat/dist/server/rooms.js';
import type { Said } from '../../apps/chat/dist/server/said.js';
import { memoryHistory, memoryPresence } from '../../dist/index.js';

function said(id: string, text = 'x'): Said {
  return { from: 'Ana', text, at: 0, id };
}

/** Rooms whose server knows no topics. */
function rooms(
  limits: { readonly rooms?: number; readonly memoryBytes?: number },
  ground: Partial<RoomGround> = {},
): Rooms {
  return new Rooms(
    {
      id: 'this',
      server: () => ({
        publish: () => true,
        subscribe: () => () => {},
        subscribed: async () => true,
      }),
      history: memoryHistory(),
      presence: memoryPresence(),
      historyMessages: 100,
      failed: (error) => assert.fail(String(error)),
      ...ground,
    },
    { rooms: 1_000, memoryBytes: 1_000_000, ...limits },
  );
}

async function hold(all: Rooms, name: string): Promise<Room> {
  const room = await all.hold(name);
  assert.ok(room !== undefined, `no room for ${name}`);
  return room;
}

test('a room is there while somebody holds it, and the same for all', async (t) => {
  const all = rooms({});
  t.after(() => all.close());
  const [one, two] = await Promise.all([hold(all, 'lobby'), hold(all, 'lobby')]);
  assert.equal(one, two);
  all.release(one);
  assert.equal(all.get('lobby'), one);
  all.release(two);
  assert.equal(all.get('lobby'), undefined);
  assert.equal(all.size, 0);
});

test('there are so many rooms and no more, until one is given back', async (t) => {
  const all = rooms({ rooms: 2 });
  t.after(() => all.close());
  const first = await hold(all, 'a');
  await hold(all, 'b');
  assert.equal(await all.hold('c'), undefined);
  assert.equal((await hold(all, 'a')).name, 'a');
  all.release(first);
  all.release(first);
  await hold(all, 'c');
});

test('a room that could not be opened is refused to all who wait for it, and tried anew for the next', async (t) => {
  let isAway = true;
  const history = memoryHistory();
  const all = rooms(
    {},
    {
      history: {
        append: (...given) => history.append(...given),
        read: async (...given) => {
          if (isAway) throw new EngineAwayError('away');
          return history.read(...given);
        },
      },
    },
  );
  t.after(() => all.close());
  const answers = await Promise.allSettled([all.hold('a'), all.hold('a')]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  assert.equal(all.size, 0);
  isAway = false;
  await hold(all, 'a');
});

test('over the memory for messages, the rooms used longest ago give up what they have at hand', async (t) => {
  const history = memoryHistory();
  const all = rooms({ memoryBytes: 2 * 2_300 }, { history });
  t.after(() => all.close());
  const text = 'z'.repeat(1_000);
  const [one, two, three] = await Promise.all(
    ['one', 'two', 'three'].map((name) => hold(all, name)),
  );
  for (const room of [one, two, three]) await room?.say(said('1', text));
  assert.deepEqual(
    [one, two, three].map((room) => room?.history().length),
    [0, 1, 1],
  );
  await two?.say(said('2', 'short'));
  await one?.say(said('2', text));
  assert.deepEqual(
    [one, two, three].map((room) => room?.history().length),
    [1, 2, 0],
  );
  // It is not lost.
  assert.equal((await one?.say(said('1', 'other')))?.text, text);
});
