import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import type { ChatServer } from '../../apps/chat/dist/server/chat-server.js';
import { startTestChat, type Visitor, visit, visitRoom } from './chat-visitor.ts';
import { eventually } from './page-client.ts';

const at = 1_767_225_600_000;

/** Says a text; the sender's own `said`. */
function say(
  visitor: Visitor,
  room: string,
  text: string,
  id: string,
): Promise<Record<string, unknown>> {
  return visitor.nextAfter({ type: 'say', room, text, id });
}

test('join is answered with joined: who is there and what was said', async (t) => {
  const chat = await startTestChat(t, { now: () => at });
  const ana = await visit(t, chat, { protocols: ['superchat'] });
  assert.deepEqual(await ana.join('lobby', 'Ana'), {
    type: 'joined',
    room: 'lobby',
    name: 'Ana',
    members: ['Ana'],
    history: [],
  });
  await say(ana, 'lobby', 'hello', 'a1');
  const bo = await visit(t, chat, { protocols: ['superchat'] });
  assert.deepEqual(await bo.join('lobby', '  Bo'), {
    type: 'joined',
    room: 'lobby',
    name: 'Bo',
    members: ['Ana', 'Bo'],
    history: [{ from: 'Ana', text: 'hello', at, id: 'a1' }],
  });
});

test('say goes to everyone in the room as said, the sender too, in both subprotocols', async (t) => {
  const chat = await startTestChat(t, { now: () => at });
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  const line = await visit(t, chat);
  await line.next();
  await ana.take(2);
  await bo.next();
  const said = { type: 'said', room: 'lobby', from: 'Ana', text: 'one\n\ntwo', at, id: 'a1' };
  assert.deepEqual(await say(ana, 'lobby', 'one\r\n\r\ntwo', 'a1'), said);
  assert.deepEqual(await bo.nextObject(), said);
  assert.equal(await line.next(), 'Ana: one two');

  line.send('from a terminal');
  const heard = await bo.nextObject();
  assert.equal(heard['from'], 'guest-1');
  assert.equal(heard['text'], 'from a terminal');
  assert.match(String(heard['id']), /^\S{1,64}$/);
});

test('who is not in the room hears nothing of it', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const bo = await visitRoom(t, chat, 'kitchen', 'Bo');
  await say(ana, 'lobby', 'not for Bo', '1');
  assert.equal((await say(bo, 'kitchen', 'for Bo', '2'))['id'], '2');
});

test('joining and leaving are told as presence, in both subprotocols', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const line = await visit(t, chat);
  await line.next();
  assert.deepEqual(await ana.nextObject(), { type: 'presence', room: 'lobby', joined: 'guest-1' });
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  assert.deepEqual(await ana.nextObject(), { type: 'presence', room: 'lobby', joined: 'Bo' });
  assert.equal(await line.next(), '* Bo joined');
  await bo.leave();
  assert.deepEqual(await ana.nextObject(), { type: 'presence', room: 'lobby', left: 'Bo' });
  assert.equal(await line.next(), '* Bo left');
  await line.leave();
  assert.deepEqual(await ana.nextObject(), { type: 'presence', room: 'lobby', left: 'guest-1' });
});

test('leave is answered with the presence of leaving, and ends what is heard', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  await ana.next();
  const left = { type: 'presence', room: 'lobby', left: 'Bo' };
  assert.deepEqual(await bo.nextAfter({ type: 'leave', room: 'lobby' }), left);
  assert.deepEqual(await ana.nextObject(), left);
  await say(ana, 'lobby', 'Bo is gone', '1');
  assert.equal((await bo.nextAfter({ type: 'leave', room: 'lobby' }))['code'], 'not-joined');
  assert.equal((await say(bo, 'lobby', 'x', '2'))['code'], 'not-joined');
});

