/** The defaults that are of time and of rates, each at the limit and one past it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Harness, PING } from './connection-harness.ts';

const ping = { opcode: PING };

function isOpen({ connection }: Harness): boolean {
  return connection.state === 0;
}

describe('with the defaults', () => {
  test('a message has 30 s from its first byte to its last', () => {
    const harness = new Harness();
    harness.receive({ opcode: 1, fin: false, payload: [97] });
    for (let ms = 0; ms < 29_000; ms += 1_000) {
      harness.pass(1_000);
      harness.receive({ opcode: 0, fin: false, payload: [97] });
    }
    harness.pass(999);
    assert.ok(isOpen(harness));
    harness.pass(1);
    assert.ok(!isOpen(harness));
    harness.connection.transportClosed();
    const reason = 'the message was not completed in time';
    const [last] = harness.heard().slice(-1);
    assert.deepEqual(last, { end: { code: 1008, reason, error: 'MESSAGE_TIMEOUT' } });
  });

  test('silence is 25 s, give or take 5, to a ping, and 20 s more to the end', () => {
    for (let i = 0; i < 20; i++) {
      const harness = new Harness();
      harness.pass(19_999);
      assert.deepEqual(harness.sent(), []);
      let waited = 19_999;
      for (; harness.position === 0; waited++) harness.pass(1);
      assert.ok(waited >= 20_000 && waited <= 30_000, `${waited}`);
      assert.deepEqual(harness.sent(), [{ opcode: PING, payload: [] }]);
      harness.pass(19_999);
      assert.ok(isOpen(harness));
      harness.pass(1);
      assert.ok(!isOpen(harness));
      assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    }
  });

  test('a closing handshake has 5 s', () => {
    const harness = new Harness();
    harness.connection.close(1000, new Uint8Array(0));
    harness.pass(4_999);
    assert.deepEqual(harness.heard(), []);
    harness.pass(1);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
  });

  test('100 control frames at once, and 50 a second after that', () => {
    const harness = new Harness();
    harness.receive(...Array(100).fill(ping));
    assert.ok(isOpen(harness));
    // One in 20 ms for as long as it likes.
    for (let i = 0; i < 500; i++) {
      harness.pass(20);
      harness.receive(ping);
    }
    assert.ok(isOpen(harness));
    harness.pass(19);
    harness.receive(ping);
    assert.ok(!isOpen(harness));
    const flooded = new Harness();
    flooded.receive(...Array(101).fill(ping));
    assert.ok(!isOpen(flooded));
  });

  test('messages have no rate; where there is one, 100 at once', () => {
    const free = new Harness();
    const limited = new Harness(true, { messagesPerSecond: 10 });
    for (let i = 0; i < 100; i++) {
      free.receive({ opcode: 1 });
      limited.receive({ opcode: 1 });
    }
    assert.ok(isOpen(free) && isOpen(limited));
    free.receive({ opcode: 1 });
    limited.receive({ opcode: 1 });
    assert.ok(isOpen(free) && !isOpen(limited));
  });
});
