import assert from 'node:assert/strict';
import { connect as dial } from 'node:net';
import { test } from 'node:test';
import { serve } from '../../dist/index.js';

const UPGRADE =
  'GET /chat HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n';

/** Sends a plain request and an upgrade in one packet; resolves to all that is answered. */
async function pipelined(t: { after(task: () => Promise<void>): void }, answerNow: boolean) {
  let opened = 0;
  const server = await serve({
    request(_request, response) {
      if (answerNow) response.end('plain');
      else setTimeout(() => response.end('plain'), 20);
    },
    routes: {
      '/chat': {
        open(peer) {
          opened++;
          peer.close(1000);
        },
      },
    },
  });
  t.after(() => server.close({ timeoutMs: 100 }));
  const socket = dial(server.port, '127.0.0.1');
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\n\r\n${UPGRADE}`);
  let answer = '';
  for await (const chunk of socket) {
    answer += String(chunk);
    if (answer.includes('101 Switching')) socket.end();
  }
  return { answer, opened };
}

test('an upgrade pipelined behind a request that is not answered yet ends the connection', async (t) => {
  const { answer, opened } = await pipelined(t, false);
  assert.equal(opened, 0);
  assert.ok(!answer.includes('101'), answer);
});

test('an upgrade pipelined behind a request that is answered is granted, in order', async (t) => {
  const { answer, opened } = await pipelined(t, true);
  assert.equal(opened, 1);
  assert.match(answer, /^HTTP\/1\.1 200 OK[\s\S]*plain[\s\S]*HTTP\/1\.1 101 /);
});
