import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { closePayload, Harness, PING, PONG } from './connection-harness.ts';

const limits = { pingAfterMs: 1000, pingTimeoutMs: 400, messageTimeoutMs: 3000 };
/** Silence after which there has been a ping for sure, and before which there has been none. */
const LONGEST = 1200;
const SHORTEST = 799;

const pingSent = [{ opcode: PING, payload: [] }];

describe('keepalive', () => {
  test('a ping after the silence, a fifth more or less, and not the same for all', () => {
    const waits = Array.from({ length: 50 }, () => {
      const harness = new Harness(true, limits);
      return harness.wakeAt - harness.time;
    });
    assert.ok(waits.every((wait) => wait >= 800 && wait <= 1200));
    assert.ok(new Set(waits).size > 25);
  });

  test('a peer that does not answer is dead: 1006', () => {
    const harness = new Harness(true, limits);
    harness.pass(SHORTEST);
    assert.deepEqual(harness.sent(), []);
    harness.pass(LONGEST - SHORTEST);
    assert.deepEqual(harness.sent(), pingSent);
    harness.pass(400);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [{ end: { code: 1006, reason: '', error: 'PING_TIMEOUT' } }]);
  });

  for (const [name, bytes] of [
    ['a pong', (harness: Harness) => harness.frame({ opcode: PONG })],
    ['a message', (harness: Harness) => harness.frame({ opcode: 1 })],
    ['half a header', () => Uint8Array.of(0x81)],
  ] as const) {
    test(`${name} is a sign of life`, () => {
      const harness = new Harness(true, { ...limits, messageTimeoutMs: 1_000_000 });
      harness.pass(LONGEST);
      harness.sent();
      harness.chunk(bytes(harness));
      harness.pass(SHORTEST);
      assert.deepEqual(harness.sent(), []);
      assert.ok(harness.heard().every((event) => !('transport' in event)));
      harness.pass(LONGEST - SHORTEST);
      assert.deepEqual(harness.sent(), pingSent);
    });
  }

  test('so is a slow transport that moves', () => {
    const harness = new Harness(true, limits);
    harness.pass(LONGEST);
    harness.sent();
    harness.connection.noteLife(harness.time);
    harness.pass(SHORTEST);
    assert.deepEqual(harness.heard(), []);
  });

  test('an answered ping is followed by the next, also where the time for an answer is longer', () => {
    const harness = new Harness(true, { pingAfterMs: 1000, pingTimeoutMs: 10_000 });
    let pings = 0;
    for (let i = 0; i < 100; i++) {
      harness.pass(100);
      if (harness.sent().length === 0) continue;
      pings++;
      harness.receive({ opcode: PONG });
    }
    assert.ok(pings >= 6 && pings <= 12, `${pings} pings in 10 s`);
    harness.heard();
    harness.pass(LONGEST + 10_000);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
  });

  test('a busy peer is never pinged', () => {
    const harness = new Harness(true, limits);
    for (let i = 0; i < 20; i++) {
      harness.receive({ opcode: 1 });
      harness.pass(700);
    }
    assert.deepEqual(harness.sent(), []);
  });

  test('a paused connection neither pings nor dies, and starts afresh when it goes on', () => {
    const harness = new Harness(true, limits);
    harness.pass(LONGEST);
    harness.sent();
    harness.connection.pause();
    harness.pass(100_000);
    assert.deepEqual(harness.heard(), []);
    assert.deepEqual(harness.sent(), []);
    harness.connection.resume();
    harness.pass(SHORTEST);
    assert.deepEqual(harness.sent(), []);
    harness.pass(LONGEST - SHORTEST);
    assert.deepEqual(harness.sent(), pingSent);
    harness.pass(400);
    assert.deepEqual(harness.heard(), [{ transport: 'destroy' }]);
  });

  test('waking early does no harm: it tells when to come again', () => {
    const harness = new Harness(true, { ...limits, closeTimeoutMs: 500 });
    const pingDue = harness.wakeAt;
    assert.equal(harness.connection.wake(harness.time + 1), pingDue);
    harness.pass(LONGEST);
    const deathDue = harness.wakeAt;
    assert.equal(harness.connection.wake(harness.time), deathDue);
    harness.connection.close(1000, new Uint8Array(0));
    assert.equal(harness.connection.wake(harness.time + 1), harness.time + 500);
    assert.deepEqual(harness.heard(), []);
  });

  for (const pingTimeoutMs of [50_000, Number.POSITIVE_INFINITY]) {
    test(`pings go on while they are answered, when ${pingTimeoutMs} ms are allowed for that`, () => {
      const harness = new Harness(true, { pingAfterMs: 1000, pingTimeoutMs });
      for (let i = 0; i < 5; i++) {
        harness.pass(LONGEST);
        assert.deepEqual(harness.sent(), pingSent);
        harness.receive({ opcode: PONG });
      }
      // One that is not answered is not followed by another.
      harness.pass(LONGEST);
      assert.deepEqual(harness.sent(), pingSent);
      harness.pass(49_000);
      assert.deepEqual(harness.sent(), []);
      assert.equal(harness.connection.state, 0);
      harness.pass(1000);
      assert.equal(harness.connection.state, pingTimeoutMs === 50_000 ? 4 : 0);
    });
  }

  test('also where the answers come late', () => {
    const harness = new Harness(true, { pingAfterMs: 1000, pingTimeoutMs: 50_000 });
    for (let i = 0; i < 5; i++) {
      harness.pass(LONGEST);
      assert.deepEqual(harness.sent(), pingSent);
      harness.pass(20_000);
      assert.deepEqual(harness.sent(), []);
      harness.receive({ opcode: PONG });
    }
  });

  test('Infinity switches it off', () => {
    const harness = new Harness(true, { pingAfterMs: Number.POSITIVE_INFINITY });
    assert.equal(harness.wakeAt, Number.POSITIVE_INFINITY);
    assert.equal(harness.connection.wake(1e12), Number.POSITIVE_INFINITY);
    assert.deepEqual(harness.sent(), []);
  });
});

