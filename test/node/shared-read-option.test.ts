import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer as createHttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { describe, test } from 'node:test';
import {
  attach,
  type ConnectOptions,
  connect as connectWebSocket,
  serve,
} from '../../dist/index.js';
import { trySharedReads } from '../../dist/node/shared-read-buffer.js';
import { localCertificate } from '../faults/certificate.ts';
import { dial } from '../faults/raw-client.ts';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, startServer } from './connections.ts';
import { settle, until, wasMoved, watchSockets } from './ways-of-reading.ts';

describe('the option sharedReadBuffer', () => {
  /** A value that the compiler would not let through, as JavaScript may hand in. */
  function wrong(value: unknown): { sharedReadBuffer: boolean } {
    return { sharedReadBuffer: value as boolean };
  }

  for (const value of ['true', '', 0, 1, {}, []]) {
    test(`is not ${JSON.stringify(value)}`, async () => {
      const expected = {
        name: 'ApertoError',
        code: 'INVALID_OPTION',
        message: /sharedReadBuffer is true or false/,
      };
      await assert.rejects(serve({ routes: {}, ...wrong(value) }), expected);
      await assert.rejects(connectWebSocket('ws://127.0.0.1:9', wrong(value)), expected);
      const http = createHttpServer();
      assert.throws(() => attach(http, { routes: {}, ...wrong(value) }), expected);
      assert.deepEqual([http.listenerCount('upgrade'), http.listenerCount('request')], [0, 0]);
    });
  }

  for (const [sharedReadBuffer, moves] of [
    [undefined, true],
    [true, true],
    [false, false],
  ] as const) {
    test(`serve: ${sharedReadBuffer} ${moves ? 'moves' : 'does not move'}`, async (t) => {
      const opened = new Mailbox<string | undefined>();
      const server = await startServer(t, {
        routes: { '/': { open: (peer) => opened.put(peer.remoteAddress) } },
        ...(sharedReadBuffer === undefined ? {} : { sharedReadBuffer }),
      });
      const sockets = watchSockets(t, 'server');
      const peer = await dialTo(t, server.url);
      assert.equal(await opened.next(), '127.0.0.1');
      await settle();
      const moved = (): boolean[] => sockets.map(({ socket }) => wasMoved(socket));
      assert.deepEqual(moved(), [false], 'who is silent is not moved');
      peer.pong();
      await settle();
      assert.deepEqual(moved(), [moves]);
    });

    const moved = sharedReadBuffer === true;
    test(`attach: ${sharedReadBuffer} ${moved ? 'moves' : 'does not move'}`, async (t) => {
      const http = createHttpServer();
      const sockets: Socket[] = [];
      const closed: Socket[] = [];
      http.on('connection', (socket) => {
        sockets.push(socket);
        socket.on('close', () => closed.push(socket));
      });
      const received = new Mailbox<unknown>();
      const server = attach(http, {
        routes: { '/': { message: (_, message) => received.put(message) } },
        ...(sharedReadBuffer === undefined ? {} : { sharedReadBuffer }),
      });
      await trySharedReads();
      http.listen(0, '127.0.0.1');
      await once(http, 'listening');
      const address = http.address();
      assert.ok(typeof address === 'object' && address !== null);
      const peer = await dialTo(t, `ws://127.0.0.1:${address.port}`);
      peer.send('x'.repeat(10_000));
      await received.next();
      const [socket] = sockets;
      assert.ok(socket !== undefined && sockets.length === 1);
      assert.equal(wasMoved(socket), moved);
      assert.equal(socket.bytesRead > 10_000, !moved);
      assert.equal(server.peers.size, 1);
      peer.terminate();
      await until('the peer to be gone', () => server.peers.size === 0);
      await settle();
      assert.equal(closed.length, moved ? 0 : 1);
      await within(
        'the HTTP server to close',
        new Promise((resolve) => {
          http.close(resolve);
        }),
      );
    });
  }

  const agent = new Agent();
  const connectCases: [name: string, options: ConnectOptions, moves: boolean][] = [
    ['moves without it', {}, true],
    ['moves with true', { sharedReadBuffer: true }, true],
    ['does not move with false', { sharedReadBuffer: false }, false],
    ['does not move with an agent', { agent }, false],
    ['moves with an agent and true', { agent, sharedReadBuffer: true }, true],
  ];
  for (const [name, options, moves] of connectCases) {
    test(`connect: ${name}`, async (t) => {
      const server = await startServer(t, {
        routes: { '/': { message: (peer, message) => void peer.send(message) } },
      });
      const sockets = watchSockets(t, 'client');
      const inbox = new Mailbox<unknown>();
      const peer = await dialTo(t, server.url, {
        ...options,
        message: (_, message) => inbox.put(message),
      });
      peer.send('echo');
      assert.equal(await inbox.next(), 'echo');
      await settle();
      assert.deepEqual(
        sockets.map(({ socket }) => wasMoved(socket)),
        [moves],
      );
      peer.close(1000);
      assert.equal((await within('the end', peer.closed)).code, 1000);
      // An agent has no place taken by it.
      assert.deepEqual(
        [agent.sockets, agent.freeSockets],
        [{}, {}].map((empty) => ({ __proto__: null, ...empty })),
      );
    });
  }

  test('does not concern TLS', async (t) => {
    const { cert, key } = await localCertificate();
    const sockets = watchSockets(t, 'server');
    const server = await startServer(t, {
      tls: { cert, key },
      routes: { '/': { message: (peer, message) => void peer.send(message) } },
      sharedReadBuffer: true,
    });
    const raw = await dial(server.port, true);
    raw.destroy();
    const inbox = new Mailbox<unknown>();
    const peer = await dialTo(t, server.url, {
      tls: { ca: cert },
      sharedReadBuffer: true,
      message: (_, message) => inbox.put(message),
    });
    peer.send('echo');
    assert.equal(await inbox.next(), 'echo');
    assert.ok(sockets.every(({ socket }) => !wasMoved(socket)));
  });
});
