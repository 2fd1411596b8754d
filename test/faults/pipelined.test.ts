import assert from 'node:assert/strict';
import { once } from 'node:events';
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

for (const [what, request] of [
  // Node answers it by itself.
  ['one without Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['one that asks to close', 'GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
] as const) {
  test(`an upgrade behind an answer with Connection: close is not taken: ${what}`, async (t) => {
    let opened = 0;
    const server = await serve({
      request: (_request, response) => void response.end('plain'),
      routes: { '/chat': { open: () => void opened++ } },
    });
    t.after(() => server.close({ timeoutMs: 100 }));
    for (const inOnePacket of [true, false]) {
      const socket = dial(server.port, '127.0.0.1');
      socket.write(inOnePacket ? request + UPGRADE : request);
      if (!inOnePacket) setImmediate(() => socket.write(UPGRADE));
      let answer = '';
      socket.on('error', () => {});
      socket.setEncoding('latin1').on('data', (text) => {
        answer += text;
      });
      await once(socket, 'close');
      assert.match(answer, /^HTTP\/1\.1 (?:400|200) /);
      assert.match(answer, /^Connection: close\r$/im);
      assert.doesNotMatch(answer, /HTTP\/1\.1 101/);
    }
    assert.equal(opened, 0);
  });
}
