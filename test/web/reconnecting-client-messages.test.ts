import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ApertoError } from '../../dist/index.js';
import { scripted, settled } from './scripted-dial.ts';

function hasCode(code: string): (error: ApertoError) => boolean {
  return (error) => error.code === code;
}

describe('messages', () => {
  test('are sent at once while it is open', async (t) => {
    const { network, client } = scripted(t);
    const link = await network.open();
    assert.ok(client.send('text'));
    assert.ok(client.send(new Uint8Array([1, 2])));
    assert.ok(client.send(new Uint8Array([1, 2, 3]).buffer));
    assert.ok(client.send(new DataView(new Uint8Array([0, 1, 2, 3, 4]).buffer, 1, 3)));
    assert.ok(client.send(''));
    assert.deepEqual(link.sent, [
      'text',
      new Uint8Array([1, 2]),
      new Uint8Array([1, 2, 3]),
      new Uint8Array([1, 2, 3]),
      '',
    ]);
    assert.equal(client.queued, 0);
  });

  test('wait while it is not, and keep their order', async (t) => {
    const { network, client, log } = scripted(t);
    const bytes = new Uint8Array([1, 2]);
    assert.ok(client.send('1'));
    assert.ok(client.send(bytes));
    bytes.fill(9);
    await settled();
    assert.ok(client.send('€'));
    assert.deepEqual([client.queued, client.bufferedAmount], [3, 6]);
    const first = await network.open();
    assert.deepEqual(first.sent, ['1', new Uint8Array([1, 2]), '€']);
    assert.deepEqual([client.queued, client.bufferedAmount], [0, 0]);
    assert.deepEqual(log.take(), ['connecting 0', 'open', 'drain (open)']);
    first.end({ code: 1006 });
    assert.ok(client.send('3'));
    client.retry();
    const second = await network.open();
    assert.deepEqual(second.sent, ['3'], 'what was handed over is not sent again');
  });

  test('that `open` sends come first', async (t) => {
    const { network, client } = scripted(t, {
      open(opened) {
        for (const text of ['hello', 'again']) assert.ok(opened.send(text));
        assert.equal(opened.queued, 2);
      },
    });
    client.send('1');
    client.send('2');
    const link = await network.open();
    client.send('3');
    assert.deepEqual(link.sent, ['hello', 'again', '1', '2', '3']);
  });

  test('that `open` sends come first where the link is soon behind', async (t) => {
    const { network, client } = scripted(t, {
      open(opened) {
        for (const text of ['a', 'b', 'c']) assert.ok(opened.send(text));
      },
    });
    client.send('1');
    await settled();
    const link = network.last.succeed();
    link.isSlow = true;
    await settled();
    client.send('2');
    assert.deepEqual(link.sent, ['a']);
    link.isSlow = false;
    link.take();
    assert.deepEqual(link.sent, ['a', 'b', 'c', '1', '2']);
  });

  test('wait while the link is behind, until it has taken all', async (t) => {
    const { network, client, log } = scripted(t);
    const link = await network.open();
    link.isSlow = true;
    log.take();
    for (const text of ['1', '2', '3']) assert.ok(client.send(text));
    assert.deepEqual(link.sent, ['1']);
    assert.deepEqual([client.queued, client.bufferedAmount], [2, 12]);
    link.take(4);
    assert.deepEqual(link.sent, ['1']);
    link.take();
    assert.deepEqual(link.sent, ['1', '2']);
    assert.deepEqual(log.take(), []);
    link.take();
    assert.deepEqual(log.take(), ['drain (open)']);
    client.send('4');
    assert.deepEqual(link.sent, ['1', '2', '3']);
    link.end({ code: 1006 });
    client.retry();
    assert.deepEqual((await network.open()).sent, ['4']);
  });

  test('wait where the link is closing and has not said so', async (t) => {
    const { network, client } = scripted(t);
    const link = await network.open();
    link.isOpen = false;
    assert.ok(client.send('1'));
    assert.equal(client.queued, 1);
    link.end({ code: 1006 });
    client.retry();
    assert.deepEqual((await network.open()).sent, ['1']);
  });

  test('that are no messages are refused in every state', async (t) => {
    const { network, client } = scripted(t);
    const refusesAll = (): void => {
      for (const data of [5, null, undefined, {}, ['a']]) {
        const call = (): unknown => client.send(data as unknown as string);
        assert.throws(call, hasCode('INVALID_DATA'), client.state);
      }
    };
    refusesAll();
    await settled();
    refusesAll();
    const link = await network.open();
    refusesAll();
    client.close();
    refusesAll();
    link.end();
    refusesAll();
    assert.deepEqual(link.sent, []);
  });
});