test('a change of room: out of one, into the other', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const bo = await visitRoom(t, chat, 'kitchen', 'Bo');
  assert.deepEqual((await ana.join('kitchen', 'Ana'))['members'], ['Bo', 'Ana']);
  await ana.nextAfter({ type: 'leave', room: 'lobby' });
  assert.equal((await bo.nextObject())['joined'], 'Ana');
  assert.equal((await say(ana, 'kitchen', 'here now', '1'))['room'], 'kitchen');
  assert.equal((await bo.nextObject())['text'], 'here now');
});

test('to join again changes the name', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const line = await visit(t, chat);
  await line.next();
  await ana.next();
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  await ana.next();
  await line.next();
  const joined = await ana.join('lobby', 'Anna');
  assert.equal(joined['name'], 'Anna');
  assert.deepEqual(joined['members'], ['guest-1', 'Bo', 'Anna']);
  assert.deepEqual(await bo.nextObject(), { type: 'presence', room: 'lobby', left: 'Ana' });
  assert.deepEqual(await bo.nextObject(), { type: 'presence', room: 'lobby', joined: 'Anna' });
  assert.equal(await line.next(), '* Ana is now Anna');
  line.send('/nick Bo 2');
  assert.deepEqual(await bo.nextObject(), { type: 'presence', room: 'lobby', left: 'guest-1' });
  assert.deepEqual(await bo.nextObject(), { type: 'presence', room: 'lobby', joined: 'Bo 2' });
  await ana.take(2);
  assert.equal((await say(ana, 'lobby', 'x', '1'))['from'], 'Anna');
});

test('a name is told once, however many connections have it: a half-open one is not seen', async (t) => {
  const chat = await startTestChat(t);
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  const old = await visitRoom(t, chat, 'lobby', 'Ana');
  assert.equal((await bo.nextObject())['joined'], 'Ana');
  const again = await visit(t, chat, { protocols: ['superchat'] });
  assert.deepEqual((await again.join('lobby', 'Ana'))['members'], ['Bo', 'Ana']);
  old.peer.terminate();
  await old.peer.closed;
  await say(again, 'lobby', 'still here', '1');
  assert.equal((await bo.nextObject())['text'], 'still here');
  await again.leave();
  assert.equal((await bo.nextObject())['left'], 'Ana');
});

test('a say with an id already seen is not said twice, and is acknowledged with the original', async (t) => {
  let now = at;
  const chat = await startTestChat(t, { now: () => now });
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  await bo.next();
  const said = await say(ana, 'lobby', 'once', 'a1');
  now += 1000;
  assert.deepEqual(await say(ana, 'lobby', 'once', 'a1'), said);
  await ana.leave();
  assert.deepEqual(await bo.nextObject(), said);
  assert.equal((await bo.nextObject())['left'], 'Ana');

  const again = await visitRoom(t, chat, 'lobby', 'Ana');
  assert.deepEqual(await say(again, 'lobby', 'changed meanwhile', 'a1'), said);
  await say(again, 'lobby', 'next', 'a2');
  assert.equal((await bo.nextObject())['joined'], 'Ana');
  assert.equal((await bo.nextObject())['id'], 'a2', 'a resend is heard by its sender only');
});

test('an id is of its room: the same in another room is another message', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  await ana.join('kitchen', 'Ana');
  assert.equal((await say(ana, 'lobby', 'one', '1'))['text'], 'one');
  assert.equal((await say(ana, 'kitchen', 'two', '1'))['text'], 'two');
});

test('ids are remembered while everybody is out, in a bounded number', async (t) => {
  const chat = await startTestChat(t, { limits: { rememberedMessages: 3, historyMessages: 2 } });
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  for (const id of ['1', '2', '3', '4']) await say(ana, 'lobby', `first ${id}`, id);
  await ana.leave();
  const again = await visit(t, chat, { protocols: ['superchat'] });
  const { history } = await again.join('lobby', 'Ana');
  assert.ok(Array.isArray(history) && history.length === 2);
  assert.equal((await say(again, 'lobby', 'second 2', '2'))['text'], 'first 2');
  assert.equal((await say(again, 'lobby', 'second 1', '1'))['text'], 'second 1');
});

