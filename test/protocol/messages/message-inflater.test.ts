import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newCounters } from '../../../dist/protocol/extensions/compression-counters.js';
import { type Limits, resolveLimits } from '../../../dist/protocol/limits.js';
import {
  type Inflated,
  MessageInflater,
} from '../../../dist/protocol/messages/message-inflater.js';
import { deflateOnce, TestCompression } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

function setUp(limits: Partial<Limits> = {}, isOwn = false) {
  const port = new TestCompression();
  const inflater = isOwn ? port.ownInflater(15) : port.sharedInflater();
  const counter = newCounters().inflated;
  const clock = { now: 0 };
  const platform = { ...testPlatform, clock: () => ++clock.now };
  const settings = { platform, limits: resolveLimits(limits), counter };
  return {
    port,
    inflater,
    counter,
    clock,
    messages: new MessageInflater(settings, inflater, isOwn),
  };
}

const FREE = 64 * 1024;

/** Each rule is the same at once and on another thread. */
for (const later of [false, true]) {
  describe(later ? 'on another thread' : 'at once', () => {
    function inflate(set: ReturnType<typeof setUp>, isText: boolean, payload: Uint8Array) {
      if (!later) {
        // From the middle of a chunk.
        const chunk = Buffer.concat([Buffer.from('<<'), payload, Buffer.from('>>')]);
        return set.messages.inflate(isText, chunk, 2, chunk.length - 2);
      }
      const told: Inflated[] = [];
      set.messages.inflateLater(isText, payload, (inflated) => told.push(inflated));
      assert.equal(told.length, 0);
      set.port.finishOne();
      assert.equal(told.length, 1);
      return told[0];
    }

    /** What a message of so many zeros comes to. */
    function zeros(length: number, limits: Partial<Limits>): number | string {
      const inflated = inflate(setUp(limits), false, deflateOnce(new Uint8Array(length)));
      assert.ok(inflated);
      return 'error' in inflated ? inflated.error : inflated.message.length;
    }

    test('texts and bytes, of memory of their own', () => {
      const set = setUp();
      const text = inflate(set, true, deflateOnce('häh'));
      const bytes = inflate(set, false, deflateOnce(Uint8Array.of(1, 2, 3)));
      const empty = inflate(set, true, Uint8Array.of(0));
      const nothing = inflate(set, false, new Uint8Array(0));
      assert.deepEqual(text, { message: 'häh' });
      assert.deepEqual(bytes, { message: Uint8Array.of(1, 2, 3) });
      assert.deepEqual(empty, { message: '' });
      assert.ok(nothing && 'message' in nothing && nothing.message.length === 0);
    });

    test('corrupt data: INFLATE_CORRUPT', () => {
      for (const payload of [[0xff, 0xff], [...deflateOnce('hello hello hello')].slice(0, -1)]) {
        assert.deepEqual(inflate(setUp(), true, Uint8Array.from(payload)), {
          error: 'INFLATE_CORRUPT',
        });
      }
    });

    test('text that is not UTF-8: INVALID_UTF8; as bytes it is a message', () => {
      const payload = deflateOnce(Uint8Array.of(0x61, 0xff));
      assert.deepEqual(inflate(setUp(), true, payload), { error: 'INVALID_UTF8' });
      assert.deepEqual(inflate(setUp(), false, payload), { message: Uint8Array.of(0x61, 0xff) });
    });

    test('a message of exactly the limit, and one byte more', () => {
      assert.equal(zeros(1000, { maxMessageBytes: 1000 }), 1000);
      assert.equal(zeros(1001, { maxMessageBytes: 1000 }), 'MESSAGE_TOO_BIG');
      // Also where the ratio would not let it go further either.
      assert.equal(
        zeros(FREE + 1, { maxMessageBytes: FREE, maxInflationRatio: 1 }),
        'MESSAGE_TOO_BIG',
      );
    });

    test('64 KiB are free, then the ratio counts', () => {
      assert.equal(zeros(FREE, { maxInflationRatio: 1 }), FREE);
      assert.equal(zeros(FREE + 1, { maxInflationRatio: 1 }), 'INFLATION_RATIO');
      const payload = deflateOnce(new Uint8Array(500_000));
      const ratio = Math.ceil(500_000 / payload.length);
      assert.equal(zeros(500_000, { maxInflationRatio: ratio }), 500_000);
      assert.equal(zeros(500_000, { maxInflationRatio: ratio - 1 }), 'INFLATION_RATIO');
      assert.equal(zeros(500_000, { maxInflationRatio: Infinity }), 500_000);
    });

    test('how far it may go is told before', () => {
      const cases: [number, Partial<Limits>, number][] = [
        [0, {}, FREE],
        [1, {}, FREE],
        [400, {}, 80_000],
        [400, { maxMessageBytes: 70_000 }, 70_000],
        [400, { maxMessageBytes: 100 }, 100],
        [100_000, {}, 1024 * 1024],
        [0, { maxInflationRatio: Infinity }, 1024 * 1024],
        [9, { maxInflationRatio: Infinity, maxMessageBytes: Infinity }, Infinity],
        [0, { maxInflationRatio: Infinity, maxMessageBytes: Infinity }, Infinity],
      ];
      for (const [size, limits, expected] of cases) {
        const set = setUp(limits);
        inflate(set, false, new Uint8Array(size).fill(0xff));
        assert.equal(set.inflater.calls[0]?.maxBytes, expected, `${size} bytes`);
      }
    });

    test('messages are counted, failures are not', () => {
      const set = setUp({ maxMessageBytes: 1000 });
      const payload = deflateOnce('hello');
      inflate(set, true, payload);
      const once = { messages: 1, bytesIn: payload.length, bytesOut: 5, milliseconds: 1 };
      assert.deepEqual(set.counter, once);
      inflate(set, true, Uint8Array.of(0xff));
      inflate(set, true, deflateOnce(new Uint8Array(1001)));
      assert.deepEqual(set.counter, once);
    });

    test('messages refer to those before, where that was agreed on', () => {
      const { port, messages } = setUp({}, true);
      const deflater = port.ownDeflater({ windowBits: 15, level: 1, memLevel: 8 });
      const set = { ...setUp({}, true), port, messages };
      for (let i = 0; i < 3; i++) {
        const length = deflater.deflate(Buffer.from('hello, hello'), 0, 12, false);
        const payload = deflater.output.slice(0, length);
        assert.deepEqual(inflate(set, true, payload), { message: 'hello, hello' });
      }
    });
  });
}