describe('the queue', () => {
  test('refuses what it has no room for', async (t) => {
    const { client, network, log } = scripted(t, { queue: { maxMessages: 3, maxBytes: 5 } });
    assert.ok(client.send('12'));
    assert.ok(!client.send('1234'));
    assert.ok(client.send('€'));
    assert.ok(!client.send('x'), 'five bytes are there');
    assert.ok(client.send(''));
    assert.ok(!client.send(''), 'three messages are there');
    assert.deepEqual((await network.open()).sent, ['12', '€', '']);
    assert.deepEqual(log.take(), ['connecting 0', 'open', 'drain (open)']);
    assert.ok(client.send('a message larger than the queue'));
  });

  test('or drops the oldest', async (t) => {
    const queue = { maxMessages: 3, maxBytes: 5, policy: 'drop-oldest' } as const;
    const { client, network, log } = scripted(t, { queue });
    for (const text of ['1', '2', '3', '4']) assert.ok(client.send(text));
    assert.deepEqual(log.take(), ['dropped (waiting) 1']);
    assert.ok(client.send('5555'));
    assert.deepEqual(log.take(), ['dropped (waiting) 2', 'dropped (waiting) 3']);
    assert.ok(!client.send('666666'), 'it is larger than the queue');
    assert.deepEqual(log.take(), []);
    assert.deepEqual((await network.open()).sent, ['4', '5555']);
  });

  test('drops those that waited before what `open` sends', async (t) => {
    const queue = { maxMessages: 3, policy: 'drop-oldest' } as const;
    const { client, network, log } = scripted(t, {
      queue,
      open(opened) {
        for (const text of ['a', 'b', 'c']) assert.ok(opened.send(text));
      },
    });
    for (const text of ['1', '2', '3']) client.send(text);
    await settled();
    const link = network.last.succeed();
    link.isSlow = true;
    await settled();
    assert.deepEqual(log.take(), ['connecting 0', 'dropped (open) 1', 'dropped (open) 2']);
    link.isSlow = false;
    link.take();
    assert.deepEqual(link.sent, ['a', 'b', 'c', '3']);
  });

  test('has room again for what was handed over', async (t) => {
    const { client, network } = scripted(t, { queue: { maxMessages: 2, maxBytes: 4 } });
    for (let round = 0; round < 3; round += 1) {
      assert.ok(client.send('12'));
      assert.ok(client.send('34'));
      assert.ok(!client.send(''));
      const link = await network.open();
      assert.deepEqual(link.sent, ['12', '34']);
      link.end({ code: 1006 });
      client.retry();
    }
  });

  test('tells what is left in it at the end', async (t) => {
    const { client, log } = scripted(t);
    client.send('1');
    client.send('2');
    client.close();
    assert.deepEqual(log.take(), ['dropped (closed) 1', 'dropped (closed) 2', 'closed 1000']);
    assert.deepEqual([client.queued, client.bufferedAmount], [0, 0]);
  });

  test('tells it also after a final code', async (t) => {
    const { client, network, log } = scripted(t);
    const link = await network.open();
    link.isOpen = false;
    client.send('1');
    log.take();
    link.end({ code: 1000 });
    assert.deepEqual(log.take(), ['dropped (closed) 1', 'closed 1000']);
    assert.ok(!client.send('2'));
  });
});