test('the last 100 messages of a room are given to who joins', async (t) => {
  let now = at;
  const chat = await startTestChat(t, { now: () => now });
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  for (let i = 1; i <= 101; i++) {
    now += 50;
    await say(ana, 'lobby', `text ${i}`, String(i));
  }
  const { history } = await (await visit(t, chat, { protocols: ['superchat'] })).join(
    'lobby',
    'Bo',
  );
  assert.ok(Array.isArray(history));
  assert.equal(history.length, 100);
  assert.deepEqual(history[0], { from: 'Ana', text: 'text 2', at: at + 100, id: '2' });
  assert.deepEqual(history[99], { from: 'Ana', text: 'text 101', at: at + 101 * 50, id: '101' });
});

async function stillWorks(visitor: Visitor): Promise<void> {
  assert.equal((await say(visitor, 'lobby', 'still here', crypto.randomUUID()))['type'], 'said');
}

test('malformed messages get an error, and nothing else breaks', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const wrong: ReadonlyArray<readonly [message: string | Uint8Array, code: string]> = [
    [new Uint8Array([123, 125]), 'bad-message'],
    ['', 'bad-message'],
    ['{', 'bad-message'],
    ['[]', 'bad-message'],
    ['{"type":"shout"}', 'unknown-type'],
    ['{"type":"join","room":1,"name":"x"}', 'bad-room'],
    ['{"type":"join","room":"x"}', 'bad-name'],
    ['{"type":"say","room":"lobby","text":[],"id":"1"}', 'bad-text'],
    ['{"type":"say","room":"lobby","text":"x"}', 'bad-id'],
    ['{"type":"say","room":"elsewhere","text":"x","id":"1"}', 'not-joined'],
  ];
  for (const [message, code] of wrong) {
    const error = await ana.nextAfter(message);
    assert.deepEqual([error['type'], error['code']], ['error', code], String(message));
    assert.equal(typeof error['message'], 'string');
  }
  await stillWorks(ana);
});

test('a name over 32 characters, a room over 64, a text over 4 KiB get an error', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  assert.equal((await ana.join('lobby', 'n'.repeat(33)))['code'], 'bad-name');
  assert.equal((await ana.join('r'.repeat(65), 'Ana'))['code'], 'bad-room');
  assert.deepEqual(await say(ana, 'lobby', 't'.repeat(4097), 'long'), {
    type: 'error',
    code: 'text-too-long',
    message: 'a text has at most 4096 bytes of UTF-8',
    room: 'lobby',
    id: 'long',
  });
  assert.equal((await say(ana, 'lobby', 't'.repeat(100_000), 'longer'))['code'], 'text-too-long');
  await stillWorks(ana);
});

test('more than 20 messages a second get an error with the id, and pass when sent again', async (t) => {
  let now = at;
  const chat = await startTestChat(t, { now: () => now });
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  await ana.next();
  for (let i = 1; i <= 19; i++) await say(ana, 'lobby', 'x', String(i));
  assert.deepEqual(await say(ana, 'lobby', 'one too many', '20'), {
    type: 'error',
    code: 'rate-limited',
    message: 'at most 20 messages a second; send it again later',
    room: 'lobby',
    id: '20',
  });
  assert.equal((await ana.nextAfter(new Uint8Array(1)))['code'], 'rate-limited');
  assert.equal((await ana.nextAfter('{'))['code'], 'rate-limited');
  for (let i = 1; i <= 19; i++) await bo.next();
  await stillWorks(bo);
  await ana.next();
  now += 50;
  assert.equal((await say(ana, 'lobby', 'one too many', '20'))['type'], 'said');
  assert.equal((await bo.nextObject())['id'], '20');
});

