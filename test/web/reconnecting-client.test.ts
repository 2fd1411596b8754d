import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ApertoError } from '../../dist/index.js';
import { ReconnectingClient } from '../../dist/web/reconnecting-client.js';
import { ScriptedDial, scripted, settled } from './scripted-dial.ts';

function hasCode(code: string): (error: ApertoError) => boolean {
  return (error) => error.code === code;
}

describe('states', () => {
  test('each is told once, in order', async (t) => {
    const { network, client, log } = scripted(t);
    assert.equal(client.state, 'waiting');
    assert.deepEqual(log.take(), [], 'nobody is told before the client is there');
    await settled();
    assert.deepEqual(log.take(), ['connecting 0']);
    assert.equal(client.protocol, '');
    const first = await network.open('chat');
    assert.equal(client.protocol, 'chat');
    first.receive('hello');
    first.end({ code: 1001, reason: 'restart' });
    assert.equal(client.protocol, '');
    assert.deepEqual(log.take(), ['open', 'message (open) hello', 'waiting 1 1000 1001 restart']);
    t.mock.timers.tick(999);
    assert.deepEqual(log.take(), []);
    t.mock.timers.tick(1);
    assert.deepEqual(log.take(), ['connecting 1']);
    const second = await network.open();
    client.close(4000, 'done');
    assert.deepEqual(second.calls, ['close 4000 done']);
    assert.deepEqual(log.take(), ['open', 'closing']);
    second.end({ code: 4000, reason: 'done' });
    assert.deepEqual(log.take(), ['closed 4000 done']);
    assert.equal((await client.closed).code, 4000);
    t.mock.timers.tick(1_000_000);
    await settled();
    assert.deepEqual(log.take(), []);
    assert.equal(network.attempts.length, 2);
  });

  test('a failed attempt leads to the next', async (t) => {
    const { network, log } = scripted(t);
    await network.fail(new Error('refused'));
    assert.deepEqual(log.take(), ['connecting 0', 'waiting 1 1000 1006 refused']);
    t.mock.timers.tick(1000);
    await network.open();
    assert.deepEqual(log.take(), ['connecting 1', 'open']);
  });

  test('what is told too late is not heard', async (t) => {
    const { network, client, log } = scripted(t, { finalCodes: [1000] });
    const link = await network.open();
    link.end({ code: 1012 });
    log.take();
    link.end({ code: 1000 });
    assert.equal(client.state, 'waiting');
    assert.deepEqual(log.take(), []);
  });
});

describe('delays', () => {
  test('double up to the most, by chance', async (t) => {
    const { network, log } = scripted(t, { backoff: { firstMs: 100, maxMs: 1000 } });
    const random = t.mock.method(Math, 'random', () => 0.5);
    const delays: number[] = [];
    for (const chance of [0.5, 0.25, 1, 0.5, 0.5, 0]) {
      random.mock.mockImplementation(() => chance);
      log.take();
      await network.fail();
      const delay = Number(log.take().at(-1)?.split(' ')[2]);
      delays.push(delay);
      t.mock.timers.tick(delay);
    }
    assert.deepEqual(delays, [100, 100, 800, 500, 500, 0]);
  });

  test('begin again after a stable connection, and only then', async (t) => {
    const { network, log } = scripted(t, { stableMs: 50 });
    for (const expected of ['1 1000', '2 2000', '3 4000']) {
      const link = await network.open();
      t.mock.timers.tick(49);
      log.take();
      link.end({ code: 1006 });
      assert.deepEqual(log.take(), [`waiting ${expected} 1006`]);
      t.mock.timers.tick(100_000);
    }
    const link = await network.open();
    t.mock.timers.tick(50);
    log.take();
    link.end({ code: 1006 });
    assert.deepEqual(log.take(), ['waiting 0 500 1006']);
    t.mock.timers.tick(500);
    assert.deepEqual(log.take(), ['connecting 0']);
  });

  test('are as long as the server asks for, and then a random time', async (t) => {
    const { network, log } = scripted(t, {}, undefined, (error) => (error as { ms: number }).ms);
    await network.fail({ ms: 5000 });
    assert.deepEqual(log.take(), ['connecting 0', 'waiting 1 6000 1006']);
  });

  test('may be without bounds: a timer takes no more than 24 days', async (t) => {
    const infinite = { firstMs: Number.POSITIVE_INFINITY, maxMs: Number.POSITIVE_INFINITY };
    const { network, log } = scripted(t, {
      backoff: infinite,
      stableMs: Number.POSITIVE_INFINITY,
      handshakeTimeoutMs: Number.POSITIVE_INFINITY,
    });
    await network.fail();
    assert.deepEqual(log.take(), ['connecting 0', `waiting 1 ${2 ** 29} 1006 refused`]);
  });

  test('retry() ends them', async (t) => {
    const { network, client, log } = scripted(t);
    const { retry } = client;
    await network.fail();
    log.take();
    retry();
    retry();
    assert.deepEqual(log.take(), ['connecting 1']);
    await settled();
    assert.equal(network.attempts.length, 2);
    await network.open();
    client.retry();
    await settled();
    assert.equal(network.attempts.length, 2);
    assert.equal(client.state, 'open');
  });
});

