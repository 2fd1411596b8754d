import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorTable } from '../../dist/protocol/errors.js';
import { CLOSE, closePayload, Harness, PING } from './connection-harness.ts';

const OPEN = 0;
const CLOSED_BY_US = 1;
const CLOSED_BY_PEER = 2;
const CLOSE_ACKNOWLEDGED = 3;
const FAILED = 4;
const ENDED = 5;
const none = new Uint8Array(0);

describe('the peer closes', () => {
  for (const isServer of [true, false]) {
    test(`and is answered with its code; a ${isServer ? 'server ends' : 'client waits for the end of'} the transport`, () => {
      const harness = new Harness(isServer);
      harness.receive({ opcode: CLOSE, payload: closePayload(4000, 'bye €') });
      assert.equal(harness.connection.state, CLOSED_BY_PEER);
      assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: closePayload(4000) }]);
      assert.deepEqual(harness.heard(), isServer ? [{ transport: 'end' }] : []);
      assert.equal(harness.closeFrames, 1);
      harness.connection.transportClosed();
      assert.equal(harness.connection.state, ENDED);
      assert.deepEqual(harness.heard(), [
        { end: { code: 4000, reason: 'bye €', error: undefined } },
      ]);
    });
  }

  test('without a code: 1005 here, and an empty answer', () => {
    const harness = new Harness();
    harness.receive({ opcode: CLOSE });
    assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: [] }]);
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard().at(-1), { end: { code: 1005, reason: '', error: undefined } });
  });

  test('in pieces, with a reason of the longest', () => {
    const harness = new Harness();
    const frame = harness.frame({ opcode: CLOSE, payload: closePayload(1000, 'x'.repeat(123)) });
    for (const byte of frame) harness.chunk(Uint8Array.of(byte));
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard().at(-1), {
      end: { code: 1000, reason: 'x'.repeat(123), error: undefined },
    });
  });

  test('what follows is not read', () => {
    const harness = new Harness();
    const { stoppedAt, bytes } = harness.receive(
      { opcode: CLOSE },
      { opcode: 1, payload: [65] },
      { opcode: PING },
      { opcode: 15 },
    );
    assert.equal(stoppedAt, bytes.length, 'it is taken, and thrown away');
    assert.equal(harness.receive({ opcode: 1 }).stoppedAt > 0, true);
    assert.deepEqual(harness.heard(), [{ transport: 'end' }]);
    assert.equal(harness.sent().length, 1);
  });

  for (const code of [1000, 1001, 1003, 1007, 1010, 1014, 3000, 4999]) {
    test(`with ${code}`, () => {
      const harness = new Harness();
      harness.receive({ opcode: CLOSE, payload: closePayload(code) });
      assert.equal(harness.connection.state, CLOSED_BY_PEER);
    });
  }

  for (const [name, payload, error] of [
    ['one byte', [3], 'CLOSE_LENGTH'],
    ...[0, 999, 1004, 1005, 1006, 1015, 2999, 5000].map(
      (code) => [String(code), closePayload(code), 'CLOSE_CODE'] as const,
    ),
    ['a reason that is not UTF-8', [...closePayload(1000), 0xff], 'INVALID_UTF8'],
  ] as const) {
    test(`wrongly, with ${name}: fails`, () => {
      const harness = new Harness();
      harness.receive({ opcode: CLOSE, payload });
      assert.equal(harness.connection.state, FAILED);
      assert.equal(harness.closeFrames, 0);
      const { closeCode = 0, message } = errorTable[error];
      assert.deepEqual(harness.sent(), [
        { opcode: CLOSE, payload: closePayload(closeCode, message) },
      ]);
      harness.connection.transportClosed();
      assert.deepEqual(harness.heard().at(-1), {
        end: { code: closeCode, reason: message, error },
      });
    });
  }
});

