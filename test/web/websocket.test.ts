/** What of our WebSocket is not of the standard, or cannot be seen from outside of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { describe, test } from 'node:test';
import { WebSocket } from '../../dist/index.js';
import type { Link, LinkHandlers } from '../../dist/web/link.js';
import { defineWebSocket } from '../../dist/web/websocket.js';
import type { WebSocket as WebSocketInterface } from '../../dist/web/websocket-interface.js';
import { localCertificate } from '../faults/certificate.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { type Head, type RawSocket, within } from '../faults/raw-socket.ts';
import { makeGate, startServer } from '../node/connections.ts';

/** What an open socket ended with: the error's code where there was an error event. */
async function endOf(
  socket: WebSocketInterface,
): Promise<{ error: string | undefined; code: number; wasClean: boolean }> {
  let error: string | undefined;
  socket.addEventListener('error', (event) => {
    error = event.error?.code ?? 'unknown';
  });
  return await within(
    'the close event',
    new Promise((resolve) => {
      socket.addEventListener('close', ({ code, wasClean }) => resolve({ error, code, wasClean }));
    }),
  );
}

function opened(socket: WebSocketInterface): Promise<unknown> {
  return within('the open event', once(socket, 'open'));
}

describe('the third argument', () => {
  test('headers are sent, and a user and password in the URL, unless a header says otherwise', async (t) => {
    const seen: unknown[] = [];
    const server = await startServer(t, {
      routes: {
        '/': {
          upgrade: ({ headers }) => void seen.push(headers.authorization, headers['x-room']),
          open: (peer) => peer.close(4000),
        },
      },
    });
    const url = server.url.replace('ws://', 'ws://ada:s%3Ecret@');
    const socket = new WebSocket(url, [], { headers: { 'X-Room': 'lobby' } });
    assert.equal(socket.url, `${url}/`);
    assert.deepEqual(await endOf(socket), { error: undefined, code: 4000, wasClean: true });
    const named = new WebSocket(url, undefined, { headers: { authorization: 'Bearer x' } });
    await endOf(named);
    assert.deepEqual(seen, [
      `Basic ${Buffer.from('ada:s>cret').toString('base64')}`,
      'lobby',
      'Bearer x',
      undefined,
    ]);
  });

  test('limits hold, and the error event says which', async (t) => {
    const server = await startServer(t, {
      routes: { '/': { open: (peer) => void peer.send('x'.repeat(11)) } },
    });
    const socket = new WebSocket(server.url, [], { limits: { maxMessageBytes: 10 } });
    assert.deepEqual(await endOf(socket), {
      error: 'MESSAGE_TOO_BIG',
      code: 1006,
      wasClean: false,
    });
  });

  test('compression and tls', async (t) => {
    const { key, cert } = await localCertificate();
    const server = await startServer(t, {
      tls: { key, cert },
      compression: true,
      routes: { '/': { message: (peer, data) => void peer.send(data) } },
    });
    const plain = new WebSocket(server.url, [], { tls: { ca: cert }, compression: false });
    await opened(plain);
    assert.equal(plain.extensions, '');
    plain.close();
    const socket = new WebSocket(server.url, [], { tls: { ca: cert } });
    await opened(socket);
    assert.match(socket.extensions, /^permessage-deflate/);
    const text = 'again and '.repeat(20_000);
    const bytes = Buffer.from(text);
    socket.send(bytes);
    bytes.fill(0);
    socket.binaryType = 'arraybuffer';
    const [message] = await once(socket, 'message');
    assert.ok(message instanceof MessageEvent);
    assert.equal(Buffer.from(message.data).toString(), text);
    socket.close();
    assert.deepEqual(await endOf(socket), { error: undefined, code: 1005, wasClean: true });
  });

  test('misuse throws at once', () => {
    const wrong: object[] = [
      { limits: { maxMessageBytes: 0 } },
      { headers: { Upgrade: 'x' } },
      { compression: { level: 99 } },
    ];
    for (const options of wrong) {
      assert.throws(() => new WebSocket('ws://127.0.0.1:1/', [], options), {
        name: 'ApertoError',
      });
    }
  });
});

describe('why it failed', () => {
  test('a refusal', async (t) => {
    const server = await startServer(t, { routes: {} });
    assert.equal((await endOf(new WebSocket(server.url))).error, 'STATUS_NOT_101');
  });

  test('no server', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    server.close();
    await once(server, 'close');
    const socket = new WebSocket(`ws://127.0.0.1:${address.port}`);
    assert.deepEqual(await endOf(socket), { error: 'CONNECT_FAILED', code: 1006, wasClean: false });
  });

  test('no subprotocol, though one was offered', async (t) => {
    const server = await startServer(t, { routes: { '/': {} } });
    const socket = new WebSocket(server.url, 'chat');
    assert.equal((await endOf(socket)).error, 'SUBPROTOCOL_MISSING');
  });

  test('our own close while connecting', async (t) => {
    const gate = makeGate();
    const server = await startServer(t, { routes: { '/': { upgrade: () => gate.opened } } });
    const socket = new WebSocket(server.url);
    socket.close();
    assert.equal(socket.readyState, WebSocket.CLOSING);
    assert.deepEqual(await endOf(socket), { error: 'unknown', code: 1006, wasClean: false });
    gate.open();
  });
});

