import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { newCounters } from '../../../dist/protocol/extensions/compression-counters.js';
import { FrameSender } from '../../../dist/protocol/frames/frame-sender.js';
import { MessageBatch } from '../../../dist/protocol/messages/message-batch.js';
import {
  MessageDeflater,
  SharedDeflate,
} from '../../../dist/protocol/messages/message-deflater.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames } from '../../reference-codec.ts';
import { Harness } from '../connection-harness.ts';
import { compressionSettings, inflateOnce, TestCompression } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

const BINARY = 2;

interface Setting {
  readonly isServer?: boolean;
  readonly takeover?: boolean;
  readonly threshold?: number;
  readonly laterAbove?: number;
}

function setUp(setting: Setting = {}) {
  const { isServer = true, takeover = false, threshold = 0, laterAbove = Infinity } = setting;
  const port = new TestCompression();
  port.deflateLaterAbove = laterAbove;
  const parameters = { windowBits: 15, level: 1, memLevel: 8 };
  const shared = port.sharedDeflater(parameters);
  const makeOwn = () => port.ownDeflater(parameters);
  const sender = new FrameSender(testPlatform, !isServer);
  const counter = newCounters().deflated;
  const clock = { now: 0, step: 1 };
  const measured: string[] = [];
  const platform = {
    ...testPlatform,
    clock: () => {
      clock.now += clock.step;
      return clock.now;
    },
    utf8Length: (text: string) => {
      measured.push(text);
      return testPlatform.utf8Length(text);
    },
  };
  const encoding = new SharedDeflate({ platform, sender, threshold, shared, counter });
  const deflater = new MessageDeflater(encoding, takeover ? makeOwn : undefined);
  const sink = new Harness(isServer, {}, compressionSettings());
  const owned = () => port.deflaters.filter(({ isOwn }) => isOwn);
  return { port, shared, owned, makeOwn, encoding, deflater, sink, counter, clock, measured };
}

function prepared(data: string | Uint8Array, compress = true): PreparedMessage {
  return PreparedMessage.encode(data, testPlatform, compress);
}

/** What was sent, inflated where it was compressed, if each message is by itself. */
function seen(sink: Harness): [string, boolean][] {
  return sink.sent().map(({ payload, compressed = false }) => {
    const bytes = compressed ? inflateOnce(payload) : Uint8Array.from(payload);
    return [Buffer.from(bytes).toString(), compressed];
  });
}

const text = 'compress, compress and compress me';
/** As bytes that no compression makes shorter. */
const incompressible = Uint8Array.from({ length: 40 }, (_, i) => (i * 97 + 13) & 0xff);

for (const isServer of [true, false]) {
  describe(isServer ? 'a server' : 'a client, which masks,', () => {
    test('sends texts and bytes with RSV1', () => {
      const { deflater, sink } = setUp({ isServer });
      deflater.text(sink, `${text} ü`);
      deflater.bytes(sink, BINARY, Buffer.from(text));
      const sent = sink.sent();
      assert.deepEqual(
        sent.map(({ opcode, compressed }) => [opcode, compressed]),
        [
          [1, true],
          [2, true],
        ],
      );
      assert.equal(String(Buffer.from(inflateOnce(sent[0]?.payload ?? []))), `${text} ü`);
      assert.equal(String(Buffer.from(inflateOnce(sent[1]?.payload ?? []))), text);
    });

    test('sends what does not get shorter as it is', () => {
      const { deflater, sink, port } = setUp({ isServer, laterAbove: 100 });
      const long = Uint8Array.from({ length: 101 }, (_, i) => (i * i * 97 + i * 13) & 0xff);
      deflater.text(sink, 'xyz');
      deflater.bytes(sink, BINARY, incompressible);
      deflater.bytes(sink, BINARY, long);
      deflater.prepared(sink, prepared(incompressible));
      deflater.prepared(sink, prepared(long));
      while (port.finishOne());
      assert.deepEqual(sink.sent(), [
        { opcode: 1, payload: [...Buffer.from('xyz')] },
        { opcode: 2, payload: [...incompressible] },
        { opcode: 2, payload: [...long] },
        { opcode: 2, payload: [...incompressible] },
        { opcode: 2, payload: [...long] },
      ]);
    });

    test('sends large and prepared messages', () => {
      const { deflater, sink, port } = setUp({ isServer, laterAbove: 100 });
      deflater.text(sink, text.repeat(4));
      deflater.bytes(sink, BINARY, Buffer.from(text.repeat(5)));
      deflater.prepared(sink, prepared(text));
      deflater.prepared(sink, prepared(text.repeat(6)));
      while (port.finishOne());
      assert.deepEqual(seen(sink), [
        [text.repeat(4), true],
        [text.repeat(5), true],
        [text, true],
        [text.repeat(6), true],
      ]);
    });
  });
}