test('the 101st room of a connection gets an error, until another is left', async (t) => {
  let now = at;
  const chat = await startTestChat(t, { now: () => now });
  const ana = await visitRoom(t, chat, 'room 1', 'Ana');
  for (let i = 2; i <= 100; i++) {
    now += 50;
    assert.equal((await ana.join(`room ${i}`, 'Ana'))['type'], 'joined');
  }
  now += 1000;
  const error = await ana.join('room 101', 'Ana');
  assert.deepEqual([error['code'], error['room']], ['too-many-rooms', 'room 101']);
  assert.equal((await ana.join('room 100', 'Anna'))['type'], 'joined', 'a new name is no new room');
  assert.equal((await say(ana, 'room 50', 'x', '1'))['type'], 'said');
  await ana.nextAfter({ type: 'leave', room: 'room 1' });
  assert.equal((await ana.join('room 101', 'Ana'))['type'], 'joined');
});

test('a server with as many rooms as it keeps, and somebody in each, refuses a new one', async (t) => {
  const chat = await startTestChat(t, { limits: { rooms: 2 } });
  const ana = await visitRoom(t, chat, 'a', 'Ana');
  await ana.join('b', 'Ana');
  const error = await ana.join('c', 'Ana');
  assert.deepEqual([error['code'], error['room']], ['server-full', 'c']);
  const line = await visit(t, chat, { query: '?room=c' });
  assert.equal(await line.next(), '* the server has too many rooms');
  assert.equal((await line.peer.closed).code, 1013);
  await ana.nextAfter({ type: 'leave', room: 'b' });
  assert.equal((await ana.join('c', 'Ana'))['type'], 'joined');
});

test('a visitor that does not read its answers is not read either, and gets them all later', async (t) => {
  let now = at;
  const chat: ChatServer = await startTestChat(t, { now: () => now });
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  for (let i = 1; i <= 100; i++) {
    now += 50;
    await say(bo, 'lobby', '"'.repeat(4096), String(i));
  }
  // Twenty answers of 0.8 MB: far more than may wait for one visitor.
  const ana = await visit(t, chat, { protocols: ['superchat'] });
  for (let i = 1; i <= 20; i++) ana.send({ type: 'join', room: 'lobby', name: `Ana ${i}` });
  for (let i = 1; i <= 20; i++) assert.equal((await ana.nextObject())['name'], `Ana ${i}`);
});

test('the end of the server is 1001', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const closed = ana.peer.closed;
  await chat.close();
  assert.equal((await closed).code, 1001);
});

test('a visitor that is cut off while it does not read its answers leaves all the same', async (t) => {
  let now = at;
  const chat = await startTestChat(t, { now: () => now });
  const bo = await visitRoom(t, chat, 'lobby', 'Bo');
  for (let i = 1; i <= 100; i++) {
    now += 50;
    await say(bo, 'lobby', '"'.repeat(4096), String(i));
  }
  const { hostname: host, port } = new URL(chat.url);
  const deaf = createConnection(Number(port), host);
  t.after(() => deaf.destroy());
  deaf.pause();
  deaf.write(
    `GET /chat HTTP/1.1\r\nHost: ${host}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n' +
      'Sec-WebSocket-Protocol: superchat\r\n\r\n',
  );
  // Twenty answers of 0.8 MB: more than the kernel takes.
  for (let i = 1; i <= 20; i++) {
    const join = JSON.stringify({ type: 'join', room: 'lobby', name: `Ana ${i}` });
    deaf.write(Buffer.from([0x81, 0x80 | join.length, 0, 0, 0, 0, ...Buffer.from(join)]));
  }
  for (const joined of ['Ana 1', 'Ana 2']) {
    const presence = await bo.nextObject();
    assert.equal(presence['joined'] ?? (await bo.nextObject())['joined'], joined);
  }
  deaf.resetAndDestroy();
  await eventually(
    () => chat.health.peers === 1,
    () => `${chat.health.peers} visitors are there`,
  );
  const clea = await visit(t, chat, { protocols: ['superchat'] });
  assert.deepEqual((await clea.join('lobby', 'Clea'))['members'], ['Bo', 'Clea']);
});