test('a server that does not read: bufferedAmount tells, and too much fails the connection', async () => {
  const gate = makeGate();
  const answer = async (raw: RawSocket, request: Head): Promise<void> => {
    raw.socket.pause();
    raw.write(switching(request));
    await gate.opened;
  };
  await withRawServer({ answer }, async (url) => {
    const limits = { maxBufferedBytes: 8 * 1024 * 1024, closeTimeoutMs: 100 };
    const socket = new WebSocket(url, [], { limits });
    await opened(socket);
    const megabyte = new Uint8Array(1024 * 1024);
    for (let i = 1; i <= 8; i++) {
      socket.send(megabyte);
      assert.equal(socket.bufferedAmount, i * megabyte.length);
    }
    // What the kernel has taken is transmitted; the rest counts without framing.
    const ended = endOf(socket);
    let sent = 8;
    while (socket.readyState === WebSocket.OPEN) {
      socket.send(megabyte);
      sent += 1;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await ended, { error: 'SEND_BUFFER_FULL', code: 1006, wasClean: false });
    const left = socket.bufferedAmount;
    assert.ok(left > limits.maxBufferedBytes && left < sent * megabyte.length, String(left));
    socket.send('more');
    assert.equal(socket.bufferedAmount, left + 4);
    gate.open();
  });
});

/** A socket over a link of the test's, whose calls are noted. */
async function overFakeLink() {
  const calls: unknown[] = [];
  let told: LinkHandlers | undefined;
  const link: Link = {
    protocol: '',
    extensions: '',
    isOpen: true,
    bufferedAmount: 0,
    bytesTaken: 0,
    send: (data) => calls.push(typeof data === 'string' ? data : [...data]) > 0,
    close: (code, reason) => void calls.push({ code, reason }),
    terminate: () => void calls.push('terminate'),
    hold() {},
    release() {},
    cork: () => void calls.push('cork'),
    uncork: () => void calls.push('uncork'),
  };
  const Socket = defineWebSocket({
    dial: () => async (handlers) => {
      told = handlers;
      return link;
    },
    queueTask: (task, a, b) => void setImmediate(task, a, b),
    afterTask: (call, a) => void setImmediate(call, a),
    utf8Length: (text) => Buffer.byteLength(text),
  });
  const socket = new Socket('ws://example.com');
  await opened(socket);
  assert.ok(told !== undefined);
  return { socket, handlers: told, calls };
}

describe('over a link', () => {
  test('what is sent for the messages of one packet leaves together', async () => {
    const { socket, handlers, calls } = await overFakeLink();
    socket.addEventListener('message', ({ data }) => socket.send(`re: ${data}`));
    for (const text of ['a', 'b', 'c']) handlers.message(text);
    assert.deepEqual(calls, []);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(calls, ['cork', 're: a', 'cork', 're: b', 're: c', 'uncork']);
  });

  test('what is sent behind a Blob waits for it, bytes as they were, and the close frame too', async () => {
    const { socket, calls } = await overFakeLink();
    const bytes = Uint8Array.of(7);
    socket.send(new Blob(['AB']));
    socket.send(bytes);
    socket.send('text');
    socket.send(new Blob([]));
    socket.close(1000, 'bye');
    assert.equal(socket.bufferedAmount, 7);
    bytes[0] = 0;
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(calls, [[65, 66], [7], 'text', [], { code: 1000, reason: 'bye' }]);
  });

  test('a Blob that cannot be read ends the connection before what follows it', async () => {
    const { socket, calls } = await overFakeLink();
    const blob = new Blob(['AB']);
    blob.arrayBuffer = () => Promise.reject(new Error('the file has changed'));
    socket.send(blob);
    socket.send('text');
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(calls, ['terminate']);
  });

  test('a link that comes after close() is ended', async () => {
    const gate = makeGate();
    const calls: string[] = [];
    const Socket = defineWebSocket({
      dial: () => async () => {
        await gate.opened;
        return { terminate: () => void calls.push('terminate') } as unknown as Link;
      },
      queueTask: (task, a, b) => void setImmediate(task, a, b),
      afterTask: (call, a) => void setImmediate(call, a),
      utf8Length: (text) => text.length,
    });
    const socket = new Socket('ws://example.com');
    socket.close();
    gate.open();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(calls, ['terminate']);
  });
});
