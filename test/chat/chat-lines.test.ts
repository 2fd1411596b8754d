import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestChat, visit, visitRoom } from './chat-visitor.ts';

test('no subprotocol means chat, and the answer names none', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  assert.equal(visitor.peer.protocol, '');
  assert.match(await visitor.next(), /^\* you are guest-1 in lobby; here: guest-1$/);
});

test('a client that offers chat, superchat gets chat', async (t) => {
  const visitor = await visit(t, await startTestChat(t), { protocols: ['chat', 'superchat'] });
  assert.equal(visitor.peer.protocol, 'chat');
  assert.match(await visitor.next(), /^\* you are guest-1 /);
});

test('a client that offers superchat, chat gets superchat', async (t) => {
  const visitor = await visit(t, await startTestChat(t), { protocols: ['superchat', 'chat'] });
  assert.equal(visitor.peer.protocol, 'superchat');
});

test('a line goes to everyone in the room, the sender too, as NAME: line', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visit(t, chat);
  await ana.next();
  const bo = await visit(t, chat);
  await bo.next();
  assert.equal(await ana.next(), '* guest-2 joined');
  bo.send('hello');
  assert.equal(await ana.next(), 'guest-2: hello');
  assert.equal(await bo.next(), 'guest-2: hello');
});

test('?room= chooses the room, and rooms do not hear each other', async (t) => {
  const chat = await startTestChat(t);
  const kitchen = await visit(t, chat, { query: '?room=the%20kitchen&room=other' });
  assert.match(await kitchen.next(), / in the kitchen; /);
  const lobby = await visit(t, chat, { query: '?room=' });
  assert.match(await lobby.next(), / in lobby; /);
  lobby.send('to the lobby');
  assert.equal(await lobby.next(), 'guest-2: to the lobby');
  kitchen.send('to the kitchen');
  assert.equal(await kitchen.next(), 'guest-1: to the kitchen');
});

test('a ?room= that breaks the rules is told in a notice and closed with 1008', async (t) => {
  const chat = await startTestChat(t);
  for (const query of [`?room=${'r'.repeat(65)}`, '?room=a%0Ab', '?room=%20']) {
    const visitor = await visit(t, chat, { query });
    assert.match(await visitor.next(), /^\* a room name has /);
    assert.equal((await visitor.peer.closed).code, 1008);
  }
});

test('superchat does not look at ?room=', async (t) => {
  const chat = await startTestChat(t);
  const visitor = await visit(t, chat, { protocols: ['superchat'], query: '?room=a%0Ab' });
  assert.equal((await visitor.join('lobby', 'Ana'))['type'], 'joined');
});

test('/nick changes the name, for all to see', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visit(t, chat);
  await ana.next();
  const bo = await visit(t, chat);
  await bo.next();
  await ana.next();
  ana.send('/nick  Ana Maria ');
  assert.equal(await ana.next(), '* guest-1 is now Ana Maria');
  assert.equal(await bo.next(), '* guest-1 is now Ana Maria');
  ana.send('hello');
  assert.equal(await bo.next(), 'Ana Maria: hello');
  await ana.next();
  ana.send('/nick Ana Maria');
  assert.equal(await ana.next(), '* you are Ana Maria');
});

test('/nick with a name that breaks the rules changes nothing', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  for (const wrong of ['', ' ', 'a:b', '* left', '/x', 'n'.repeat(33), 'a\u001bb', 'a\nb']) {
    visitor.send(`/nick ${wrong}`);
    assert.match(await visitor.next(), /^\* a name .*: \/nick NAME$/, JSON.stringify(wrong));
  }
  visitor.send('x');
  assert.equal(await visitor.next(), 'guest-1: x');
});

test('/who lists who is in the room', async (t) => {
  const chat = await startTestChat(t);
  const line = await visit(t, chat);
  await line.next();
  await visitRoom(t, chat, 'lobby', 'Ana');
  await visitRoom(t, chat, 'elsewhere', 'Bo');
  assert.equal(await line.next(), '* Ana joined');
  line.send('/who');
  assert.equal(await line.next(), '* here: guest-1, Ana');
});

test('an unknown command is answered by a notice and said to nobody', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visit(t, chat);
  await ana.next();
  const bo = await visit(t, chat);
  await bo.next();
  for (const command of ['/', '/dance', '/NICK x', '/nickname x', '/who\u001b[31m', '/ who']) {
    bo.send(command);
    assert.match(await bo.next(), /^\* unknown command; /, command);
  }
  bo.send('done');
  assert.deepEqual(await ana.take(2), ['* guest-2 joined', 'guest-2: done']);
});