test('restart() gives a connection up as if it were lost, and does nothing without one', async (t) => {
  const { network, client, log } = scripted(t);
  client.restart();
  const link = await network.open();
  log.take();
  client.restart();
  assert.deepEqual(link.calls, ['terminate']);
  assert.deepEqual(log.take(), ['waiting 1 1000 1006']);
  client.restart();
  assert.equal(client.state, 'waiting');
});

describe('it ends', () => {
  for (const code of [1000, 1002, 1003, 1007, 1008, 1010]) {
    test(`after ${code}`, async (t) => {
      const { network, client, log } = scripted(t);
      const link = await network.open();
      log.take();
      const error = new Error('why');
      link.end({ code, reason: 'over', wasClean: false, error });
      assert.deepEqual(log.take(), [`closed ${code} over why`]);
      assert.deepEqual(await client.closed, { code, reason: 'over', wasClean: false, error });
    });
  }

  for (const code of [1001, 1005, 1006, 1009, 1011, 1012, 1013, 1014, 3000, 4000]) {
    test(`but not after ${code}`, async (t) => {
      const { network, client } = scripted(t);
      (await network.open()).end({ code });
      assert.equal(client.state, 'waiting');
    });
  }

  test('after the codes that are asked for', async (t) => {
    const { network, client } = scripted(t, { finalCodes: [4001] });
    (await network.open()).end({ code: 1000 });
    assert.equal(client.state, 'waiting');
    client.retry();
    (await network.open()).end({ code: 4001 });
    assert.equal(client.state, 'closed');
  });

  test('with the first failure, where 1006 is final', async (t) => {
    const { network, log } = scripted(t, { finalCodes: [1006] });
    await network.fail();
    assert.deepEqual(log.take(), ['connecting 0', 'closed 1006 refused']);
  });

  test('after as many attempts as are allowed', async (t) => {
    const { network, client, log } = scripted(t, { maxAttempts: 3, stableMs: 10 });
    await network.fail();
    client.retry();
    // A connection that does not last is no success.
    (await network.open()).end({ code: 1006 });
    client.retry();
    const last = new Error('the last one');
    log.take();
    await network.fail(last);
    const { code, error } = await client.closed;
    assert.equal(code, 1006);
    assert.ok(hasCode('ATTEMPTS_EXHAUSTED')(error as ApertoError));
    assert.equal((error as Error).cause, last);
    assert.equal(log.take().length, 1);
  });

  test('after so many since a connection was stable', async (t) => {
    const { network, client } = scripted(t, { maxAttempts: 1, stableMs: 10 });
    const first = await network.open();
    t.mock.timers.tick(10);
    first.end({ code: 1006 });
    assert.equal(client.state, 'waiting');
    client.retry();
    (await network.open()).end({ code: 1006 });
    assert.equal(client.state, 'closed');
  });
});