test('what gets no shorter, and no longer either, goes as it is', () => {
  const { deflater, sink, shared, port } = setUp();
  const even = Array.from({ length: 60 }, (_, i) =>
    Buffer.concat([incompressible.subarray(0, i % 20), Buffer.alloc(i)]),
  ).find((bytes) => shared.deflate(bytes, 0, bytes.length, true) === bytes.length);
  assert.ok(even);
  deflater.bytes(sink, BINARY, even);
  deflater.prepared(sink, prepared(even));
  port.deflateLaterAbove = 0;
  deflater.bytes(sink, BINARY, even);
  deflater.prepared(sink, prepared(even));
  while (port.finishOne());
  assert.deepEqual(sink.sent(), Array(4).fill({ opcode: 2, payload: [...even] }));
});

test('what the next message is compressed to does not change what waits to be sent', () => {
  const { deflater, sink } = setUp();
  // Long when it is compressed, too.
  const long = Array.from({ length: 9000 }, (_, i) => String((i * i * 7919) % 100_003)).join();
  for (const each of [long, text]) deflater.text(sink, each);
  for (const each of [long, text]) deflater.bytes(sink, BINARY, Buffer.from(each));
  for (const each of [long, text]) deflater.prepared(sink, prepared(each));
  const sent = seen(sink);
  assert.deepEqual(
    sent.map(([said, compressed]) => [said === long, said === text, compressed]),
    Array.from({ length: 6 }, (_, i) => [i % 2 === 0, i % 2 === 1, true]),
  );
});

describe('the threshold', () => {
  test('is in bytes, and what has as many is compressed', () => {
    const { deflater, sink } = setUp({ threshold: 30 });
    deflater.text(sink, 'a'.repeat(29));
    deflater.text(sink, 'a'.repeat(30));
    deflater.text(sink, `${'ü'.repeat(14)}a`);
    deflater.text(sink, 'ü'.repeat(15));
    deflater.text(sink, '€'.repeat(10));
    deflater.bytes(sink, BINARY, new Uint8Array(29));
    deflater.bytes(sink, BINARY, new Uint8Array(30));
    deflater.prepared(sink, prepared('b'.repeat(29)));
    deflater.prepared(sink, prepared('b'.repeat(30)));
    assert.deepEqual(
      seen(sink).map(([, compressed]) => compressed),
      [false, true, false, true, true, false, true, false, true],
    );
  });

  test('a text that cannot reach it is not measured', () => {
    const { deflater, sink, measured } = setUp({ threshold: 30 });
    deflater.text(sink, 'a'.repeat(9));
    deflater.text(sink, 'b'.repeat(10));
    assert.deepEqual(measured, ['b'.repeat(10)]);
    assert.deepEqual(seen(sink), [
      ['a'.repeat(9), false],
      ['b'.repeat(10), false],
    ]);
  });

  test('an empty message is not compressed where there is none', () => {
    const { deflater, sink, shared, counter } = setUp({ threshold: 0, laterAbove: 0 });
    deflater.text(sink, '');
    deflater.bytes(sink, BINARY, new Uint8Array(0));
    deflater.prepared(sink, prepared(''));
    assert.deepEqual(seen(sink), [
      ['', false],
      ['', false],
      ['', false],
    ]);
    assert.deepEqual([shared.calls.length, counter.messages], [0, 0]);
  });
});

