import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RoomMembers } from '../../apps/chat/dist/server/room-members.js';
import { memoryPresence, type Presence } from '../../dist/index.js';

/** A presence whose answers come when the test says so. */
function slowPresence(): { readonly presence: Presence; answer(members: string[]): void } {
  const waiting: ((members: string[]) => void)[] = [];
  return {
    presence: {
      ...memoryPresence(),
      members: () => new Promise((resolve) => waiting.push(resolve)),
    },
    answer: (members) => waiting.shift()?.(members),
  };
}

const nobody = () => false;

test('what the presence has and the notices have not told is put right', async () => {
  const { presence, answer } = slowPresence();
  const members = new RoomMembers(presence, 'room');
  members.add('Ana');
  members.add('Bo');
  const read = members.read(nobody);
  answer(['Bo', 'Clea']);
  assert.deepEqual(await read, { joined: ['Clea'], left: ['Ana'] });
  assert.deepEqual(members.all(), ['Bo', 'Clea']);
});

test('who comes or goes while it is read is known better than what is read', async () => {
  const { presence, answer } = slowPresence();
  const members = new RoomMembers(presence, 'room');
  members.add('Ana');
  const read = members.read(nobody);
  members.add('Bo');
  members.remove('Ana');
  answer(['Ana']);
  assert.deepEqual(await read, { joined: [], left: [] });
  assert.deepEqual(members.all(), ['Bo']);
});

test('who is here is here, whatever the presence says', async () => {
  const { presence, answer } = slowPresence();
  const members = new RoomMembers(presence, 'room');
  members.add('Ana');
  members.add('Bo');
  const read = members.read((name) => name === 'Ana');
  answer([]);
  assert.deepEqual(await read, { joined: [], left: ['Bo'] });
});
