/** What our WebSocketStream asks of its link and makes of what that tells, moment by moment. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ApertoError, errorTable } from '../../dist/index.js';
import { WebSocketError } from '../../dist/web/websocket-error.js';
import { defineWebSocketStream } from '../../dist/web/websocket-stream.js';
import { within } from '../faults/raw-socket.ts';
import { FakeDial } from './fake-link.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

function begin(options?: object) {
  const fake = new FakeDial();
  const WebSocketStream = defineWebSocketStream(fake.dial);
  return { fake, stream: new WebSocketStream('ws://example.com/chat', options) };
}

async function open() {
  const { fake, stream } = begin();
  const link = fake.succeed();
  const { readable, writable } = await stream.opened;
  return { stream, link, readable, writable };
}

/** 'pending', or what a promise came to, after a turn of the event loop. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  const pending = turn('pending');
  return await Promise.race([promise.catch((reason: unknown) => reason), pending]);
}

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return await within(
    'a rejection',
    promise.then(
      () => assert.fail('it did not reject'),
      (reason: unknown) => reason,
    ),
  );
}

function assertError(
  error: unknown,
  closeCode: number | null,
  reason = '',
): asserts error is WebSocketError {
  assert.ok(error instanceof WebSocketError, `${String(error)} is no WebSocketError`);
  assert.deepEqual([error.closeCode, error.reason], [closeCode, reason]);
}

suite('connecting', () => {
  test('the attempt is planned with the URL record, the protocols and all options', () => {
    const headers = {};
    const { fake, stream } = begin({ headers, protocols: new Set(['a', 'b']) });
    assert.equal(fake.planned.length, 1);
    const [url, protocols, options] = fake.planned[0] ?? [];
    assert.deepEqual([url, protocols], [stream.url, ['a', 'b']]);
    assert.ok(options !== undefined && 'headers' in options && options.headers === headers);
  });

  test('an aborted signal plans it, and connects to nothing', async () => {
    const { fake, stream } = begin({ signal: AbortSignal.abort('no') });
    assert.equal(fake.signal, undefined);
    assert.equal(fake.planned.length, 1);
    assert.equal(await failure(stream.opened), 'no');
  });

  test('a link that comes after an abort is cut', async () => {
    const controller = new AbortController();
    const { fake, stream } = begin({ signal: controller.signal });
    const link = fake.succeed();
    controller.abort('too late');
    assert.equal(await failure(stream.opened), 'too late');
    assert.equal(await failure(stream.closed), 'too late');
    await turn();
    assert.deepEqual(link.calls, ['terminate']);
    link.end({ wasClean: false, code: 1006 });
  });

  test('a link that comes after a close is cut, too', async () => {
    const { fake, stream } = begin();
    const link = fake.succeed();
    stream.close();
    assert.equal(fake.signal?.aborted, true);
    assertError(await failure(stream.opened), null);
    assertError(await failure(stream.closed), 1006);
    assert.deepEqual(link.calls, ['terminate']);
    stream.close({ closeCode: 4000 });
  });

  test('an abort after a close still gives its reason', async () => {
    const controller = new AbortController();
    const { fake, stream } = begin({ signal: controller.signal });
    stream.close();
    controller.abort('why');
    fake.fail(new Error('closed'));
    assert.equal(await failure(stream.opened), 'why');
    assert.equal(await failure(stream.closed), 'why');
  });

  test('what no error says is a failure all the same', async () => {
    const { fake, stream } = begin();
    fake.fail('no reason');
    const error = await failure(stream.opened);
    assertError(error, null);
    assert.equal(error.cause, 'no reason');
  });
});

suite('reading', () => {
  test('the link is held once 64 KiB wait, and released when that is read', async () => {
    const { link, readable } = await open();
    assert.equal(link.isHeld, false);
    link.receive(new Uint8Array(32 * KiB));
    assert.equal(link.isHeld, false);
    link.receive('x'.repeat(32 * KiB));
    assert.equal(link.isHeld, true);
    // They were under way when it was held.
    link.receive('behind');
    link.receive('them');
    const reader = readable.getReader();
    assert.equal((await reader.read()).value?.length, 32 * KiB);
    assert.equal(link.isHeld, false);
    assert.equal((await reader.read()).value?.length, 32 * KiB);
    assert.deepEqual(
      [await reader.read(), await reader.read()].map(({ value }) => value),
      ['behind', 'them'],
    );
  });

  test('empty messages count, too', async () => {
    const { link } = await open();
    let received = 0;
    while (!link.isHeld) {
      link.receive('');
      received++;
      assert.ok(received < 10_000);
    }
    assert.ok(received > 100);
  });

  test('a message for who waits needs no hold, however large', async () => {
    const { link, readable } = await open();
    const reader = readable.getReader();
    for (let round = 0; round < 3; round++) {
      const reading = reader.read();
      link.receive(new Uint8Array(MiB));
      assert.equal(link.isHeld, false);
      assert.equal((await reading).value?.length, MiB);
    }
  });

  test('what is held is released for the next read', async () => {
    const { link, readable } = await open();
    link.receive(new Uint8Array(MiB));
    const reader = readable.getReader();
    assert.equal(link.isHeld, true);
    await reader.read();
    const reading = reader.read();
    assert.equal(link.isHeld, false);
    link.receive('next');
    assert.equal((await reading).value, 'next');
  });

  test('a single message may be larger than that', async () => {
    const { link, readable } = await open();
    link.receive(new Uint8Array(70 * MiB));
    assert.deepEqual(link.calls, []);
    const reader = readable.getReader();
    assert.equal((await reader.read()).value?.length, 70 * MiB);
  });

  test('after a close nothing is delivered', async () => {
    const { stream, link, readable } = await open();
    link.receive('before');
    stream.close();
    link.receive('after');
    link.end();
    const reader = readable.getReader();
    assert.equal((await reader.read()).value, 'before');
    assert.equal((await reader.read()).done, true);
  });

  test('after a cancel nothing is held', async () => {
    const { stream, link, readable } = await open();
    link.receive(new Uint8Array(MiB));
    assert.equal(link.isHeld, true);
    await readable.cancel();
    assert.deepEqual(link.calls, ['close undefined']);
    assert.equal(link.isHeld, false);
    link.receive(new Uint8Array(MiB));
    assert.equal(link.isHeld, false);
    link.startClosing();
    link.end({ code: 1005 });
    assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' });
  });
});

suite('writing', () => {
  test('a write settles at once while there is room', async () => {
    const { link, writable } = await open();
    const writer = writable.getWriter();
    await writer.write('a');
    await writer.write(new Uint8Array([1]).buffer);
    assert.deepEqual(link.sent, ['a', new Uint8Array([1])]);
  });

  test('without room it settles when all is taken', async () => {
    const { link, writable } = await open();
    link.hasRoom = false;
    const writer = writable.getWriter();
    const first = writer.write('x'.repeat(100));
    const second = writer.write('second');
    assert.equal(await outcome(first), 'pending');
    link.take(60);
    assert.equal(await outcome(first), 'pending');
    assert.equal(writer.desiredSize, -1);
    link.take(40);
    assert.equal(await outcome(first), undefined);
    assert.equal(await outcome(second), 'pending');
    assert.equal(link.sent.length, 2);
    link.take(6);
    assert.equal(await outcome(second), undefined);
    assert.equal(writer.desiredSize, 1);
  });

  test('a close waits for the writes before it, and sends no code', async () => {
    const { stream, link, writable } = await open();
    link.hasRoom = false;
    const writer = writable.getWriter();
    const written = writer.write('last');
    const closed = writer.close();
    assert.equal(await outcome(closed), 'pending');
    assert.deepEqual(link.calls, []);
    link.take(4);
    await written;
    assert.equal(await outcome(closed), 'pending');
    assert.deepEqual(link.calls, ['close undefined']);
    link.startClosing();
    assert.equal(await outcome(closed), 'pending');
    link.end({ code: 1005 });
    await closed;
    assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' });
    await writer.closed;
  });

  test('a write that waits rejects with the connection, and so does the one behind it', async () => {
    const { stream, link, writable } = await open();
    link.hasRoom = false;
    const writer = writable.getWriter();
    const writes = [writer.write('a'), writer.write('b')].map(failure);
    await turn();
    link.end({ wasClean: false, code: 1006 });
    const error = await failure(stream.closed);
    assertError(error, 1006);
    assert.deepEqual(await Promise.all(writes), [error, error]);
  });

  test('a write that waits when the other side closes can still be taken: then the end is clean', async () => {
    const { stream, link, writable } = await open();
    link.hasRoom = false;
    const writer = writable.getWriter();
    const written = writer.write('a');
    await turn();
    link.startClosing();
    assert.equal(await outcome(written), 'pending');
    link.take(1);
    assert.equal(await outcome(written), undefined);
    link.end({ code: 4000 });
    assert.deepEqual(await stream.closed, { closeCode: 4000, reason: '' });
    await assert.rejects(writer.write('b'), { name: 'InvalidStateError' });
  });

  test('a link that is no longer open takes no write', async () => {
    const { link, writable } = await open();
    link.isOpen = false;
    await assert.rejects(writable.getWriter().write('a'), { name: 'InvalidStateError' });
    assert.deepEqual(link.sent, []);
  });

  test('an abort does not wait for the network', async () => {
    const { stream, link, writable } = await open();
    link.hasRoom = false;
    const writer = writable.getWriter();
    const written = failure(writer.write('stuck'));
    await turn();
    await within('the abort', writer.abort(new WebSocketError('', { closeCode: 4001 })));
    assertError(await written, 4001);
    assert.deepEqual(link.calls, ['close 4001']);
    link.take(5);
    link.end({ code: 4001 });
    assert.deepEqual(await stream.closed, { closeCode: 4001, reason: '' });
  });
});

suite('the end', () => {
  test('the streams are over when the other side has closed, before the connection is', async () => {
    const { stream, link, readable, writable } = await open();
    link.receive('last');
    link.startClosing();
    assert.equal(await outcome(stream.closed), 'pending');
    const reader = readable.getReader();
    assert.equal((await reader.read()).value, 'last');
    assert.equal((await reader.read()).done, true);
    await assert.rejects(writable.getWriter().closed, { name: 'InvalidStateError' });
    link.end({ code: 1001, reason: 'away' });
    assert.deepEqual(await stream.closed, { closeCode: 1001, reason: 'away' });
  });

  test('what came before a close frame stays readable, however it ends', async () => {
    const { stream, link, readable } = await open();
    link.receive('last');
    link.startClosing();
    link.end({ wasClean: false, code: 1006 });
    assertError(await failure(stream.closed), 1006);
    const reader = readable.getReader();
    assert.equal((await reader.read()).value, 'last');
    assert.equal((await reader.read()).done, true);
  });

  test('a link that does not tell of the close frame ends as well', async () => {
    const { stream, link, readable, writable } = await open();
    link.end({ code: 4000, reason: 'why' });
    assert.deepEqual(await stream.closed, { closeCode: 4000, reason: 'why' });
    assert.equal((await readable.getReader().read()).done, true);
    await assert.rejects(writable.getWriter().closed, { name: 'InvalidStateError' });
  });

  test('a failure of ours is 1006, and the cause says why', async () => {
    const { stream, link } = await open();
    const error = new ApertoError('INVALID_UTF8', errorTable.INVALID_UTF8);
    link.end({ wasClean: false, code: 1007, reason: error.message, error });
    const told = await failure(stream.closed);
    assertError(told, 1006);
    assert.equal(told.cause, error);
    assert.ok(told.message.includes(error.message));
  });

  test('an unclean end that says no more keeps its code', async () => {
    const { stream, link } = await open();
    link.end({ wasClean: false, code: 1006 });
    const told = await failure(stream.closed);
    assertError(told, 1006);
    assert.ok(!('cause' in told));
  });
});
