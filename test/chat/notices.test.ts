import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { decodeNotice, encodeNotice } from '../../apps/chat/dist/server/server-notices.js';
import { type Presence, type Server, serve } from '../../dist/index.js';
import { startTestChat, type Visitor, visitRoom } from './chat-visitor.ts';
import { MemoryCluster } from './servers/memory-cluster.ts';

interface Meeting {
  readonly ana: Visitor;
  /** Another server, as far as it publishes. */
  readonly other: Server<unknown>;
  /** And what it has entered. */
  readonly presence: Presence;
  readonly gone: (names: readonly string[]) => void;
}

const topic = 'chat:lobby';

async function meet(t: TestContext): Promise<Meeting> {
  const cluster = new MemoryCluster();
  const chat = await startTestChat(t, { engine: cluster.open });
  const other = await serve<unknown>({ port: 0, broker: cluster.broker(), routes: {} });
  t.after(() => other.close());
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  return {
    ana,
    other,
    presence: cluster.presence(),
    gone: (names) => cluster.tellGone[0]?.(topic, names),
  };
}

test('a leaving that overtook the coming before it is put right', async (t) => {
  const { ana, other, presence } = await meet(t);
  await presence.enter(topic, 'Bo');
  other.publish(topic, encodeNotice({ type: 'joined', name: 'Bo' }, 'other'));
  assert.equal((await ana.nextObject())['joined'], 'Bo');
  other.publish(topic, encodeNotice({ type: 'left', name: 'Bo' }, 'late'));
  assert.equal((await ana.nextObject())['left'], 'Bo');
  assert.equal((await ana.nextObject())['joined'], 'Bo');
});

test('nobody who is here is told to have left by a server that does not know it', async (t) => {
  const { ana, other } = await meet(t);
  other.publish(topic, encodeNotice({ type: 'left', name: 'Ana' }, 'other'));
  other.publish(topic, encodeNotice({ type: 'joined', name: 'Bo' }, 'other'));
  assert.equal((await ana.nextObject())['joined'], 'Bo');
});

test('who is gone with a server without a word is told to have left, once', async (t) => {
  const { ana, other, presence, gone } = await meet(t);
  await presence.enter(topic, 'Bo');
  other.publish(topic, encodeNotice({ type: 'joined', name: 'Bo' }, 'other'));
  assert.equal((await ana.nextObject())['joined'], 'Bo');
  await presence.leave(topic, 'Bo');
  gone(['Bo']);
  gone(['Bo']);
  assert.equal((await ana.nextObject())['left'], 'Bo');
  other.publish(topic, encodeNotice({ type: 'joined', name: 'Clea' }, 'other'));
  assert.equal((await ana.nextObject())['joined'], 'Clea');
});

test('what is no notice is let be', async (t) => {
  const { ana, other } = await meet(t);
  for (const data of ['', '{', 'null', '7', '{"type":"shout"}', '{"type":"joined","name":1}']) {
    other.publish(topic, data);
  }
  other.publish(topic, new Uint8Array([0xff, 0xfe]));
  other.publish(topic, encodeNotice({ type: 'joined', name: 'Bo' }, 'other'));
  assert.equal((await ana.nextObject())['joined'], 'Bo');
});

test('a notice is read as it was written, and not by who wrote it', () => {
  for (const notice of [
    { type: 'said' },
    { type: 'joined', name: 'Ana' },
    { type: 'left', name: 'Ana' },
    { type: 'renamed', from: 'Ana', to: 'Anna', isGone: true, isNew: false },
  ] as const) {
    assert.deepEqual(decodeNotice(encodeNotice(notice, 'one'), 'other'), notice);
    assert.equal(decodeNotice(encodeNotice(notice, 'one'), 'one'), undefined);
  }
});
