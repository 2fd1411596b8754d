import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ApertoError, type ClientPeer, type Message, type Peer } from '../../dist/index.js';
import { within } from '../faults/raw-socket.ts';
import { dialTo, Mailbox, makeGate, startServer } from './connections.ts';

async function readAll(peer: ClientPeer): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of peer) messages.push(message);
  return messages;
}

/** Waits until a number does not change any more for 100 ms. */
async function untilSteady(look: () => number): Promise<void> {
  let before = Number.NaN;
  for (let steady = 0; steady < 5; ) {
    const now = look();
    steady = now === before ? steady + 1 : 0;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('for await', () => {
  test('reads what came before the loop, and ends cleanly', async (t) => {
    for (const code of [1000, 1001, undefined]) {
      const server = await startServer(t, {
        routes: {
          '/': {
            open(peer) {
              for (const text of ['a', 'b', 'c']) peer.send(text);
              peer.send(Buffer.from('d'));
              peer.close(code);
            },
          },
        },
      });
      const peer = await dialTo(t, server.url);
      await nextTurn();
      const [a, b, c, d, ...more] = await within('the loop', readAll(peer));
      assert.deepEqual([a, b, c, more], ['a', 'b', 'c', []]);
      assert.deepEqual(new Uint8Array(d as Uint8Array), new Uint8Array(Buffer.from('d')));
      assert.equal((await peer.closed).code, code ?? 1005);
      assert.deepEqual(await readAll(peer), [], 'another loop finds nothing');
    }
  });

  test('throws with any other code', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/4000': { open: (peer) => peer.close(4_000) },
        '/1006': { open: (peer) => peer.terminate() },
      },
    });
    await assert.rejects(within('4000', readAll(await dialTo(t, `${server.url}/4000`))), {
      code: 'CLOSED_BY_PEER',
      message: /4000/,
    });
    const lost = await dialTo(t, `${server.url}/1006`);
    const thrown = await within(
      '1006',
      readAll(lost).catch((error: unknown) => error),
    );
    assert.ok(thrown instanceof ApertoError);
    assert.equal(thrown.code, 'CONNECTION_LOST');
    assert.equal((await lost.closed).error, thrown);
  });

  test('break leaves the peer open, and the next loop goes on', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/': {
          open(peer) {
            for (let at = 0; at < 10; at++) peer.send(String(at));
          },
        },
      },
    });
    const peer = await dialTo(t, server.url);
    const read: Message[] = [];
    while (read.length < 10) {
      for await (const message of peer) {
        read.push(message);
        if (read.length % 3 === 0 || read.length === 10) break;
      }
      assert.equal(peer.state, 'open');
    }
    assert.deepEqual(read.map(Number), [...Array(10).keys()]);
  });

  test('one loop at a time', async (t) => {
    const server = await startServer(t, {
      routes: { '/': { open: (peer) => void peer.send('x') } },
    });
    const peer = await dialTo(t, server.url);
    for await (const _ of peer) {
      await assert.rejects(readAll(peer), { code: 'MESSAGES_TAKEN' });
      assert.throws(() => peer[Symbol.asyncIterator](), { code: 'MESSAGES_TAKEN' });
      break;
    }
  });

  test('after a first next by hand', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/': {
          open(peer) {
            for (const text of ['hello', 'one', 'two']) peer.send(text);
            peer.close(1000);
          },
        },
      },
    });
    const peer = await dialTo(t, server.url);
    const messages = peer[Symbol.asyncIterator]();
    assert.deepEqual(await messages.next(), { done: false, value: 'hello' });
    const rest: Message[] = [];
    for await (const message of messages) rest.push(message);
    assert.deepEqual(rest, ['one', 'two']);
  });

  test('in open, on the server', async (t) => {
    const done = new Mailbox<Message[]>();
    const server = await startServer(t, {
      routes: {
        '/': {
          async open(peer: Peer) {
            const messages: Message[] = [];
            for await (const message of peer) {
              messages.push(message);
              await nextTurn();
              peer.send(`got ${message}`);
            }
            done.put(messages);
          },
        },
      },
    });
    const inbox = new Mailbox<Message>();
    const client = await dialTo(t, server.url, { message: (_, message) => inbox.put(message) });
    for (const text of ['a', 'b', 'c']) client.send(text);
    assert.deepEqual(await inbox.take(3), ['got a', 'got b', 'got c']);
    client.close(1000);
    assert.deepEqual(await done.next(), ['a', 'b', 'c']);
  });

  test('an error in the loop of open closes with 1011', async (t) => {
    const errors = new Mailbox<unknown>();
    const server = await startServer(t, {
      onError: errors.put,
      routes: {
        '/': {
          async open(peer: Peer) {
            for await (const message of peer) throw new Error(`cannot ${message}`);
          },
        },
      },
    });
    const client = await dialTo(t, server.url);
    client.send('read');
    assert.match(String(await errors.next()), /cannot read/);
    assert.equal((await within('the end', client.closed)).code, 1011);
  });
});

describe('backpressure', () => {
  test('who does not read slows the sender down, and loses nothing', async (t) => {
    const count = 400;
    const size = 50_000;
    let sent = 0;
    const stalled = makeGate();
    const fill = (peer: Peer): void => {
      while (sent < count) {
        if (peer.send(Buffer.alloc(size, sent++ % 251))) continue;
        stalled.open();
        return;
      }
    };
    const server = await startServer(t, {
      limits: { maxBufferedBytes: 2 ** 30 },
      routes: { '/': { open: fill, drain: fill } },
    });
    const client = await dialTo(t, server.url);
    await within('the sender to wait', stalled.opened);
    await untilSteady(() => sent);
    assert.ok(sent < count, 'all was taken, although nobody read');
    const [peer] = [...server.peers] as [Peer];
    assert.ok(peer.bufferedAmount > 65_536, `${peer.bufferedAmount}`);
    let got = 0;
    for await (const message of client) {
      assert.ok(typeof message !== 'string' && message.length === size);
      assert.ok(message[0] === got % 251 && message[size - 1] === got % 251);
      if (++got === count) break;
    }
    assert.equal(sent, count);
    assert.equal(peer.bufferedAmount, 0);
  });

  test('an async message handler is one, too', async (t) => {
    const gate = makeGate();
    let handled = 0;
    const server = await startServer(t, {
      routes: {
        '/': {
          async message() {
            handled++;
            await gate.opened;
          },
        },
      },
    });
    const client = await dialTo(t, server.url, { limits: { maxBufferedBytes: 2 ** 30 } });
    let sent = 0;
    const fill = (): void => {
      while (client.bufferedAmount < 1_000_000) {
        client.send(Buffer.alloc(50_000));
        sent++;
      }
    };
    await untilSteady(() => {
      fill();
      return sent;
    });
    assert.equal(handled, 1);
    gate.open();
    while (client.bufferedAmount > 0) await nextTurn();
    client.close(1000);
    await within('the end', client.closed);
    assert.equal(handled, sent);
  });
});