test('what is inflated next does not change a message', () => {
  const { messages } = setUp();
  const [one, two] = ['one', 'two'].map((text) => {
    const payload = deflateOnce(text);
    return messages.inflate(false, payload, 0, payload.length);
  });
  assert.deepEqual(one, { message: Uint8Array.from(Buffer.from('one')) });
  assert.deepEqual(two, { message: Uint8Array.from(Buffer.from('two')) });
  assert.ok(one && 'message' in one && one.message instanceof Uint8Array);
  assert.equal(one.message.buffer.byteLength, 3);
});

test('what is inflated on another thread is no Buffer, and pins no more than it shows', () => {
  const { port, messages } = setUp();
  const [inflater] = port.inflaters;
  assert.ok(inflater);
  for (const size of [10, 1000]) {
    const result = Buffer.alloc(1000, 7).subarray(0, size);
    inflater.inflateLater = (_bytes, _maxBytes, done) => {
      done(result);
      return { cancel: () => {} };
    };
    messages.inflateLater(false, Uint8Array.of(1), (inflated) => {
      assert.deepEqual(inflated, { message: new Uint8Array(size).fill(7) });
      assert.ok('message' in inflated && inflated.message instanceof Uint8Array);
      assert.ok(inflated.message.buffer.byteLength <= Math.max(10, size));
    });
  }
});

test('a large payload is one that is longer than what is done at once', () => {
  const { port, messages } = setUp();
  assert.ok(!messages.isLarge(2 ** 31));
  port.inflateLaterAbove = 100;
  assert.ok(!messages.isLarge(100));
  assert.ok(messages.isLarge(101));
});

test('the connection’s own is closed with it, and then tells no more', () => {
  const { port, inflater, messages } = setUp({}, true);
  messages.inflateLater(true, deflateOnce('x'), () => assert.fail('told'));
  messages.close();
  assert.equal(inflater.closes, 1);
  port.finishOne();
});

test('what is cancelled tells no more, and the inflater is there for others', () => {
  const { port, messages } = setUp();
  messages.inflateLater(true, deflateOnce('x'), () => assert.fail('told')).cancel();
  const told: Inflated[] = [];
  messages.inflateLater(true, deflateOnce('y'), (inflated) => told.push(inflated));
  while (port.finishOne());
  assert.deepEqual(told, [{ message: 'y' }]);
});

test('what is shared is not closed', () => {
  const { inflater, messages } = setUp();
  messages.close();
  assert.equal(inflater.closes, 0);
});
