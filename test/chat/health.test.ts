import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startTestChat, visitRoom } from './chat-visitor.ts';
import { MemoryCluster } from './servers/memory-cluster.ts';

test('/health says how the server is, /ready whether to send it visitors', async (t) => {
  const chat = await startTestChat(t);
  await visitRoom(t, chat, 'lobby', 'Ana');
  const health = await fetch(`${chat.url}health`);
  assert.deepEqual([health.status, health.headers.get('content-type')], [200, 'application/json']);
  assert.equal(health.headers.get('cache-control'), 'no-store');
  assert.deepEqual(await health.json(), {
    status: 'ok',
    ready: true,
    peers: 1,
    dropped: 0,
    unpublished: 0,
    gaps: 0,
  });
  const ready = await fetch(`${chat.url}ready?from=balancer`);
  assert.deepEqual([ready.status, await ready.text()], [200, 'ready\n']);
  const head = await fetch(`${chat.url}ready`, { method: 'HEAD' });
  assert.deepEqual([head.status, await head.text()], [200, '']);
  assert.equal((await fetch(`${chat.url}health`, { method: 'POST' })).status, 405);
});

test('without its engine a server is degraded, and ready all the same', async (t) => {
  const cluster = new MemoryCluster();
  const chat = await startTestChat(t, { engine: cluster.open, onError() {} });
  const ask = async (path: string): Promise<string> => {
    const answer = await fetch(`${chat.url}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  await cluster.away();
  assert.match(await ask('health'), /^200 \{"status":"degraded","ready":true,/);
  assert.equal(await ask('ready'), '200 ready\n');
  await cluster.back();
  assert.match(await ask('health'), /^200 \{"status":"ok",/);
});

test('a server that closes is not ready first, and closes its visitors later', async (t) => {
  const chat = await startTestChat(t);
  const ana = await visitRoom(t, chat, 'lobby', 'Ana');
  const closed = chat.close({ noticeMs: 2_000 });
  const ready = await fetch(`${chat.url}ready`);
  assert.deepEqual([ready.status, await ready.text()], [503, 'not ready: closing\n']);
  const health = await fetch(`${chat.url}health`);
  assert.equal(health.status, 503);
  assert.match(await health.text(), /"status":"closing","ready":false/);
  const answer = await ana.nextAfter({ type: 'say', room: 'lobby', text: 'still', id: '1' });
  assert.equal(answer['type'], 'said');
  assert.equal((await ana.peer.closed).code, 1001);
  await closed;
});