describe('with takeover', () => {
  const freshness = ({ owned }: ReturnType<typeof setUp>) =>
    owned()[0]?.calls.map(({ fresh }) => fresh);

  test('messages refer to those before', () => {
    const set = setUp({ takeover: true });
    const { deflater, sink } = set;
    const parts = Array.from({ length: 3 }, () => {
      deflater.text(sink, text);
      return sink.sent()[0]?.payload.length ?? 0;
    });
    assert.ok((parts[1] ?? 0) < (parts[0] ?? 0) / 2, String(parts));
    assert.deepEqual(freshness(set), [false, false, false]);
    assert.equal(set.shared.calls.length, 0);
  });

  const disturbances: Record<string, (set: ReturnType<typeof setUp>) => void> = {
    'messages that were thrown away': ({ deflater }) => deflater.forget(),
    'a prepared message': ({ deflater, sink }) => deflater.prepared(sink, prepared(text)),
    'a batch': ({ deflater }) => {
      deflater.framesOf(new MessageBatch([prepared(text)], testPlatform));
    },
    'a batch of which one is compressed': ({ deflater }) => {
      const messages = [prepared('a', false), prepared(text), prepared('b', false)];
      deflater.framesOf(new MessageBatch(messages, testPlatform));
    },
    'a large text': ({ deflater, sink }) => deflater.text(sink, text.repeat(10)),
    'large bytes': ({ deflater, sink }) =>
      deflater.bytes(sink, BINARY, Buffer.from(text.repeat(10))),
  };
  for (const [name, disturb] of Object.entries(disturbances)) {
    test(`the one after ${name} refers to none, those behind it do again`, () => {
      const set = setUp({ takeover: true, laterAbove: 100 });
      set.deflater.text(set.sink, text);
      disturb(set);
      for (let i = 0; i < 3; i++) set.deflater.text(set.sink, text);
      assert.deepEqual(freshness(set), [false, true, false, false]);
    });
  }

  test('the one after what was compressed for nothing refers to none', () => {
    const set = setUp({ takeover: true });
    const { deflater, sink } = set;
    deflater.bytes(sink, BINARY, incompressible);
    deflater.bytes(sink, BINARY, incompressible);
    deflater.text(sink, text);
    deflater.text(sink, text);
    assert.deepEqual(freshness(set), [false, true, true, false]);
  });

  test('what is not compressed makes no difference', () => {
    const set = setUp({ takeover: true, threshold: 10 });
    const { deflater, sink } = set;
    deflater.text(sink, text);
    deflater.text(sink, 'short');
    deflater.bytes(sink, BINARY, Uint8Array.of(1));
    deflater.prepared(sink, prepared('short'));
    deflater.prepared(sink, prepared(text, false));
    const batch = new MessageBatch([prepared('short'), prepared(text, false)], testPlatform);
    assert.equal(deflater.framesOf(batch), batch.plainFrames);
    deflater.text(sink, text);
    assert.deepEqual(freshness(set), [false, false]);
  });

  test('large messages are compressed by themselves', () => {
    const { deflater, sink, port, shared, owned } = setUp({ takeover: true, laterAbove: 100 });
    deflater.text(sink, text.repeat(10));
    deflater.bytes(sink, BINARY, Buffer.from(text.repeat(10)));
    while (port.finishOne());
    assert.deepEqual(
      shared.calls.map(({ later }) => later),
      [true, true],
    );
    assert.equal(owned().length, 0);
    assert.deepEqual(seen(sink), [
      [text.repeat(10), true],
      [text.repeat(10), true],
    ]);
  });

  test('the connection’s own is closed with it, what is shared is not', () => {
    const { deflater, owned, shared, sink } = setUp({ takeover: true });
    deflater.text(sink, text);
    deflater.close();
    assert.deepEqual([owned()[0]?.closes, shared.closes], [1, 0]);
    setUp({ takeover: true }).deflater.close();
    setUp().deflater.close();
  });
});

test('without takeover every message is by itself', () => {
  const { deflater, sink, shared } = setUp();
  for (let i = 0; i < 3; i++) deflater.text(sink, text);
  assert.deepEqual(
    shared.calls.map(({ fresh }) => fresh),
    [true, true, true],
  );
  assert.deepEqual(seen(sink), Array(3).fill([text, true]));
});

describe('on another thread', () => {
  test('a message is compressed that is longer than what is done at once', () => {
    const { deflater, sink, shared } = setUp({ laterAbove: 40 });
    deflater.text(sink, 'ü'.repeat(20));
    deflater.text(sink, `${'ü'.repeat(20)}a`);
    deflater.bytes(sink, BINARY, new Uint8Array(40));
    deflater.bytes(sink, BINARY, new Uint8Array(41));
    deflater.prepared(sink, prepared('a'.repeat(40)));
    deflater.prepared(sink, prepared('a'.repeat(41)));
    assert.deepEqual(
      shared.calls.map(({ later }) => later),
      [false, true, false, true, false, true],
    );
    assert.deepEqual(sink.placesKept, [41, 41, 41]);
  });

  test('it keeps its place: what is sent behind it comes out behind it', () => {
    const { deflater, sink, port } = setUp({ laterAbove: 40 });
    deflater.text(sink, 'first');
    deflater.text(sink, 'a'.repeat(41));
    deflater.text(sink, 'second');
    deflater.prepared(sink, prepared('b'.repeat(41)));
    deflater.text(sink, 'third');
    assert.deepEqual(seen(sink), [['first', false]]);
    // The later one may be done first.
    port.waiting.reverse();
    port.finishOne();
    assert.deepEqual(seen(sink), []);
    port.finishOne();
    assert.deepEqual(seen(sink), [
      ['a'.repeat(41), true],
      ['second', false],
      ['b'.repeat(41), true],
      ['third', false],
    ]);
  });

  test('a place that is given up meanwhile stays empty', () => {
    const { deflater, sink, port } = setUp({ laterAbove: 40 });
    deflater.text(sink, 'a'.repeat(41));
    deflater.prepared(sink, prepared('b'.repeat(41)));
    sink.discard();
    deflater.text(sink, 'behind');
    while (port.finishOne());
    assert.deepEqual(seen(sink), [['behind', false]]);
  });
});