describe('the time for a message', () => {
  function failsAfter(harness: Harness, ms: number): void {
    harness.pass(ms - 1);
    assert.equal(harness.connection.state, 0);
    harness.pass(1);
    assert.deepEqual(harness.sent().at(-1)?.payload.slice(0, 2), closePayload(1008));
    assert.deepEqual(harness.heard().at(-1), { transport: 'end' });
  }
  const lenient = { pingAfterMs: 1_000_000, messageTimeoutMs: 3000 };

  test('runs from its first byte, whatever comes in between', () => {
    const harness = new Harness(true, lenient);
    harness.receive({ opcode: 1, fin: false });
    harness.pass(1000);
    harness.receive({ opcode: PING });
    harness.pass(1000);
    harness.receive({ opcode: 0, fin: false, payload: [65] });
    failsAfter(harness, 1000);
  });

  test('runs for a frame, and for a header, too', () => {
    for (const bytes of [Uint8Array.of(0x82), Uint8Array.of(0x82, 0x85, 1, 2, 3, 4, 9)]) {
      const harness = new Harness(true, lenient);
      harness.chunk(bytes);
      failsAfter(harness, 3000);
    }
  });

  test('ends with the message, and begins again with the next', () => {
    const harness = new Harness(true, lenient);
    harness.receive({ opcode: 1, fin: false });
    harness.pass(2000);
    harness.receive({ opcode: 0 });
    harness.pass(50_000);
    harness.receive({ opcode: 1, fin: false });
    harness.pass(2000);
    harness.receive({ opcode: 0 }, { opcode: 1, fin: false });
    failsAfter(harness, 3000);
  });

  test('does not run while we do not read', () => {
    const harness = new Harness(true, lenient);
    harness.receive({ opcode: 1, fin: false });
    harness.connection.pause();
    harness.pass(1_000_000);
    assert.equal(harness.connection.state, 0);
    harness.connection.resume();
    failsAfter(harness, 3000);
  });

  test('is kept after a pause also where there is no keepalive to wake for', () => {
    const harness = new Harness(true, { ...lenient, pingAfterMs: Number.POSITIVE_INFINITY });
    harness.receive({ opcode: 1, fin: false });
    harness.connection.pause();
    harness.pass(1_000_000);
    harness.connection.resume();
    failsAfter(harness, 3000);
  });

  test('a peer that sends half a message is pinged meanwhile', () => {
    const harness = new Harness(true, limits);
    harness.receive({ opcode: 1, fin: false });
    harness.pass(LONGEST);
    assert.deepEqual(harness.sent(), pingSent);
  });
});
