import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApertoError } from '../../dist/index.js';
import type { ReconnectOptions } from '../../dist/web/reconnect-options.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import { ScriptedDial, scripted, settled } from './scripted-dial.ts';

function hasCode(code: string): (error: ApertoError) => boolean {
  return (error) => error.code === code;
}

describe('close()', () => {
  test('before the first attempt, there is none', async (t) => {
    const { client, network, log } = scripted(t);
    client.close(3000, 'no');
    await settled();
    assert.deepEqual(log.take(), ['closed 3000 no']);
    assert.deepEqual(await client.closed, { code: 3000, reason: 'no' });
    assert.equal(network.attempts.length, 0);
  });

  test('during an attempt, it is given up', async (t) => {
    const { client, network, log } = scripted(t);
    await settled();
    const { signal, succeed } = network.last;
    client.close();
    assert.ok(signal.aborted);
    assert.deepEqual(log.take(), ['connecting 0', 'closed 1000']);
    const late = succeed();
    await settled();
    assert.deepEqual(late.calls, ['terminate']);
    assert.deepEqual(log.take(), []);
  });

  test('while a function says where, nothing is dialled', async (t) => {
    let answer = (_url: string): void => {};
    const { client, network, log } = scripted(t, {}, () => {
      return new Promise<string>((resolve) => {
        answer = resolve;
      });
    });
    await settled();
    client.close();
    answer('ws://host/');
    await settled();
    assert.equal(network.attempts.length, 0);
    assert.deepEqual(log.take(), ['connecting 0', 'closed 1000']);
  });

  test('during a delay, there is no further attempt', async (t) => {
    const { client, network, log } = scripted(t);
    await network.fail();
    client.close();
    t.mock.timers.tick(100_000);
    await settled();
    assert.equal(network.attempts.length, 1);
    assert.equal(log.take().at(-1), 'closed 1000');
  });

  test('sends what is queued first', async (t) => {
    const { client, network, log } = scripted(t);
    const link = await network.open();
    link.isSlow = true;
    for (const text of ['1', '2', '3']) client.send(text);
    client.close();
    client.close(4000);
    assert.ok(!client.send('4'));
    assert.deepEqual(link.calls, []);
    link.take();
    assert.deepEqual(link.calls, []);
    link.receive('an acknowledgement');
    link.take();
    assert.deepEqual(link.sent, ['1', '2', '3']);
    assert.deepEqual(link.calls, ['close 1000']);
    link.end();
    assert.deepEqual(log.take(), [
      'connecting 0',
      'open',
      'closing',
      'message (closing) an acknowledgement',
      'closed 1000',
    ]);
  });

  test('but does not wait forever', async (t) => {
    const { client, network, log } = scripted(t, { handshakeTimeoutMs: 100 });
    const link = await network.open();
    link.isSlow = true;
    client.send('1');
    client.send('2');
    client.close();
    t.mock.timers.tick(99);
    assert.equal(client.state, 'closing');
    t.mock.timers.tick(1);
    assert.deepEqual(link.calls, ['terminate']);
    assert.deepEqual(log.take().slice(2), ['closing', 'dropped (closed) 2', 'closed 1006']);
  });

  test('is the end, whatever the other side says', async (t) => {
    const { client, network } = scripted(t);
    const link = await network.open();
    client.close();
    link.end({ code: 1012 });
    assert.equal(client.state, 'closed');
    assert.equal((await client.closed).code, 1012);
  });

  test('can be called by any handler', async (t) => {
    for (const name of ['connecting', 'open', 'message', 'drain', 'waiting'] as const) {
      const { client, network, log } = scripted(t, { [name]: () => client.close() });
      client.send('x');
      await settled();
      if (name === 'waiting') await network.fail();
      else if (name !== 'connecting') {
        const link = await network.open();
        if (name === 'message') link.receive('hello');
        assert.deepEqual([link.sent, link.calls.at(0)], [['x'], 'close 1000'], name);
        link.end();
      }
      await settled();
      assert.equal((await client.closed).code, 1000);
      assert.equal(log.take().at(-1), 'closed 1000');
      t.mock.restoreAll();
      t.mock.timers.reset();
    }
  });

  test('takes only what a browser may send', (t) => {
    const { client } = scripted(t);
    for (const code of [0, 999, 1001, 1006, 1011, 2999, 3000.5, 5000, Number.NaN, '1000']) {
      assert.throws(() => client.close(code as number), hasCode('INVALID_CLOSE_CODE'));
    }
    for (const reason of ['x'.repeat(124), '€'.repeat(42), 5, null]) {
      assert.throws(() => client.close(1000, reason as string), hasCode('INVALID_CLOSE_REASON'));
    }
    assert.equal(client.state, 'waiting');
    client.close(4999, '€'.repeat(41));
    assert.equal(client.state, 'closed');
  });

  test('is what `await using` does', async (t) => {
    const { client, network } = scripted(t);
    const link = await network.open();
    const disposed = client[Symbol.asyncDispose]();
    link.end();
    await disposed;
    assert.equal(client.state, 'closed');
  });
});

