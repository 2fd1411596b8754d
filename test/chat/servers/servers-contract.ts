import assert from 'node:assert/strict';
import { after, before, suite, type TestContext, test } from 'node:test';
import type { ChatOptions, ChatServer } from '../../../apps/chat/dist/server/chat-server.js';
import { isEngineAway, type OpenEngine } from '../../../apps/chat/dist/server/engine.js';
import { startTestChat, type Visitor, visit, visitRoom } from '../chat-visitor.ts';

/** What several servers of the chat share. */
export interface SharedEngine extends AsyncDisposable {
  readonly open: OpenEngine;
  /** Takes it away: resolves once it answers nobody. */
  away(): Promise<void>;
  /** It is there again, with everything that it had acknowledged. */
  back(): Promise<void>;
  /** It is there again, or still, with nothing of what it had. */
  loseAll(): Promise<void>;
}

type Said = Record<string, unknown>;

/** What people on different servers may expect, whatever the servers share. */
export function serversContract(
  name: string,
  start: () => Promise<SharedEngine>,
  skip: string | false = false,
): void {
  suite(`two servers over ${name}`, { skip, concurrency: 1 }, () => {
    let engine: SharedEngine;
    let rooms = 0;
    const newRoom = (): string => `room ${++rooms}: *>.ü`;
    before(async () => {
      engine = await start();
    });
    after(async () => {
      await engine?.[Symbol.asyncDispose]();
    });

    const startServer = (t: TestContext, options: ChatOptions = {}): Promise<ChatServer> =>
      startTestChat(t, {
        engine: engine.open,
        onError(error) {
          const isOutage = isEngineAway(error) || isPublishFailed(error);
          if (!isOutage) assert.fail(`it went wrong: ${String(error)}`);
        },
        ...options,
      });
    const startTwo = (t: TestContext) => Promise.all([startServer(t), startServer(t)]);

    test('who is on the one hears who is on the other, in both subprotocols', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const ana = await visitRoom(t, one, room, 'Ana');
      const bo = await visit(t, other, { protocols: ['superchat'] });
      assert.deepEqual((await bo.join(room, 'Bo'))['members'], ['Ana', 'Bo']);
      assert.deepEqual(await ana.nextObject(), { type: 'presence', room, joined: 'Bo' });
      const line = await visit(t, other, { query: `?room=${encodeURIComponent(room)}` });
      assert.equal(await line.next(), `* you are guest-1 in ${room}; here: Ana, Bo, guest-1`);
      for (const visitor of [ana, bo]) {
        assert.equal((await visitor.nextObject())['joined'], 'guest-1');
      }

      const said = await say(ana, room, 'hello');
      assert.deepEqual(await bo.nextObject(), said);
      assert.equal(await line.next(), 'Ana: hello');
      line.send('hello to you');
      assert.equal(await line.next(), 'guest-1: hello to you');
      for (const visitor of [ana, bo]) {
        assert.equal((await visitor.nextObject())['text'], 'hello to you');
      }

      line.send('/nick Clea');
      assert.equal(await line.next(), '* guest-1 is now Clea');
      for (const visitor of [ana, bo]) {
        assert.deepEqual(await visitor.nextObject(), { type: 'presence', room, left: 'guest-1' });
        assert.deepEqual(await visitor.nextObject(), { type: 'presence', room, joined: 'Clea' });
      }
      await ana.leave();
      assert.equal(await line.next(), '* Ana left');
      assert.deepEqual(await bo.nextObject(), { type: 'presence', room, left: 'Ana' });
      line.send('/who');
      assert.equal(await line.next(), '* here: Bo, Clea');
    });

    test('a name is present as long as one connection has it, on whichever server', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const bo = await visitRoom(t, one, room, 'Bo');
      const old = await visitRoom(t, one, room, 'Ana');
      assert.equal((await bo.nextObject())['joined'], 'Ana');
      const again = await visitRoom(t, other, room, 'Ana');
      await old.leave();
      await say(again, room, 'still here');
      assert.equal((await bo.nextObject())['text'], 'still here');
      await again.leave();
      assert.equal((await bo.nextObject())['left'], 'Ana');
    });

    test('guests of different servers have different names', async (t) => {
      const servers = await startTwo(t);
      const query = `?room=${encodeURIComponent(newRoom())}`;
      const names = new Set<string>();
      for (const server of [...servers, ...servers, ...servers]) {
        const [, guest = ''] =
          /^\* you are (\S+) /.exec(await greetingOf(await visit(t, server, { query }))) ?? [];
        names.add(guest);
      }
      assert.equal(names.size, 6);
      assert.ok(!names.has(''));
    });

    test('what many say at once is heard and remembered in one order on all servers', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const speakers = await Promise.all(
        Array.from({ length: 6 }, (_, i) => visitRoom(t, i % 2 ? one : other, room, `S${i}`)),
      );
      const listeners = [
        await visitRoom(t, one, room, 'L1'),
        await visitRoom(t, other, room, 'L2'),
      ];
      for (const [i, speaker] of speakers.entries()) {
        for (let n = 0; n < 15; n++) {
          speaker.send({ type: 'say', room, text: `${n}`, id: `${i}.${n}` });
        }
      }
      const heard = await Promise.all(
        [...listeners, ...speakers].map((visitor) => takeSaid(visitor, 90)),
      );
      for (const each of heard) assert.deepEqual(each, heard[0]);
      assert.equal(new Set(heard[0]?.map(({ id }) => id)).size, 90);
      // Each speaker's own are in the order in which they were sent.
      for (const i of speakers.keys()) {
        const own = heard[0]
          ?.filter(({ from }) => from === `S${i}`)
          .map(({ text }) => Number(text));
        assert.deepEqual(own, [...Array(15).keys()]);
      }
      const third = await startServer(t);
      const late = await visit(t, third, { protocols: ['superchat'] });
      assert.deepEqual((await late.join(room, 'Late'))['history'], heard[0]?.map(asHistory));
    });

    test('a message sent again to the other server is not said twice', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const listener = await visitRoom(t, other, room, 'Bo');
      const ana = await visitRoom(t, one, room, 'Ana');
      assert.equal((await listener.nextObject())['joined'], 'Ana');
      const said = await say(ana, room, 'once', 'a1');
      assert.deepEqual(await listener.nextObject(), said);
      const again = await visitRoom(t, other, room, 'Ana');
      assert.deepEqual(await say(again, room, 'changed meanwhile', 'a1'), said);
      // Also where it is older than what a server has at hand.
      for (let n = 0; n < 5; n++) await say(ana, room, `${n}`);
      const small = await startServer(t, { limits: { historyMessages: 3 } });
      const last = await visitRoom(t, small, room, 'Ana');
      assert.deepEqual(await say(last, room, 'changed again', 'a1'), said);
      const heard = await takeSaid(listener, 5);
      assert.ok(heard.every(({ id }) => id !== 'a1'));
    });

    test('a room is given by the history, though nobody was in it on any server', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const ana = await visitRoom(t, one, room, 'Ana');
      const said = [await say(ana, room, 'one'), await say(ana, room, 'two')];
      await ana.leave();
      const bo = await visit(t, other, { protocols: ['superchat'] });
      const joined = await bo.join(room, 'Bo');
      assert.deepEqual(joined['history'], said.map(asHistory));
      assert.deepEqual(joined['members'], ['Bo']);
    });

    test('without the engine nothing is said, and it is told; who is there goes on; with it, all is as it should be', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const ana = await visitRoom(t, one, room, 'Ana');
      const bo = await visitRoom(t, other, room, 'Bo');
      await ana.next();
      const before = await say(ana, room, 'before');
      assert.deepEqual(await bo.nextObject(), before);

      await engine.away();
      const refused = await ana.nextAfter({ type: 'say', room, text: 'lost?', id: 'lost' });
      assert.deepEqual(
        [refused['type'], refused['code'], refused['room'], refused['id']],
        ['error', 'unavailable', room, 'lost'],
      );
      assert.equal((await ana.join(newRoom(), 'Ana'))['code'], 'unavailable');
      const line = await visit(t, one, { query: `?room=${encodeURIComponent(newRoom())}` });
      assert.equal(await line.next(), '* the room cannot be reached at the moment');
      assert.equal((await line.peer.closed).code, 1013);
      // A room that is open can be joined: what is known of it is known here.
      const clea = await visit(t, one, { protocols: ['superchat'] });
      const joined = await clea.join(room, 'Clea');
      assert.deepEqual(joined['members'], ['Ana', 'Bo', 'Clea']);
      assert.deepEqual(joined['history'], [asHistory(before)]);
      assert.equal((await ana.nextObject())['joined'], 'Clea');

      await engine.back();
      // As the page does: the same message again, until it is acknowledged.
      const said = await sayUntilSaid(ana, room, 'not lost', 'lost');
      const heard = await nextOf(bo, 'said');
      assert.equal(heard['id'], 'lost');
      assert.deepEqual(heard['text'], said['text']);
      assert.equal(await isPresent(bo, room, 'Clea'), true);
    });

    test('what nobody told a server is told by the history and the presence once the engine is back', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const ana = await visitRoom(t, one, room, 'Ana');
      const line = await visit(t, one, { query: `?room=${encodeURIComponent(room)}` });
      await line.next();
      await ana.next();
      const bo = await visitRoom(t, other, room, 'Bo');
      await ana.next();
      await line.next();
      const before = await say(bo, room, 'before');
      assert.deepEqual(await ana.nextObject(), before);
      assert.equal(await line.next(), 'Bo: before');
      await engine.away();
      await bo.leave();
      await engine.back();
      assert.equal((await nextOf(ana, 'presence'))['left'], 'Bo');
      assert.equal(await line.next(), '* Bo left');
    });

    test('where the engine has lost what it had, members are told, and not in silence', async (t) => {
      const [one] = await startTwo(t);
      const room = newRoom();
      const ana = await visitRoom(t, one, room, 'Ana');
      const line = await visit(t, one, { query: `?room=${encodeURIComponent(room)}` });
      await line.next();
      await ana.next();
      await say(ana, room, 'forgotten');
      assert.equal(await line.next(), 'Ana: forgotten');
      await engine.loseAll();
      assert.deepEqual(await nextOf(ana, 'history'), { type: 'history', room, history: [] });
      assert.equal(await line.next(), '* some messages are missing here');
      await sayUntilSaid(ana, room, 'new', 'new');
      assert.equal(await line.next(), 'Ana: new');
      // Its members it learns anew.
      const other = await startServer(t);
      const bo = await visit(t, other, { protocols: ['superchat'] });
      const joined = await bo.join(room, 'Bo');
      assert.ok(Array.isArray(joined['history']));
      assert.deepEqual(
        joined['history'].map(({ text }: Said) => text),
        ['new'],
      );
      assert.equal(await isPresent(bo, room, 'Ana'), true);
    });

    test('a server that ends takes its people along', async (t) => {
      const [one, other] = await startTwo(t);
      const room = newRoom();
      const bo = await visitRoom(t, other, room, 'Bo');
      await visitRoom(t, one, room, 'Ana');
      assert.equal((await bo.nextObject())['joined'], 'Ana');
      await one.close();
      assert.equal((await bo.nextObject())['left'], 'Ana');
    });
  });
}

