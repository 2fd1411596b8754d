/** A client that reconnects, over real sockets. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { RejectUpgrade, serve } from '../../dist/index.js';
import type { DialOptions } from '../../dist/node/client/dial.js';
import { dialLink } from '../../dist/node/client/link-session.js';
import type { ReconnectOptions, ReconnectTarget } from '../../dist/web/reconnect-options.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import { retryAfterMs } from '../../dist/web/retry-after.js';
import { within } from '../faults/raw-socket.ts';
import { Mailbox, startServer } from '../node/connections.ts';

function reconnect(
  t: TestContext,
  target: ReconnectTarget,
  options: ReconnectOptions<DialOptions>,
): ReconnectingClient<DialOptions> {
  const client = new ReconnectingClient(dialLink, target, options, retryAfterMs);
  t.after(() => client[Symbol.asyncDispose]());
  return client;
}

const backoff = { firstMs: 5, maxMs: 20 };

describe('a client that reconnects', () => {
  test('comes back to a server that cuts it off, with a fresh token', async (t) => {
    const tokens: (string | undefined)[] = [];
    const server = await startServer(t, {
      routes: {
        '/': {
          protocols: ['chat'],
          upgrade({ headers }) {
            tokens.push(headers.authorization);
            return undefined;
          },
          message(peer, data) {
            if (data === 'cut') peer.terminate();
            else if (data === 'restart') peer.close(1012, 'restart');
            else if (data === 'done') peer.close(1000);
            else peer.send(data);
          },
        },
      },
    });
    const inbox = new Mailbox<unknown>();
    const codes: number[] = [];
    let calls = 0;
    const client = reconnect(
      t,
      async () => {
        calls += 1;
        return { url: server.url, headers: { Authorization: `token ${calls}` } };
      },
      {
        protocols: ['chat'],
        backoff,
        stableMs: 1,
        connect: { compression: false },
        message: (_client, data) => inbox.put(data),
        waiting: (_client, { code }) => {
          codes.push(code);
        },
      },
    );
    client.send('first');
    assert.equal(await inbox.next(), 'first');
    assert.equal(client.protocol, 'chat');
    client.send('cut');
    client.send(new Uint8Array([1, 2, 3]));
    client.send('restart');
    // At most once: what was handed to the connection that was cut off may be gone.
    while (codes.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    client.send('second');
    assert.equal(await inbox.next(), 'second');
    assert.deepEqual(codes, [1006]);
    client.send('restart');
    while (codes.length === 1) await new Promise((resolve) => setTimeout(resolve, 1));
    client.send('third');
    assert.equal(await inbox.next(), 'third');
    client.send('done');
    assert.equal((await client.closed).code, 1000);
    assert.deepEqual(codes, [1006, 1012]);
    assert.deepEqual(tokens, ['token 1', 'token 2', 'token 3']);
  });

  test('waits as long as a server that refuses asks for', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/': {
          upgrade() {
            throw new RejectUpgrade(503, { headers: { 'Retry-After': '7' } });
          },
        },
      },
    });
    const waits = new Mailbox<{ delayMs: number; error?: unknown }>();
    reconnect(t, server.url, { backoff, waiting: (_client, wait) => waits.put(wait) });
    const { delayMs, error } = await waits.next();
    assert.ok(delayMs >= 7000 && delayMs <= 7020, String(delayMs));
    assert.equal((error as { response: { status: number } }).response.status, 503);
  });

  test('connects once there is a server', async (t) => {
    const before = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => before.once('listening', resolve));
    const { port } = before.address() as AddressInfo;
    await new Promise((resolve) => before.close(resolve));
    const waits = new Mailbox<unknown>();
    const inbox = new Mailbox<unknown>();
    const client = reconnect(t, `ws://127.0.0.1:${port}/`, {
      backoff,
      message: (_client, data) => inbox.put(data),
      waiting: (_client, { error }) => waits.put((error as { code: string }).code),
    });
    client.send('hello');
    assert.deepEqual(await waits.take(2), ['CONNECT_FAILED', 'CONNECT_FAILED']);
    const server = await serve({
      port,
      routes: { '/': { message: (peer, data) => void peer.send(data) } },
    });
    t.after(() => server.close({ timeoutMs: 200 }));
    assert.equal(await inbox.next(), 'hello');
  });

  test('gives up an attempt on a server that does not answer', async (t) => {
    const silent = createServer();
    silent.on('upgrade', () => {});
    silent.listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    t.after(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    const codes = new Mailbox<unknown>();
    const client = reconnect(t, `ws://127.0.0.1:${port}/`, {
      backoff,
      handshakeTimeoutMs: 20,
      maxAttempts: 2,
      waiting: (_client, { error }) => codes.put((error as { code: string }).code),
    });
    assert.equal(await codes.next(), 'HANDSHAKE_TIMEOUT');
    const { error } = await client.closed;
    assert.equal((error as { code: string }).code, 'ATTEMPTS_EXHAUSTED');
  });

  for (const limits of [
    {},
    { highWaterMarkBytes: 1 },
    { highWaterMarkBytes: 1, maxBufferedBytes: 1 },
  ]) {
    test(`hands over all in order, with ${JSON.stringify(limits)}`, async (t) => {
      const inbox = new Mailbox<string>();
      const server = await startServer(t, {
        routes: {
          '/': {
            message(_peer, data) {
              inbox.put(`${String(data).length} ${String(data).trim()}`);
            },
          },
        },
      });
      const client = reconnect(t, server.url, {
        connect: { limits },
        queue: { maxBytes: 8 * 1024 * 1024 },
      });
      const sizes = Array.from({ length: 300 }, (_, i) => (i % 10 === 0 ? 100_000 : 10 + i));
      for (const [i, size] of sizes.entries()) assert.ok(client.send(`${i}`.padEnd(size)));
      assert.deepEqual(
        await inbox.take(sizes.length),
        sizes.map((size, i) => `${size} ${i}`),
      );
      assert.deepEqual([client.queued, client.bufferedAmount], [0, 0]);
    });
  }

  test('sends all that is queued before it closes', async (t) => {
    const inbox = new Mailbox<string>();
    const ends = new Mailbox<string>();
    const server = await startServer(t, {
      routes: {
        '/': {
          message: (_peer, data) => inbox.put(String(data).trim()),
          close: (_peer, code, reason) => ends.put(`${code} ${reason}`),
        },
      },
    });
    const client = reconnect(t, server.url, {
      queue: { maxBytes: 64 * 1024 * 1024 },
      open(opened) {
        for (let i = 0; i < 40; i += 1) opened.send(`${i}`.padEnd(500_000));
        opened.close(4000, 'bye');
      },
    });
    assert.deepEqual(
      await inbox.take(40),
      Array.from({ length: 40 }, (_, i) => `${i}`),
    );
    assert.equal(await ends.next(), '4000 bye');
    assert.deepEqual(await client.closed, {
      code: 4000,
      // A server answers with the code alone.
      reason: '',
      wasClean: true,
      error: undefined,
    });
  });

  test('keeps its process alive while it waits, and no longer', async () => {
    const from = (path: string): string =>
      JSON.stringify(new URL(`../../dist/${path}.js`, import.meta.url).href);
    const source = `
      import { dialLink } from ${from('node/client/link-session')};
      import { ReconnectingClient } from ${from('web/reconnecting-client')};
      // Nothing listens on the discard port of this machine.
      new ReconnectingClient(dialLink, 'ws://127.0.0.1:9/', {
        backoff: { firstMs: 20, maxMs: 20 },
        maxAttempts: 4,
        waiting: (client, { attempt }) => console.log('waiting', attempt),
        closed: (client, { error }) => console.log('closed', error.code),
      });
      new ReconnectingClient(dialLink, 'ws://127.0.0.1:9/', {
        backoff: { firstMs: 1e9, maxMs: 1e9 },
        waiting: (client) => client.close(),
      });
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const output = await within('the end of the process', text(child.stdout));
    assert.equal(output, 'waiting 1\nwaiting 2\nwaiting 3\nclosed ATTEMPTS_EXHAUSTED\n');
  });

  test('misuse of a fixed target is told at once', () => {
    for (const [target, code] of [
      ['http://host/', 'INVALID_URL'],
      [{ url: 'ws://host/', protocols: ['a b'] }, 'INVALID_PROTOCOL'],
      [{ url: 'ws://host/', headers: { Upgrade: 'x' } }, 'INVALID_HEADER'],
    ] as const) {
      assert.throws(
        () => new ReconnectingClient(dialLink, target, {}),
        (error: { code?: string }) => error.code === code,
      );
    }
    assert.throws(
      () =>
        new ReconnectingClient(dialLink, 'ws://host/', { connect: { limits: { maxHeaders: 0 } } }),
      (error: { code?: string }) => error.code === 'INVALID_OPTION',
    );
  });
});
