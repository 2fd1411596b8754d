import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { ApertoError } from '../../dist/index.js';
import { browserDial, simpleBrowserDial } from '../../dist/web/browser-link.js';
import type { Link, LinkHandlers } from '../../dist/web/link.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import type { SimpleLink } from '../../dist/web/simple-link.js';
import { FakeWebSocket, useFakeWebSocket } from './fake-websocket.ts';
import { settled } from './scripted-dial.ts';

function hasCode(code: string): (error: ApertoError) => boolean {
  return (error) => error.code === code;
}

class Told implements LinkHandlers {
  readonly all: unknown[] = [];
  message(data: string | Uint8Array): void {
    this.all.push(data);
  }
  progress(): void {
    this.all.push('progress');
  }
  closing(): void {
    this.all.push('closing');
  }
  closed({ code, reason, wasClean }: Parameters<LinkHandlers['closed']>[0]): void {
    this.all.push([code, reason, wasClean]);
  }
}

const dials = { browserDial, simpleBrowserDial } as const;

interface Opened<L> {
  readonly link: L;
  readonly socket: FakeWebSocket;
  readonly told: Told;
}

async function open<L>(
  t: TestContext,
  dial: (
    url: string,
    protocols: string[],
    options: object,
  ) => (handlers: LinkHandlers, signal: AbortSignal) => Promise<L>,
): Promise<Opened<L>> {
  useFakeWebSocket(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const told = new Told();
  const attempt = dial('ws://host/', ['a', 'b'], {})(told, new AbortController().signal);
  const socket = FakeWebSocket.made[0] as FakeWebSocket;
  socket.opens('b', 'x-deflate');
  return { link: await attempt, socket, told };
}

for (const [name, dial] of Object.entries(dials)) {
  describe(`${name} plans`, () => {
    test('URLs of WebSockets and of the web', async (t) => {
      useFakeWebSocket(t);
      const attempted = (url: string): string | undefined => {
        dial(url, [], {})(new Told(), new AbortController().signal);
        return FakeWebSocket.made.at(-1)?.url;
      };
      assert.equal(attempted('ws://host'), 'ws://host/');
      assert.equal(attempted('wss://host:444/path?a=b'), 'wss://host:444/path?a=b');
      assert.equal(attempted('http://http.example/http'), 'ws://http.example/http');
      assert.equal(attempted('HTTPS://host/'), 'wss://host/');
      assert.equal(attempted('ws://http.example/'), 'ws://http.example/');
    });

    test('no other URLs', (t) => {
      useFakeWebSocket(t);
      const wrong = [
        '',
        '/relative',
        'ws://',
        'ftp://host/',
        'ws://host/#',
        'ws://host/#x',
        'wsx://h/',
      ];
      for (const url of [...wrong, 'ws://user:pass@host/', 'about:blank']) {
        assert.throws(() => dial(url, [], {}), hasCode('INVALID_URL'), url);
      }
      assert.equal(FakeWebSocket.made.length, 0);
    });

    test('distinct tokens as protocols', () => {
      const all = "!#$%&'*+-.^_`|~09AZaz";
      dial('ws://host/', [all, 'a', 'b'], {});
      for (const character of all) dial('ws://host/', [character], {});
      for (const character of '\0 "(),/:;<=>?@[\\]{}\x7fé') {
        const call = (): unknown => dial('ws://host/', [`a${character}`], {});
        assert.throws(call, hasCode('INVALID_PROTOCOL'), character);
      }
      for (const protocols of [[''], ['a', 'a'], 'chat', 'a']) {
        const call = (): unknown => dial('ws://host/', protocols as string[], {});
        assert.throws(call, hasCode('INVALID_PROTOCOL'));
      }
    });

    test('no headers', () => {
      const call = (): unknown => dial('ws://host/', [], { headers: {} });
      assert.throws(call, hasCode('INVALID_OPTION'));
    });
  });

  describe(`${name} connects`, () => {
    test('with what was agreed on', async (t) => {
      const { link, socket } = await open<SimpleLink>(t, dial);
      assert.deepEqual(socket.protocols, ['a', 'b']);
      assert.equal(socket.binaryType, 'arraybuffer');
      assert.equal(link.protocol, 'b');
      assert.ok(link.isOpen);
    });

    test('or not', async (t) => {
      useFakeWebSocket(t);
      const attempt = dial('ws://host/', [], {})(new Told(), new AbortController().signal);
      FakeWebSocket.made[0]?.ends(1006, '', false);
      await assert.rejects(attempt, hasCode('CONNECT_FAILED'));
    });

    test('unless the page may not', async (t) => {
      useFakeWebSocket(t);
      const refusal = new Error('a policy');
      FakeWebSocket.refuses = refusal;
      const attempt = dial('ws://host/', [], {})(new Told(), new AbortController().signal);
      await assert.rejects(attempt, refusal);
    });

    test('until it is aborted', async (t) => {
      useFakeWebSocket(t);
      const controller = new AbortController();
      const told = new Told();
      const attempt = dial('ws://host/', [], {})(told, controller.signal);
      const reason = new Error('enough');
      controller.abort(reason);
      await assert.rejects(attempt, reason);
      const socket = FakeWebSocket.made[0] as FakeWebSocket;
      assert.deepEqual(socket.closes, [[]]);
      // It was opening already.
      socket.opens();
      socket.receives('x');
      socket.ends(1006);
      assert.deepEqual(told.all, []);
    });

    test('and an abort that comes later changes nothing', async (t) => {
      useFakeWebSocket(t);
      const controller = new AbortController();
      const attempt = dial('ws://host/', [], {})(new Told(), controller.signal);
      FakeWebSocket.made[0]?.opens();
      const link = await attempt;
      controller.abort();
      assert.ok(link.isOpen);
    });
  });

  describe(`a link of ${name}`, () => {
    test('tells of messages and of the end', async (t) => {
      const { socket, told } = await open<SimpleLink>(t, dial);
      socket.receives('text');
      socket.receives(new Uint8Array([1, 2]));
      socket.receives('');
      socket.ends(4000, 'why');
      assert.deepEqual(told.all, ['text', new Uint8Array([1, 2]), '', [4000, 'why', true]]);
    });

    test('sends', async (t) => {
      const { link, socket } = await open<SimpleLink>(t, dial);
      const shared = new Uint8Array(new SharedArrayBuffer(2)).fill(7);
      assert.ok(link.send('text'));
      assert.ok(link.send(new Uint8Array([1, 2])));
      assert.ok(link.send(shared));
      assert.deepEqual(socket.sent, ['text', new Uint8Array([1, 2]), new Uint8Array([7, 7])]);
      const copy = socket.sent[2] as Uint8Array;
      assert.ok(copy.buffer instanceof ArrayBuffer, 'a browser takes no shared memory');
    });

    test('is behind above 64 KiB, and looks until nothing waits', async (t) => {
      const { link, socket, told } = await open<SimpleLink>(t, dial);
      const timers = t.mock.method(globalThis, 'setTimeout');
      assert.ok(link.send(new Uint8Array(64 * 1024)));
      assert.ok(!link.send('x'));
      assert.equal(link.bufferedAmount, 64 * 1024 + 1);
      t.mock.timers.tick(5);
      assert.deepEqual(told.all, []);
      socket.bufferedAmount = 1;
      t.mock.timers.tick(5);
      assert.deepEqual(told.all, []);
      socket.bufferedAmount = 0;
      t.mock.timers.tick(5);
      assert.deepEqual(told.all, ['progress']);
      const looked = timers.mock.callCount();
      t.mock.timers.tick(1000);
      assert.equal(timers.mock.callCount(), looked, 'it looks no more');
      assert.deepEqual(told.all, ['progress']);
    });

    test('closes', async (t) => {
      const { link, socket, told } = await open<SimpleLink>(t, dial);
      link.close(3000, 'bye');
      assert.deepEqual(socket.closes, [[3000, 'bye']]);
      assert.ok(!link.isOpen);
      socket.ends(3000, 'bye');
      assert.deepEqual(told.all, [[3000, 'bye', true]]);
    });

    test('is terminated at once', async (t) => {
      const { link, socket, told } = await open<SimpleLink>(t, dial);
      link.send('x');
      link.terminate();
      assert.deepEqual(told.all, [[1006, '', false]]);
      assert.ok(!link.isOpen);
      socket.receives('late');
      socket.ends(1000);
      t.mock.timers.tick(1000);
      assert.deepEqual(told.all, [[1006, '', false]]);
    });
  });
}

describe('a link of browserDial alone', () => {
  const opened = (t: TestContext): Promise<Opened<Link>> => open(t, browserDial);

  test('knows what the browser has taken', async (t) => {
    const { link, socket } = await opened(t);
    assert.equal(link.extensions, 'x-deflate');
    link.send('€');
    link.send(new Uint8Array(7));
    assert.deepEqual([link.bufferedAmount, link.bytesTaken], [10, 0]);
    socket.bufferedAmount = 4;
    assert.deepEqual([link.bufferedAmount, link.bytesTaken], [4, 6]);
    link.send('ab');
    assert.deepEqual([link.bufferedAmount, link.bytesTaken], [6, 6]);
  });

  test('sends nothing once it is not open', async (t) => {
    const { link, socket } = await opened(t);
    socket.readyState = 2;
    assert.ok(!link.isOpen);
    assert.ok(!link.send('x'));
    assert.deepEqual(socket.sent, []);
  });

  test('keeps what comes while it is held, and the end behind it', async (t) => {
    const { link, socket, told } = await opened(t);
    link.hold();
    socket.receives('1');
    socket.receives('2');
    socket.ends(1001);
    assert.deepEqual(told.all, []);
    link.release();
    assert.deepEqual(told.all, ['1', '2', [1001, '', true]]);
    link.release();
    assert.equal(told.all.length, 3);
  });

  test('is given up where it is held and 64 MiB wait', async (t) => {
    const { link, socket, told } = await open(t, browserDial);
    link.hold();
    const mebibyte = new Uint8Array(1024 * 1024);
    for (let i = 0; i < 64; i++) socket.receives(mebibyte);
    assert.deepEqual(told.all, []);
    socket.receives('x');
    assert.deepEqual(told.all, [[1006, '', false]]);
    assert.deepEqual(socket.closes, [[]]);
  });

  test('counts what waits anew once it was released', async (t) => {
    const { link, socket, told } = await open(t, browserDial);
    const large = new Uint8Array(40 * 1024 * 1024);
    for (let i = 0; i < 3; i++) {
      link.hold();
      socket.receives(large);
      link.release();
    }
    assert.equal(told.all.length, 3);
  });

  test('can be held again with each message', async (t) => {
    const { link, socket, told } = await opened(t);
    const { message } = told;
    t.mock.method(told, 'message', (data: string) => {
      message.call(told, data);
      link.hold();
    });
    for (const text of ['1', '2', '3']) socket.receives(text);
    assert.deepEqual(told.all, ['1']);
    link.release();
    assert.deepEqual(told.all, ['1', '2']);
    link.cork();
    link.uncork();
    link.release();
    assert.deepEqual(told.all, ['1', '2', '3']);
  });

  for (const how of ['close', 'terminate'] as const) {
    test(`delivers nothing more after ${how}`, async (t) => {
      const { link, socket, told } = await opened(t);
      link.hold();
      socket.receives('1');
      if (how === 'close') link.close(undefined, '');
      else link.terminate();
      assert.deepEqual(socket.closes, [[]]);
      socket.ends(1005);
      assert.deepEqual(told.all, [how === 'close' ? [1005, '', true] : [1006, '', false]]);
    });
  }

  test('terminated when it has ended while it was held, tells how it ended', async (t) => {
    const { link, socket, told } = await opened(t);
    link.hold();
    socket.receives('1');
    socket.ends(1001);
    link.terminate();
    assert.deepEqual(told.all, [[1001, '', true]]);
  });
});

test('a client that reconnects over it', async (t) => {
  useFakeWebSocket(t);
  const states: string[] = [];
  const client = new ReconnectingClient(simpleBrowserDial, 'ws://host/', {
    backoff: { firstMs: 1, maxMs: 1 },
    message: (_client, data) => {
      states.push(String(data));
    },
    waiting: (_client, { code }) => {
      states.push(`waiting ${code}`);
    },
    closed: (_client, { code }) => {
      states.push(`closed ${code}`);
    },
  });
  client.send('queued');
  await settled();
  FakeWebSocket.made[0]?.ends(1006);
  await settled();
  client.retry();
  await settled();
  const socket = FakeWebSocket.made[1] as FakeWebSocket;
  socket.opens();
  await settled();
  assert.deepEqual(socket.sent, ['queued']);
  socket.receives('answer');
  client.close();
  assert.deepEqual(socket.closes, [[1000, '']]);
  socket.ends(1000);
  await client.closed;
  assert.deepEqual(states, ['waiting 1006', 'answer', 'closed 1000']);
});
