import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { CLOSE, closePayload, Harness } from '../connection-harness.ts';
import { compressionSettings, deflateOnce, NO_TAKEOVER } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

const { unfinished } = testPlatform;
const KIB = 1024;

beforeEach(() => assert.equal(unfinished.bytes, 0, 'the test before has left nothing'));

function failedWith(harness: Harness, code: number, error: string): void {
  const last = harness.sent().at(-1);
  assert.deepEqual([last?.opcode, last?.payload.slice(0, 2)], [CLOSE, closePayload(code)]);
  harness.connection.transportClosed();
  const end = harness.heard().at(-1);
  assert.ok(end && 'end' in end);
  assert.deepEqual([end.end.code, end.end.error], [code, error]);
}

describe('what unfinished messages hold is counted', () => {
  for (const opcode of [1, 2]) {
    const kind = opcode === 1 ? 'text' : 'binary';

    test(`${kind}: until they are finished`, () => {
      const harness = new Harness();
      harness.receive({ opcode, fin: false, payload: Buffer.alloc(10, 97) });
      assert.ok(unfinished.bytes >= 10 + 64, `${unfinished.bytes}`);
      harness.receive({ opcode: 0, payload: Buffer.alloc(10, 97) });
      assert.equal(unfinished.bytes, 0);
      assert.equal(harness.heard().length, 1);
    });

    test(`${kind}: or their connection fails, or ends`, () => {
      for (const ended of [true, false]) {
        const harness = new Harness();
        harness.receive({ opcode, fin: false, payload: Buffer.alloc(10, 97) });
        assert.ok(unfinished.bytes > 0);
        if (ended) harness.connection.transportClosed();
        else harness.receive({ opcode: 3 });
        assert.equal(unfinished.bytes, 0);
      }
    });
  }

  test('a fragment counts at least 64 bytes, however little it brings', () => {
    const harness = new Harness();
    harness.receive({ opcode: 2, fin: false, payload: [] });
    for (let i = 0; i < 9; i++) harness.receive({ opcode: 0, fin: false, payload: [] });
    assert.equal(unfinished.bytes, 640);
    harness.receive({ opcode: 0, payload: [] });
    assert.equal(unfinished.bytes, 0);
  });

  test('what lies whole in a chunk holds nothing', () => {
    const harness = new Harness(true, { maxUnfinishedBytes: 1 });
    harness.receive({ opcode: 2, payload: Buffer.alloc(KIB) });
    assert.equal(harness.heard().length, 1);
  });

  test('a compressed one counts while it is gathered, and while it is inflated on another thread', () => {
    const settings = compressionSettings(NO_TAKEOVER);
    settings.port.inflateLaterAbove = 100;
    const harness = new Harness(true, {}, settings);
    const payload = [...deflateOnce(Buffer.from(Array.from({ length: 500 }, (_, i) => i * i)))];
    const half = payload.length >> 1;
    harness.receive({ opcode: 2, reserved: 4, fin: false, payload: payload.slice(0, half) });
    assert.ok(unfinished.bytes >= half + 64);
    harness.receive({ opcode: 0, payload: payload.slice(half) });
    assert.equal(unfinished.bytes, payload.length);
    settings.port.finishOne();
    assert.equal(unfinished.bytes, 0);
  });

  test('nor does it where its connection fails meanwhile', () => {
    const settings = compressionSettings(NO_TAKEOVER);
    settings.port.inflateLaterAbove = 0;
    const harness = new Harness(true, {}, settings);
    harness.receive({ opcode: 1, reserved: 4, payload: deflateOnce('x'.repeat(300)) });
    assert.ok(unfinished.bytes > 0);
    harness.connection.fail('TERMINATED');
    assert.equal(unfinished.bytes, 0);
  });
});