test('two slashes say one', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  visitor.send('//who');
  assert.equal(await visitor.next(), 'guest-1: /who');
});

test('a line break at the end is dropped, one inside is a space, an empty line is ignored', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  for (const line of ['', '\n', ' \t', 'a\n', 'b\r\n', 'c\nd\r\n\u2028e']) visitor.send(line);
  assert.deepEqual(await visitor.take(3), ['guest-1: a', 'guest-1: b', 'guest-1: c d e']);
});

test('nothing that is said can pass for a notice or for somebody else', async (t) => {
  const chat = await startTestChat(t);
  const line = await visit(t, chat);
  await line.next();
  const eve = await visitRoom(t, chat, 'lobby', 'Eve');
  assert.equal(await line.next(), '* Eve joined');
  const texts = [
    '* Bo left',
    '\n* Bo left',
    '\r* Bo left',
    'x\u2028* Bo left',
    '\u001b[2K\u001b[G* Bo left',
  ];
  for (const [index, text] of texts.entries()) {
    eve.send({ type: 'say', room: 'lobby', text, id: String(index) });
    const heard = await line.next();
    assert.ok(heard.startsWith('Eve: '), JSON.stringify(heard));
    assert.doesNotMatch(heard, /[\p{Cc}\u2028\u2029]/u);
    assert.equal((await eve.nextObject())['id'], String(index));
  }
  for (const name of ['*', '* Bo left', 'Bo: hi', '\u202e*', 'Bo\u200b']) {
    assert.equal((await eve.nextAfter({ type: 'join', room: 'lobby', name }))['code'], 'bad-name');
  }
});

test('a binary message is refused with a notice', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  visitor.send(new Uint8Array([104, 105]));
  assert.equal(await visitor.next(), '* not sent: a line is text, not binary');
  visitor.send('still here');
  assert.equal(await visitor.next(), 'guest-1: still here');
});

test('a line over 4 KiB is refused with a notice', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  visitor.send('é'.repeat(2049));
  assert.equal(await visitor.next(), '* not sent: a text has at most 4096 bytes of UTF-8');
  visitor.send('é'.repeat(2048));
  assert.equal(await visitor.next(), `guest-1: ${'é'.repeat(2048)}`);
});

test('more than 20 lines a second are refused, and said again later they pass', async (t) => {
  let now = 1_000_000;
  const visitor = await visit(t, await startTestChat(t, { now: () => now }));
  await visitor.next();
  for (let i = 1; i <= 22; i++) visitor.send(String(i));
  const heard = await visitor.take(22);
  assert.deepEqual(heard.slice(19), [
    'guest-1: 20',
    '* not sent: at most 20 lines a second',
    '* not sent: at most 20 lines a second',
  ]);
  now += 50;
  visitor.send('21');
  assert.equal(await visitor.next(), 'guest-1: 21');
});

test('who joins is given the last 100 messages as lines, before the first notice', async (t) => {
  let now = 1_000_000;
  const chat = await startTestChat(t, { now: () => now });
  const first = await visit(t, chat);
  await first.next();
  for (let i = 1; i <= 103; i++) {
    now += 50;
    first.send(`line ${i}`);
    await first.next();
  }
  const late = await visit(t, chat);
  const lines = await late.take(101);
  assert.equal(lines[0], 'guest-1: line 4');
  assert.equal(lines[99], 'guest-1: line 103');
  assert.match(lines[100] ?? '', /^\* you are guest-2 /);
});

test('a guest name that somebody took by hand is not given out again', async (t) => {
  const chat = await startTestChat(t);
  const first = await visit(t, chat);
  await first.next();
  first.send('/nick guest-2');
  await first.next();
  assert.match(await (await visit(t, chat)).next(), /^\* you are guest-3 /);
});

test('leaving is told, however the connection ended', async (t) => {
  const chat = await startTestChat(t);
  const stays = await visit(t, chat);
  await stays.next();
  const leaves = await visit(t, chat);
  const breaks = await visit(t, chat);
  assert.deepEqual(await stays.take(2), ['* guest-2 joined', '* guest-3 joined']);
  await leaves.leave();
  assert.equal(await stays.next(), '* guest-2 left');
  breaks.peer.terminate();
  assert.equal(await stays.next(), '* guest-3 left');
});

test('a message over 256 KiB ends the connection with 1009', async (t) => {
  const visitor = await visit(t, await startTestChat(t));
  await visitor.next();
  visitor.send('x'.repeat(256 * 1024 + 1));
  assert.equal((await visitor.peer.closed).code, 1009);
});