describe('prepared messages', () => {
  test('are compressed once for all who compress alike', () => {
    const { deflater, encoding, sink, shared, counter, makeOwn, owned } = setUp();
    const message = prepared(text);
    deflater.prepared(sink, message);
    new MessageDeflater(encoding).prepared(sink, message);
    new MessageDeflater(encoding, makeOwn).prepared(sink, message);
    assert.deepEqual(seen(sink), Array(3).fill([text, true]));
    assert.equal(shared.calls.length, 1);
    assert.equal(owned().length, 0);
    assert.equal(counter.messages, 1);
  });

  test('large ones too, for those who wait and those who come after', () => {
    const { deflater, encoding, sink, port, shared, counter, clock } = setUp({
      laterAbove: 40,
      threshold: 10,
    });
    const message = prepared('a'.repeat(41));
    const waiting = [deflater, new MessageDeflater(encoding), deflater];
    for (const each of waiting) each.prepared(sink, message);
    deflater.text(sink, 'behind');
    assert.deepEqual(sink.placesKept, [41, 41, 41]);
    assert.equal(encoding.encode(message), undefined);
    clock.now = 500;
    port.finishOne();
    deflater.prepared(sink, message);
    assert.deepEqual(
      seen(sink).map(([said]) => said.length),
      [41, 41, 41, 6, 41],
    );
    assert.equal(shared.calls.length, 1);
    assert.equal(counter.messages, 1);
    assert.equal(counter.milliseconds, 500);
  });

  test('are left alone where they say so', () => {
    const { deflater, encoding, sink, shared } = setUp({ laterAbove: 10 });
    const message = prepared(text, false);
    assert.equal(encoding.encode(message), message);
    deflater.prepared(sink, message);
    assert.deepEqual(seen(sink), [[text, false]]);
    assert.deepEqual(shared.calls, []);
  });
});

describe('batches', () => {
  test('are the frames of their messages, each as it is encoded', () => {
    const { deflater, encoding, shared } = setUp({ threshold: 10 });
    const messages = [prepared(text), prepared('short'), prepared(text, false)];
    const frames = deflater.framesOf(new MessageBatch(messages, testPlatform));
    assert.ok(frames);
    assert.deepEqual(
      decodeFrames(frames).frames.map(({ reserved, payload }) => {
        const bytes = reserved === 4 ? inflateOnce(payload) : payload;
        return [reserved, String(Buffer.from(bytes))];
      }),
      [
        [4, text],
        [0, 'short'],
        [0, text],
      ],
    );
    assert.equal(
      new MessageDeflater(encoding).framesOf(new MessageBatch(messages, testPlatform))?.length,
      frames.length,
    );
    assert.equal(shared.calls.length, 1);
  });

  test('with a message that is not compressed yet are sent one by one', () => {
    const { deflater, sink, port } = setUp({ laterAbove: 40 });
    const messages = [prepared('first'), prepared('a'.repeat(41))];
    assert.equal(deflater.framesOf(new MessageBatch(messages, testPlatform)), undefined);
    for (const message of messages) deflater.prepared(sink, message);
    while (port.finishOne());
    assert.deepEqual(seen(sink), [
      ['first', false],
      ['a'.repeat(41), true],
    ]);
    // The next batch has it at hand.
    assert.ok(deflater.framesOf(new MessageBatch(messages, testPlatform)));
  });
});

test('counts each message that was compressed, and how long it took', () => {
  const { deflater, sink, port, counter, clock } = setUp({ laterAbove: 100, threshold: 10 });
  deflater.text(sink, 'short');
  assert.deepEqual(counter, { messages: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 });
  deflater.text(sink, text);
  let bytesOut = sink.sent()[1]?.payload.length ?? 0;
  assert.deepEqual(counter, { messages: 1, bytesIn: text.length, bytesOut, milliseconds: 1 });
  deflater.prepared(sink, prepared(text));
  bytesOut *= 2;
  assert.deepEqual(counter, { messages: 2, bytesIn: 2 * text.length, bytesOut, milliseconds: 2 });
  sink.sent();
  deflater.bytes(sink, BINARY, new Uint8Array(500));
  clock.now += 20;
  port.finishOne();
  bytesOut += sink.sent()[0]?.payload.length ?? 0;
  const bytesIn = 2 * text.length + 500;
  assert.deepEqual(counter, { messages: 3, bytesIn, bytesOut, milliseconds: 23 });
});
