import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CLOSE, clientFrame, closeCodeOf, closePayload, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { fakeSession } from './fake-session.ts';

const small = { highWaterMarkBytes: 1_000, maxBufferedBytes: 10_000 };

describe('handlers that take their time', () => {
  test('close in a handler is not held up by what the handler awaits after it', async () => {
    const never = new Promise<void>(() => {});
    for (const where of ['open', 'message'] as const) {
      const { socket, closed } = fakeSession({
        ...(where === 'open'
          ? {
              open(peer) {
                peer.close(4000, 'bye');
                return never;
              },
            }
          : {
              handlers: {
                message(peer) {
                  peer.close(4000, 'bye');
                  return never;
                },
              },
            }),
      });
      if (where === 'message') socket.push(clientFrame(TEXT, 'hello'));
      await nextTurn();
      socket.push(clientFrame(CLOSE, closePayload(4000)));
      socket.push(null);
      const { code, error } = await within(`the end after ${where}`, closed);
      assert.equal(code, 4000);
      assert.equal(error, undefined);
    }
  });

  test('a slow peer that is closed while a handler is busy ends as soon as it goes', async () => {
    const { socket, peer, closed } = fakeSession({
      limits: small,
      handlers: { message: () => new Promise<void>(() => {}) },
    });
    socket.push(clientFrame(TEXT, 'work'));
    await nextTurn();
    socket.atOnce = false;
    while (peer.state === 'open') peer.send(Buffer.alloc(500));
    await socket.takeAll();
    socket.push(clientFrame(TEXT, 'more work'));
    await nextTurn();
    socket.push(clientFrame(CLOSE, closePayload(1013)));
    socket.push(null);
    const { code } = await within('the end', closed);
    assert.equal(code, 1013);
  });

  test('what a handler returns need not be a promise', async () => {
    const seen: unknown[] = [];
    // As arrow functions in JavaScript have it.
    const returning = (value: unknown) => value as undefined;
    const { socket, errors, closed } = fakeSession({
      open: () => returning(1),
      handlers: {
        message: (peer, data) => {
          seen.push(data);
          return returning(peer.send(data));
        },
        drain: () => returning(null),
        close: () => returning(true),
      },
    });
    socket.push(clientFrame(TEXT, 'one'));
    socket.push(clientFrame(TEXT, 'two'));
    await nextTurn();
    socket.push(clientFrame(CLOSE));
    socket.push(null);
    assert.equal((await within('the end', closed)).code, 1005);
    assert.deepEqual(seen, ['one', 'two']);
    assert.deepEqual(errors, []);
  });

  test('messages come one after the other, in order, those of one packet too', async () => {
    const log: string[] = [];
    const release: (() => void)[] = [];
    const { socket, peer } = fakeSession({
      handlers: {
        message(_peer, data) {
          log.push(`begin ${data}`);
          return new Promise<void>((resolve) => release.push(resolve)).then(() => {
            log.push(`end ${data}`);
          });
        },
      },
    });
    socket.push(Buffer.concat(['a', 'b', 'c'].map((text) => clientFrame(TEXT, text))));
    for (let turns = 0; turns < 10; turns++) {
      await nextTurn();
      release.shift()?.();
    }
    assert.deepEqual(log, ['begin a', 'end a', 'begin b', 'end b', 'begin c', 'end c']);
    peer.terminate();
  });

  test('meanwhile the socket is read no further than 16 KiB; what comes all the same is not lost', async () => {
    const log: string[] = [];
    const gates: (() => void)[] = [];
    const { socket, peer } = fakeSession({
      handlers: {
        message(_peer, data) {
          log.push(String(data));
          return new Promise<void>((resolve) => gates.push(resolve));
        },
      },
    });
    const long = 'long'.repeat(4096);
    const bytes = Buffer.concat(['one', 'two', long].map((text) => clientFrame(TEXT, text)));
    const begun = clientFrame(TEXT, 'one').length + 3;
    socket.push(bytes.subarray(0, begun));
    await nextTurn();
    assert.deepEqual(log, ['one']);
    // Its end would be noticed.
    assert.equal(socket.isPaused(), false);
    socket.emit('data', bytes.subarray(begun, begun + 16_000));
    assert.equal(socket.isPaused(), false);
    socket.emit('data', bytes.subarray(begun + 16_000, begun + 16_400));
    assert.ok(socket.isPaused());
    // A stream may have had more on its way already.
    for (let at = begun + 16_400; at < bytes.length; at++) {
      socket.emit('data', bytes.subarray(at, at + 1));
    }
    for (const [at, expected] of [['one'], ['one', 'two'], ['one', 'two', long]].entries()) {
      assert.deepEqual(log, expected);
      gates[at]?.();
      await nextTurn();
    }
    assert.equal(socket.isPaused(), false);
    peer.terminate();
  });

  test('what arrived before the end is delivered before the end', async () => {
    const log: string[] = [];
    const { socket, closed } = fakeSession({
      handlers: {
        async message(_peer, data) {
          await nextTurn();
          log.push(String(data));
        },
        close: (_peer, code) => void log.push(`close ${code}`),
      },
    });
    socket.push(Buffer.concat(['a', 'b', 'c'].map((text) => clientFrame(TEXT, text))));
    socket.push(null);
    await within('the end', closed);
    assert.deepEqual(log, ['a', 'b', 'c', 'close 1006']);
  });

  test('terminate delivers nothing more', async () => {
    const log: string[] = [];
    const { socket, peer, closed } = fakeSession({
      handlers: {
        message(_peer, data) {
          log.push(String(data));
          return new Promise<void>(() => {});
        },
      },
    });
    socket.push(Buffer.concat(['a', 'b'].map((text) => clientFrame(TEXT, text))));
    await nextTurn();
    peer.terminate();
    const { code, error } = await within('the end', closed);
    assert.equal(code, 1006);
    assert.equal(error?.code, 'TERMINATED');
    assert.deepEqual(log, ['a']);
    assert.equal(peer.state, 'closed');
    peer.terminate();
  });

  test('exceptions close with 1011 and are reported; those of close are reported alone', async () => {
    const failing = {
      message: () => {
        throw new Error('sync message');
      },
      asyncMessage: async () => {
        await nextTurn();
        throw new Error('async message');
      },
    };
    for (const message of Object.values(failing)) {
      const { socket, errors, closed } = fakeSession({
        handlers: {
          message,
          close: async () => {
            throw new Error('close');
          },
        },
      });
      socket.push(Buffer.concat([clientFrame(TEXT, 'x'), clientFrame(TEXT, 'y')]));
      await nextTurn();
      await nextTurn();
      const [close] = socket.frames();
      assert.equal(close && closeCodeOf(close.payload), 1011);
      socket.push(null);
      const { code, error } = await within('the end', closed);
      await nextTurn();
      assert.equal(code, 1011);
      assert.equal(error?.code, 'HANDLER_FAILED');
      assert.equal(errors.length, 2);
      assert.match(String(errors[0]), /message/);
      assert.match(String(errors[1]), /close/);
    }
  });
});