describe('handlers', () => {
  test('that throw or reject break nothing', async (t) => {
    const thrown = new Error('thrown');
    const errors: unknown[] = [];
    const fail = (): never => {
      throw thrown;
    };
    const reject = (): Promise<void> => Promise.reject(thrown);
    for (const handler of [fail, reject]) {
      const names = 'connecting open message drain waiting closing closed dropped'.split(' ');
      const options: ReconnectOptions = {
        ...Object.fromEntries(names.map((name) => [name, handler])),
        onError: (error) => errors.push(error),
      };
      const { client, network } = scripted(t, options);
      client.send('x');
      await network.fail();
      client.retry();
      const link = await network.open();
      link.receive('hello');
      link.isSlow = true;
      client.send('y');
      client.send('z');
      client.close();
      link.end();
      await settled();
      assert.equal((await client.closed).code, 1000);
      // Twice `connecting`, and each other one once.
      assert.deepEqual(errors.splice(0), Array(9).fill(thrown));
      t.mock.restoreAll();
      t.mock.timers.reset();
    }
  });

  test('are told of on the console where nobody else wants to know', async (t) => {
    const console_ = t.mock.method(console, 'error', () => {});
    const [thrown, second] = [new Error('thrown'), new Error('second')];
    const open = (): never => {
      throw thrown;
    };
    const onError = (): never => {
      throw second;
    };
    const { dial } = new ScriptedDial();
    for (const options of [{ connecting: open }, { connecting: open, onError }]) {
      const client = new ReconnectingClient(dial, 'ws://host/', options);
      client.retry();
      client.close();
    }
    assert.deepEqual(
      console_.mock.calls.map((call) => call.arguments),
      [[thrown], [second]],
    );
  });

  test('are called on the object they stand in', async () => {
    class Chat {
      readonly lines: string[] = [];
      message(_client: unknown, data: string | Uint8Array): void {
        this.lines.push(String(data));
      }
    }
    const chat = new Chat();
    const network = new ScriptedDial();
    const client = new ReconnectingClient(network.dial, 'ws://host/', chat);
    const link = await network.open();
    link.receive('hello');
    link.end();
    await client.closed;
    assert.deepEqual(chat.lines, ['hello']);
  });
});

describe('options', () => {
  const { dial } = new ScriptedDial();
  const wrong: unknown[] = [0, -1, 1.5, Number.NaN, '5', true, [5], {}];
  const make = (options: object) => () =>
    new ReconnectingClient(dial, 'ws://host/', options as ReconnectOptions);

  for (const name of ['stableMs', 'maxAttempts', 'handshakeTimeoutMs']) {
    test(`${name} is a number`, () => {
      for (const value of wrong) assert.throws(make({ [name]: value }), hasCode('INVALID_OPTION'));
      for (const value of [1, undefined, Number.POSITIVE_INFINITY])
        make({ [name]: value })().close();
    });
  }

  for (const [group, name] of [
    ['backoff', 'firstMs'],
    ['backoff', 'maxMs'],
    ['queue', 'maxMessages'],
    ['queue', 'maxBytes'],
  ] as const) {
    test(`${group}.${name} is a number`, () => {
      for (const value of wrong) {
        assert.throws(make({ [group]: { [name]: value } }), hasCode('INVALID_OPTION'));
      }
      for (const value of [1, undefined, Number.POSITIVE_INFINITY]) {
        make({ [group]: { [name]: value } })().close();
      }
    });
  }

  test('policy is one of two words', () => {
    for (const policy of ['', 'drop', 5, null]) {
      assert.throws(make({ queue: { policy } }), hasCode('INVALID_OPTION'));
    }
  });

  test('finalCodes is a list of codes', () => {
    for (const finalCodes of [1000, '1000', null, ['1000'], [1000.5], [-1]]) {
      assert.throws(make({ finalCodes }), hasCode('INVALID_OPTION'));
    }
    make({ finalCodes: [] })().close();
  });

  test('the error names what is wrong', () => {
    assert.throws(make({ stableMs: 0 }), /stableMs/);
  });
});

describe('the network', () => {
  /** What a browser has, for one test. */
  function inBrowser(t: Parameters<typeof scripted>[0]): {
    set(onLine: boolean): void;
    count(): number;
  } {
    const events = new EventTarget();
    const navigator = { onLine: true };
    let listeners = 0;
    const globals: Record<string, unknown> = {
      navigator,
      addEventListener(type: string, listener: () => void) {
        listeners += 1;
        events.addEventListener(type, listener);
      },
      removeEventListener(type: string, listener: () => void) {
        listeners -= 1;
        events.removeEventListener(type, listener);
      },
    };
    for (const [name, value] of Object.entries(globals)) {
      const before = Object.getOwnPropertyDescriptor(globalThis, name);
      Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
      t.after(() => {
        if (before === undefined) Reflect.deleteProperty(globalThis, name);
        else Object.defineProperty(globalThis, name, before);
      });
    }
    return {
      set(onLine) {
        navigator.onLine = onLine;
        events.dispatchEvent(new Event(onLine ? 'online' : 'offline'));
      },
      count: () => listeners,
    };
  }

  test('that is there again ends the delay', async (t) => {
    const network = inBrowser(t);
    const { client, network: dialled, log } = scripted(t);
    await dialled.fail();
    log.take();
    network.set(true);
    assert.deepEqual(log.take(), ['connecting 1']);
    network.set(true);
    assert.equal(client.state, 'connecting');
    await dialled.open();
    network.set(true);
    assert.equal(client.state, 'open');
  });

  test('that is not there is waited for, but not forever', async (t) => {
    const network = inBrowser(t);
    const { client, network: dialled, log } = scripted(t, { backoff: { maxMs: 60_000 } });
    const link = await dialled.open();
    network.set(false);
    assert.equal(client.state, 'open', 'it is only a hint');
    log.take();
    link.end({ code: 1006 });
    assert.deepEqual(log.take(), ['waiting 1 60000 1006']);
    t.mock.timers.tick(60_000);
    assert.deepEqual(log.take(), ['connecting 1']);
    await dialled.fail();
    log.take();
    network.set(true);
    assert.deepEqual(log.take(), ['connecting 2']);
  });

  test('is not listened to any more after the end', async (t) => {
    const network = inBrowser(t);
    const { client } = scripted(t);
    assert.equal(network.count(), 1);
    client.close();
    assert.equal(network.count(), 0);
  });
});