describe('we close', () => {
  test('and the peer acknowledges', () => {
    for (const isServer of [true, false]) {
      const harness = new Harness(isServer);
      harness.connection.close(1000, Buffer.from('bye'));
      assert.equal(harness.connection.state, CLOSED_BY_US);
      assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: closePayload(1000, 'bye') }]);
      harness.receive({ opcode: CLOSE, payload: closePayload(1000) });
      assert.equal(harness.connection.state, CLOSE_ACKNOWLEDGED);
      assert.equal(harness.closeFrames, 1);
      assert.deepEqual(harness.heard(), isServer ? [{ transport: 'end' }] : []);
      assert.deepEqual(harness.sent(), [], 'one close frame each');
      harness.connection.transportClosed();
      assert.deepEqual(harness.heard(), [{ end: { code: 1000, reason: '', error: undefined } }]);
    }
  });

  test('without a code', () => {
    const harness = new Harness();
    harness.connection.close(undefined, none);
    assert.deepEqual(harness.sent(), [{ opcode: CLOSE, payload: [] }]);
  });

  test('once', () => {
    const harness = new Harness();
    harness.connection.close(1000, none);
    harness.connection.close(1001, none);
    assert.equal(harness.sent().length, 1);
  });

  test('what still arrives is not delivered, pings are not answered, the close frame is seen', () => {
    const harness = new Harness();
    harness.connection.close(1000, none);
    harness.sent();
    harness.receive(
      { opcode: 1, payload: [65] },
      { opcode: PING },
      { opcode: CLOSE, payload: closePayload(1001) },
    );
    assert.deepEqual(harness.sent(), []);
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { ping: [] },
      { transport: 'end' },
      { end: { code: 1001, reason: '', error: undefined } },
    ]);
  });

  test('crossing closes are one end, with the code of the peer', () => {
    const harness = new Harness();
    harness.connection.close(1000, none);
    harness.receive({ opcode: CLOSE, payload: closePayload(4001) });
    harness.connection.transportClosed();
    harness.connection.transportClosed();
    const ends = harness.heard().filter((event) => 'end' in event);
    assert.deepEqual(ends, [{ end: { code: 4001, reason: '', error: undefined } }]);
  });

  test('what breaks the rules after it fails the connection without a second close frame', () => {
    const harness = new Harness();
    harness.connection.close(1000, none);
    harness.receive({ opcode: 3 });
    assert.equal(harness.connection.state, FAILED);
    assert.equal(harness.sent().length, 1);
    assert.deepEqual(harness.heard(), [{ transport: 'end' }]);
  });

  test('a peer that does not answer is cut off after the time for it', () => {
    const harness = new Harness(true, { closeTimeoutMs: 500 });
    harness.connection.close(1000, none);
    harness.pass(499);
    assert.deepEqual(harness.heard(), []);
    harness.pass(1);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { end: { code: 1006, reason: '', error: 'CLOSE_TIMEOUT' } },
    ]);
  });

  test('a transport that stays open after the handshake is ended after the same time, cleanly', () => {
    for (const isServer of [true, false]) {
      const harness = new Harness(isServer, { closeTimeoutMs: 500 });
      harness.receive({ opcode: CLOSE, payload: closePayload(1000) });
      harness.heard();
      harness.pass(500);
      assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
      harness.connection.transportClosed();
      assert.deepEqual(harness.heard(), [{ end: { code: 1000, reason: '', error: undefined } }]);
    }
  });
});

describe('the transport ends', () => {
  test('without a close frame: 1006', () => {
    const harness = new Harness();
    harness.connection.transportEnded();
    assert.equal(harness.connection.state, FAILED);
    assert.deepEqual(harness.heard(), [{ transport: 'end' }]);
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { end: { code: 1006, reason: '', error: 'CONNECTION_LOST' } },
    ]);
    assert.deepEqual(harness.sent(), []);
  });

  test('at once: 1006', () => {
    const harness = new Harness();
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { end: { code: 1006, reason: '', error: 'CONNECTION_LOST' } },
    ]);
    assert.equal(harness.connection.wake(harness.time), Number.POSITIVE_INFINITY);
    harness.connection.fail('RESERVED_BITS');
    harness.connection.close(1000, none);
    assert.deepEqual(harness.sent(), []);
  });

  test('after the closing handshake: cleanly', () => {
    const harness = new Harness(false);
    harness.receive({ opcode: CLOSE, payload: closePayload(1000) });
    harness.connection.transportEnded();
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { transport: 'end' },
      { end: { code: 1000, reason: '', error: undefined } },
    ]);
  });

  test('half of it, and the rest never: it is cut off', () => {
    const harness = new Harness(true, { closeTimeoutMs: 500 });
    harness.connection.transportEnded();
    harness.heard();
    harness.pass(500);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
  });
});