describe('where all hold too much', () => {
  test('whoever asks for more gets 1013; whoever holds already goes on', () => {
    const limits = { maxUnfinishedBytes: 4 * KIB };
    const first = new Harness(true, limits);
    const second = new Harness(true, limits);
    first.receive({ opcode: 2, fin: false, payload: Buffer.alloc(700) });
    second.receive({ opcode: 2, fin: false, payload: Buffer.alloc(700) });
    failedWith(second, 1013, 'OVERLOADED');
    first.receive({ opcode: 0, payload: Buffer.alloc(700) });
    assert.equal(first.heard().length, 1);
  });

  test('at the limit, and one past it', () => {
    for (const [most, passes] of [
      [64 + 40, true],
      [64 + 39, false],
    ] as const) {
      const harness = new Harness(true, { maxUnfinishedBytes: most });
      // Room for four times what has come is made.
      harness.receive({ opcode: 2, fin: false, payload: Buffer.alloc(10) });
      if (passes) harness.connection.fail('TERMINATED');
      else failedWith(harness, 1013, 'OVERLOADED');
    }
  });

  test('who holds all that may be held can still end its message', () => {
    const harness = new Harness(true, { maxUnfinishedBytes: 64 + 40 });
    harness.receive({ opcode: 2, fin: false, payload: Buffer.alloc(10) });
    harness.receive({ opcode: 0, payload: Buffer.alloc(30) });
    assert.equal(harness.heard().length, 1);
    assert.equal(unfinished.bytes, 0);
  });

  test('the first fragment may already be too much, and so may a compressed piece', () => {
    failedWith(receiving(63, { opcode: 1, fin: false, payload: [97] }), 1013, 'OVERLOADED');
    const piece = { opcode: 1, reserved: 4, fin: false, payload: [1, 2, 3] };
    failedWith(receiving(64, piece), 1013, 'OVERLOADED');
  });

  test('a large compressed message is not taken in', () => {
    const settings = compressionSettings(NO_TAKEOVER);
    settings.port.inflateLaterAbove = 0;
    const harness = new Harness(true, { maxUnfinishedBytes: 5 }, settings);
    harness.receive({ opcode: 1, reserved: 4, payload: deflateOnce('some text') });
    failedWith(harness, 1013, 'OVERLOADED');
  });
});

function receiving(maxUnfinishedBytes: number, frame: Parameters<Harness['receive']>[0]): Harness {
  const harness = new Harness(true, { maxUnfinishedBytes }, compressionSettings(NO_TAKEOVER));
  harness.receive(frame);
  return harness;
}

describe('the rate of messages', () => {
  const limits = { messagesPerSecond: 10, messageBurst: 3 };

  test('the burst passes, and one more fails with 1008', () => {
    const harness = new Harness(true, limits);
    for (let i = 0; i < 3; i++) harness.receive({ opcode: 1, payload: [97] });
    assert.equal(harness.heard().length, 3);
    harness.receive({ opcode: 1, payload: [97] });
    failedWith(harness, 1008, 'MESSAGE_FLOOD');
  });

  test('the rate passes for as long as one likes; control frames do not count', () => {
    const harness = new Harness(true, limits);
    for (let i = 0; i < 50; i++) {
      harness.receive({ opcode: 1, payload: [97] }, { opcode: 9, payload: [] });
      harness.pass(100);
    }
    const messages = harness.heard().filter((told) => 'message' in told);
    assert.equal(messages.length, 50);
  });

  test('fragments of a message count as one', () => {
    const harness = new Harness(true, { messagesPerSecond: 1, messageBurst: 1 });
    harness.receive({ opcode: 1, fin: false, payload: [97] });
    for (let i = 0; i < 5; i++) harness.receive({ opcode: 0, fin: false, payload: [97] });
    harness.receive({ opcode: 0, payload: [97] });
    assert.deepEqual(harness.heard(), [{ message: 'aaaaaaa' }]);
  });

  test('there is none by default', () => {
    const harness = new Harness();
    for (let i = 0; i < 1_000; i++) harness.receive({ opcode: 1, payload: [97] });
    assert.equal(harness.heard().length, 1_000);
  });
});