describe('an attempt has its time', () => {
  test('to connect', async (t) => {
    const { network, log } = scripted(t, { handshakeTimeoutMs: 100 });
    await settled();
    const { signal, succeed } = network.last;
    t.mock.timers.tick(99);
    assert.ok(!signal.aborted);
    t.mock.timers.tick(1);
    assert.ok(signal.aborted);
    assert.match(log.take().join('; '), /^connecting 0; waiting 1 1000 1006 the opening handshake/);
    // It comes all the same.
    const late = succeed();
    await settled();
    assert.deepEqual(late.calls, ['terminate']);
    assert.deepEqual(log.take(), []);
  });

  test('to say where', async (t) => {
    const signals: AbortSignal[] = [];
    const target = (_attempt: number, signal: AbortSignal): Promise<string> => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const { log } = scripted(t, { handshakeTimeoutMs: 100 }, target);
    await settled();
    t.mock.timers.tick(100);
    assert.match(log.take().join('; '), /; waiting 1 1000 1006 the opening handshake/);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [true],
    );
  });
});

describe('where to connect', () => {
  const settings = { protocols: ['a', 'b'], connect: { headers: { cookie: '1' } } };

  test('the same each time', async (t) => {
    for (const target of ['ws://host/x', new URL('ws://host/x'), { url: 'ws://host/x' }]) {
      const { network, client } = scripted(t, settings, target);
      await network.fail();
      client.retry();
      await settled();
      assert.equal(network.attempts.length, 2);
      for (const { url, protocols, options } of network.attempts) {
        assert.deepEqual(
          [url, protocols, options],
          ['ws://host/x', ['a', 'b'], { headers: { cookie: '1' } }],
        );
      }
      t.mock.restoreAll();
      t.mock.timers.reset();
    }
  });

  test('nothing is asked for by default', async (t) => {
    const { network } = scripted(t);
    await settled();
    assert.deepEqual([network.last.protocols, network.last.options], [[], {}]);
  });

  test('with protocols and headers of its own', async (t) => {
    const target = { url: new URL('ws://host/x'), protocols: ['c'], headers: { token: '2' } };
    const connect = { headers: { cookie: '1' }, other: true };
    const { network } = scripted(t, { ...settings, connect }, target);
    await settled();
    const { url, protocols, options } = network.last;
    assert.deepEqual(
      [url, protocols, options],
      ['ws://host/x', ['c'], { headers: { token: '2' }, other: true }],
    );
  });

  test('what a function says before each attempt', async (t) => {
    const { network, client } = scripted(t, { stableMs: 10 }, async (attempt) => {
      await nextTurn();
      return { url: `ws://host/${attempt}`, headers: { token: `t${attempt}` } };
    });
    const urls = async (): Promise<string> => {
      await settled();
      await settled();
      return `${network.last.url} ${JSON.stringify(network.last.options)}`;
    };
    assert.equal(await urls(), 'ws://host/0 {"headers":{"token":"t0"}}');
    await network.fail();
    client.retry();
    assert.equal(await urls(), 'ws://host/1 {"headers":{"token":"t1"}}');
    const link = await network.open();
    t.mock.timers.tick(10);
    link.end({ code: 1006 });
    client.retry();
    assert.equal(await urls(), 'ws://host/0 {"headers":{"token":"t0"}}');
  });

  test('a function that fails is a failed attempt', async (t) => {
    const answers = [
      () => {
        throw new Error('thrown');
      },
      () => Promise.reject(new Error('rejected')),
      () => 'ws://misuse/',
      () => 'ws://host/',
    ];
    const { network, client, log } = scripted(t, {}, (attempt) => answers[attempt]?.() ?? '');
    for (const expected of ['thrown', 'rejected', 'misuse of ws://misuse/']) {
      await settled();
      assert.match(log.take().at(-1) ?? '', new RegExp(`waiting .* 1006 ${expected}`));
      client.retry();
    }
    await network.open();
    assert.equal(client.state, 'open');
  });

  test('misuse is told at once where it is no function', () => {
    const { dial } = new ScriptedDial();
    assert.throws(() => new ReconnectingClient(dial, 'ws://misuse/', {}), /misuse of/);
    assert.throws(() => new ReconnectingClient(dial, { url: 'ws://misuse/' }, {}), /misuse of/);
  });
});