describe('we break it off', () => {
  test('with the close code and the message of the error', () => {
    const harness = new Harness();
    harness.connection.fail('HANDLER_FAILED');
    assert.deepEqual(harness.sent()[0]?.payload.slice(0, 2), closePayload(1011));
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { transport: 'end' },
      { end: { code: 1011, reason: errorTable.HANDLER_FAILED.message, error: 'HANDLER_FAILED' } },
    ]);
  });

  for (const error of ['TERMINATED', 'INVALID_URL'] as const) {
    test(`${error}, which has no code for the wire: the transport is destroyed`, () => {
      const harness = new Harness();
      harness.connection.fail(error);
      assert.deepEqual(harness.sent(), []);
      harness.connection.transportClosed();
      assert.deepEqual(harness.heard(), [
        { transport: 'destroy' },
        { end: { code: 1006, reason: '', error } },
      ]);
    });
  }

  test('once, and nothing is read after it', () => {
    const harness = new Harness();
    harness.receive({ opcode: 15 }, { opcode: 1, payload: [65] });
    harness.connection.fail('TERMINATED');
    harness.receive({ opcode: 1, payload: [65] });
    assert.deepEqual(harness.heard(), [{ transport: 'end' }]);
    assert.equal(harness.sent().length, 1);
  });

  test('from within a message handler', () => {
    const harness = new Harness();
    harness.onEachMessage = () => harness.connection.fail('HANDLER_FAILED');
    const { stoppedAt, bytes } = harness.receive(
      { opcode: 1, payload: [65] },
      { opcode: 1, payload: [66] },
    );
    assert.equal(stoppedAt, bytes.length);
    assert.deepEqual(harness.heard(), [{ message: 'A' }, { transport: 'end' }]);
  });

  test('the state begins OPEN', () => assert.equal(new Harness().connection.state, OPEN));
});

describe('every state meets every event', () => {
  const reach: Record<number, (harness: Harness) => void> = {
    [OPEN]: () => {},
    [CLOSED_BY_US]: ({ connection }) => connection.close(1000, none),
    [CLOSED_BY_PEER]: (harness) => harness.receive({ opcode: CLOSE }),
    [CLOSE_ACKNOWLEDGED]: (harness) => {
      harness.connection.close(1000, none);
      harness.receive({ opcode: CLOSE });
    },
    [FAILED]: ({ connection }) => connection.fail('HANDLER_FAILED'),
    [ENDED]: ({ connection }) => connection.transportClosed(),
  };
  const events: Record<string, (harness: Harness) => void> = {
    close: ({ connection }) => connection.close(1001, none),
    'close frame': (harness) => harness.receive({ opcode: CLOSE, payload: closePayload(1001) }),
    message: (harness) => harness.receive({ opcode: 1, payload: [65] }),
    ping: (harness) => harness.receive({ opcode: PING }),
    'wrong frame': (harness) => harness.receive({ opcode: 3 }),
    fail: ({ connection }) => connection.fail('SEND_BUFFER_FULL'),
    'transport ends': ({ connection }) => connection.transportEnded(),
    'transport closed': ({ connection }) => connection.transportClosed(),
  };
  /** The state after it, and the opcodes of what is sent, by the state before, in its order. */
  const stays = [OPEN, CLOSED_BY_US, CLOSED_BY_PEER, CLOSE_ACKNOWLEDGED, FAILED, ENDED];
  const from2 = stays.slice(2);
  const expected: Record<string, { after: number[]; openSends: number[] }> = {
    close: { after: [CLOSED_BY_US, ...stays.slice(1)], openSends: [CLOSE] },
    'close frame': { after: [CLOSED_BY_PEER, CLOSE_ACKNOWLEDGED, ...from2], openSends: [CLOSE] },
    message: { after: stays, openSends: [] },
    ping: { after: stays, openSends: [10] },
    'wrong frame': { after: [FAILED, FAILED, ...from2], openSends: [CLOSE] },
    fail: { after: [FAILED, FAILED, ...from2], openSends: [CLOSE] },
    'transport ends': { after: [FAILED, FAILED, ...from2], openSends: [] },
    'transport closed': { after: stays.map(() => ENDED), openSends: [] },
  };
  for (const [name, { after, openSends }] of Object.entries(expected)) {
    for (const before of stays) {
      test(`${name} in state ${before}`, () => {
        const harness = new Harness();
        reach[before]?.(harness);
        harness.sent();
        harness.heard();
        events[name]?.(harness);
        assert.equal(harness.connection.state, after[before]);
        // Only what is open sends anything more.
        const opcodes = harness.sent().map(({ opcode }) => opcode);
        assert.deepEqual(opcodes, before === OPEN ? openSends : []);
        const told = harness.heard();
        assert.equal(
          told.filter((event) => 'message' in event).length,
          name === 'message' && before === OPEN ? 1 : 0,
        );
        // One end, with the last of the transport, whatever went before.
        const isEnd = name === 'transport closed' && before !== ENDED;
        assert.equal(told.filter((event) => 'end' in event).length, isEnd ? 1 : 0);
      });
    }
  }

  for (const state of stays.slice(1, 5)) {
    test(`state ${state} does not outlast the time for closing`, () => {
      const harness = new Harness(true, { closeTimeoutMs: 500 });
      reach[state]?.(harness);
      harness.heard();
      harness.pass(499);
      assert.deepEqual(harness.heard(), []);
      harness.pass(1);
      assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    });
  }
});