function isPublishFailed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'PUBLISH_FAILED';
}

function say(visitor: Visitor, room: string, text: string, id: string = crypto.randomUUID()) {
  return visitor.nextAfter({ type: 'say', room, text, id });
}

/** Sends it again while it is refused, as the page does. */
async function sayUntilSaid(
  visitor: Visitor,
  room: string,
  text: string,
  id: string,
): Promise<Said> {
  for (;;) {
    visitor.send({ type: 'say', room, text, id });
    for (;;) {
      const answer = await visitor.nextObject();
      if (answer['type'] === 'said' && answer['id'] === id) return answer;
      if (answer['type'] === 'error' && answer['id'] === id) break;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** The next message of that type; others before it are let go. */
async function nextOf(visitor: Visitor, type: string): Promise<Said> {
  for (;;) {
    const message = await visitor.nextObject();
    if (message['type'] === type) return message;
  }
}

async function takeSaid(visitor: Visitor, count: number): Promise<Said[]> {
  const taken: Said[] = [];
  while (taken.length < count) taken.push(await nextOf(visitor, 'said'));
  return taken;
}

/** Whether a name comes to be among the members, as the server of a visitor knows them. */
async function isPresent(visitor: Visitor, room: string, name: string): Promise<boolean> {
  for (let i = 0; i < 300; i++) {
    visitor.send({ type: 'join', room, name: 'Bo' });
    const { members } = await nextOf(visitor, 'joined');
    if (Array.isArray(members) && members.includes(name)) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

async function greetingOf(visitor: Visitor): Promise<string> {
  for (;;) {
    const line = await visitor.next();
    if (line.startsWith('* you are ')) return line;
  }
}

function asHistory({ from, text, at, id }: Said): Said {
  return { from, text, at, id };
}
