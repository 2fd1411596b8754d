import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Limits } from '../../dist/protocol/limits.js';
import { CLOSE, closePayload, Harness, PING, PONG } from './connection-harness.ts';
import { compressionSettings, deflateOnce, NO_TAKEOVER, TAKEOVER } from './test-compression.ts';

const RSV1 = 4;
const LATER_ABOVE = 30;

// Whose payload is long, though it is compressed.
const large = Array.from({ length: 40 }, (_, i) => String(i * i * 7919)).join();
const largeFrame = { opcode: 1, reserved: RSV1, payload: deflateOnce(large) };
const smallFrame = { opcode: 1, reserved: RSV1, payload: deflateOnce('small') };
const ping = { opcode: PING, payload: [1] };

/** A connection for which long payloads are inflated on another thread. */
function setUp(agreement = NO_TAKEOVER, limits: Partial<Limits> = {}) {
  const settings = compressionSettings(agreement);
  const { port } = settings;
  port.inflateLaterAbove = LATER_ABOVE;
  assert.ok(largeFrame.payload.length > LATER_ABOVE);
  return { harness: new Harness(true, limits, settings), port };
}

for (const agreement of [NO_TAKEOVER, TAKEOVER]) {
  const isOwn = agreement.inflateTakeover;
  describe(`while a message is inflated on another thread, ${isOwn ? 'in its own context' : 'by itself'}`, () => {
    test('nothing behind it is taken in, and all comes in order', () => {
      const { harness, port } = setUp(agreement);
      const { stoppedAt, bytes } = harness.receive(smallFrame, largeFrame, ping, smallFrame);
      assert.equal(
        stoppedAt,
        bytes.length - harness.frame(ping).length - harness.frame(smallFrame).length,
      );
      assert.ok(harness.connection.inflating);
      assert.deepEqual(harness.heard(), [{ message: 'small' }]);
      assert.equal(harness.chunk(bytes, stoppedAt, false), stoppedAt);
      assert.deepEqual(harness.sent(), []);
      port.finishOne();
      assert.ok(!harness.connection.inflating);
      assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
      assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
      assert.deepEqual(harness.heard(), [{ ping: [1] }, { message: 'small' }]);
      assert.deepEqual(harness.sent(), [{ opcode: PONG, payload: [1] }]);
    });

    test('it is the same for one large message behind the other', () => {
      const { harness, port } = setUp(agreement);
      const stream = harness.receive(largeFrame, largeFrame, largeFrame);
      let at = stream.stoppedAt;
      for (let i = 0; i < 3; i++) {
        assert.equal(at, ((i + 1) * stream.bytes.length) / 3);
        assert.equal(port.waiting.length, 1);
        port.finishOne();
        assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
        at = harness.chunk(stream.bytes, at, false);
      }
      assert.equal(at, stream.bytes.length);
    });

    test('the memory that it came in may be used again, where it is borrowed', () => {
      const { harness, port } = setUp(agreement);
      // As Node hands it over: `slice` of a Buffer is no copy.
      const bytes = Buffer.from(harness.frame(largeFrame));
      harness.chunk(bytes, 0, true);
      bytes.fill(0xee);
      port.finishOne();
      assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
    });

    test('it may have come in pieces', () => {
      const { harness, port } = setUp(agreement);
      const bytes = harness.frame(largeFrame);
      for (const byte of bytes) {
        assert.ok(!harness.connection.inflating);
        harness.chunk(Uint8Array.of(byte), 0, true);
      }
      assert.ok(harness.connection.inflating);
      port.finishOne();
      assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
      const { payload } = largeFrame;
      const { stoppedAt } = harness.receive(
        { opcode: 1, reserved: RSV1, fin: false, payload: payload.slice(0, 20) },
        { opcode: 0, payload: payload.slice(20) },
        ping,
      );
      port.finishOne();
      assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
      assert.ok(stoppedAt > payload.length);
    });

    test('the application may pause and go on: the rest waits for both', () => {
      const { harness, port } = setUp(agreement);
      const { stoppedAt, bytes } = harness.receive(largeFrame, smallFrame);
      harness.connection.pause();
      harness.connection.resume();
      assert.equal(harness.chunk(bytes, stoppedAt, false), stoppedAt, 'it is still inflated');
      harness.connection.pause();
      port.finishOne();
      // It was taken in before.
      assert.deepEqual(harness.heard(), [{ message: large }, { inflated: true }]);
      assert.equal(harness.chunk(bytes, stoppedAt, false), stoppedAt, 'it is paused');
      harness.connection.resume();
      assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
      assert.deepEqual(harness.heard(), [{ message: 'small' }]);
    });

    test('the application may pause in the handler of the message', () => {
      const { harness, port } = setUp(agreement);
      harness.onEachMessage = () => {
        assert.ok(!harness.connection.inflating);
        harness.connection.pause();
      };
      const { stoppedAt, bytes } = harness.receive(largeFrame, smallFrame);
      port.finishOne();
      assert.equal(harness.chunk(bytes, stoppedAt, false), stoppedAt);
      harness.connection.resume();
      assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
    });

    test('the peer is not blamed for its silence', () => {
      const limits = { pingAfterMs: 1000, pingTimeoutMs: 400, messageTimeoutMs: 300 };
      const { harness, port } = setUp(agreement, limits);
      harness.pass(1200);
      assert.equal(harness.sent().length, 1);
      harness.receive(largeFrame);
      harness.pass(100_000);
      assert.deepEqual(harness.sent(), []);
      assert.deepEqual(harness.heard(), []);
      port.finishOne();
      assert.equal(harness.heard().length, 2);
      // From here on it is again.
      harness.pass(1200);
      assert.deepEqual(harness.sent(), [{ opcode: PING, payload: [] }]);
      harness.pass(400);
      assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    });

    test('messages can be sent', () => {
      const { harness } = setUp(agreement);
      harness.receive(largeFrame);
      harness.connection.sendText('A', true);
      assert.deepEqual(harness.sent(), [{ opcode: 1, payload: [65] }]);
    });

    test('after our own close frame it is not delivered, and the peer’s is taken in', () => {
      const { harness, port } = setUp(agreement);
      const { stoppedAt, bytes } = harness.receive(largeFrame, {
        opcode: CLOSE,
        payload: closePayload(1000),
      });
      harness.connection.close(1000, new Uint8Array(0));
      port.finishOne();
      assert.deepEqual(harness.heard(), [{ inflated: true }]);
      assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
      harness.connection.transportClosed();
      assert.deepEqual(harness.heard(), [
        { transport: 'end' },
        { end: { code: 1000, reason: '', error: undefined } },
      ]);
    });

    test('the time for the closing handshake goes on', () => {
      const { harness } = setUp(agreement, { closeTimeoutMs: 500 });
      harness.receive(largeFrame);
      harness.connection.close(1000, new Uint8Array(0));
      harness.pass(500);
      assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    });

    const ends: [string, (harness: Harness) => void, number][] = [
      ['is broken off', ({ connection }) => connection.fail('TERMINATED'), 4],
      ['fails', ({ connection }) => connection.fail('CONTROL_FLOOD'), 4],
      ['ends', ({ connection }) => connection.transportClosed(), 5],
    ];
    for (const [name, end, state] of ends) {
      test(`fault 74: the connection ${name}: nothing is delivered`, () => {
        const { harness, port } = setUp(agreement);
        harness.receive(largeFrame, smallFrame);
        end(harness);
        assert.equal(harness.connection.state, state);
        assert.ok(!harness.connection.inflating);
        const told = harness.heard();
        assert.ok(told.every((event) => 'transport' in event || 'end' in event));
        const [inflater] = port.inflaters;
        assert.equal(inflater?.cancelled, 1);
        assert.equal(inflater?.closes, isOwn ? 1 : 0);
        port.finishOne();
        assert.deepEqual(harness.heard(), []);
        assert.equal(harness.connection.state, state);
        assert.equal(port.waiting.length, 0);
      });
    }

    const wrong: [string, number, string, Uint8Array, Partial<Limits>][] = [
      ['corrupt', 1007, 'INFLATE_CORRUPT', largeFrame.payload.slice(0, -1), {}],
      ['too large', 1009, 'MESSAGE_TOO_BIG', largeFrame.payload, { maxMessageBytes: 200 }],
      ['no UTF-8', 1007, 'INVALID_UTF8', deflateOnce(Buffer.from(large).fill(0xff, 60, 61)), {}],
    ];
    for (const [name, code, error, payload, limits] of wrong) {
      test(`it turns out to be ${name}: ${code}, and nothing behind it is taken in`, () => {
        const { harness, port } = setUp(agreement, limits);
        const { stoppedAt, bytes } = harness.receive({ opcode: 1, reserved: RSV1, payload }, ping);
        assert.ok(stoppedAt < bytes.length);
        port.finishOne();
        assert.deepEqual(harness.heard(), [{ transport: 'end' }, { inflated: true }]);
        assert.deepEqual(harness.sent()[0]?.payload.slice(0, 2), closePayload(code));
        assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
        harness.connection.transportClosed();
        const [end] = harness.heard();
        assert.ok(end && 'end' in end && end.end.error === error);
      });
    }
  });
}

test('each connection waits for its own message', () => {
  const settings = compressionSettings();
  settings.port.inflateLaterAbove = LATER_ABOVE;
  const [one, two] = [new Harness(true, {}, settings), new Harness(true, {}, settings)];
  one.receive(largeFrame);
  two.receive(smallFrame, largeFrame);
  assert.deepEqual(two.heard(), [{ message: 'small' }]);
  settings.port.finishOne();
  assert.deepEqual([one.connection.inflating, two.connection.inflating], [false, true]);
  settings.port.finishOne();
  assert.deepEqual(one.heard(), two.heard());
});
