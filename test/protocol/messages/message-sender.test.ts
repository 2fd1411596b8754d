import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgreedCompression } from '../../../dist/protocol/extensions/agreed-compression.js';
import { FrameSender } from '../../../dist/protocol/frames/frame-sender.js';
import { resolveLimits } from '../../../dist/protocol/limits.js';
import { MessageBatch } from '../../../dist/protocol/messages/message-batch.js';
import { MessageSender } from '../../../dist/protocol/messages/message-sender.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames } from '../../reference-codec.ts';
import { Harness, PING } from '../connection-harness.ts';
import { compressionSettings, TAKEOVER } from '../test-compression.ts';
import { testPlatform } from '../test-platform.ts';

/** With the end of a connection in the test's hands. */
class Sender extends MessageSender {
  end(): void {
    this.closeDeflater();
  }
}

function setUp(agreement = TAKEOVER) {
  const compression = compressionSettings(agreement);
  const sender = new FrameSender(testPlatform, false);
  const agreed = new AgreedCompression(compression, testPlatform, resolveLimits(), sender);
  const sink = new Harness(true, {}, compression);
  return {
    sink,
    port: compression.port,
    messages: new Sender(sink, { sender, compression: agreed }),
    plain: new Sender(sink, { sender, compression: undefined }),
  };
}

const text = 'compress, compress and compress me';
const bytes = Uint8Array.from(Buffer.from(text));

function prepared(compress: boolean): PreparedMessage {
  return PreparedMessage.encode(text, testPlatform, compress);
}

const isCompressed = (sink: Harness) => sink.sent().map(({ compressed = false }) => compressed);

describe('compression', () => {
  test('is for each message to choose', () => {
    const { sink, messages } = setUp();
    for (const compress of [true, false]) {
      messages.sendText(text, compress);
      messages.sendBinary(bytes, compress);
      messages.sendPrepared(prepared(true), compress);
      messages.sendPrepared(prepared(false), compress);
    }
    const sent = sink.sent();
    assert.deepEqual(
      sent.map(({ opcode }) => opcode),
      [1, 2, 1, 1, 1, 2, 1, 1],
    );
    assert.deepEqual(
      sent.map(({ compressed = false }) => compressed),
      [true, true, true, false, false, false, false, false],
    );
    assert.deepEqual(sent[5]?.payload, [...bytes]);
  });

  test('is not for control frames', () => {
    const { sink, messages } = setUp();
    messages.sendBytes(PING, bytes);
    assert.deepEqual(sink.sent(), [{ opcode: PING, payload: [...bytes] }]);
  });

  for (const [name, choose] of [
    ['nothing was agreed on', () => setUp().plain],
    [
      'the peer has too small a window',
      () => setUp({ ...TAKEOVER, deflateWindowBits: 8 }).messages,
    ],
  ] as const) {
    test(`is not where ${name}`, () => {
      const messages = choose();
      const batch = new MessageBatch([prepared(true)], testPlatform);
      assert.equal(messages.framesOf(batch), batch.plainFrames);
      messages.discarded();
      messages.end();
    });
  }

  test('leaves all as it is where nothing was agreed on', () => {
    const { sink, plain } = setUp();
    plain.sendText(text, true);
    plain.sendBinary(bytes, true);
    plain.sendPrepared(prepared(true), true);
    assert.deepEqual(sink.sent(), [
      { opcode: 1, payload: [...bytes] },
      { opcode: 2, payload: [...bytes] },
      { opcode: 1, payload: [...bytes] },
    ]);
  });

  test('is of batches too', () => {
    const { messages } = setUp();
    const frames = messages.framesOf(new MessageBatch([prepared(true)], testPlatform));
    assert.equal(decodeFrames(frames ?? bytes).frames[0]?.reserved, 4);
  });
});

describe('a context of its own', () => {
  test('is made with the first message that is compressed, and given back once', () => {
    const { sink, port, messages } = setUp();
    messages.discarded();
    messages.sendText(text, false);
    messages.sendPrepared(prepared(false), true);
    messages.sendBytes(PING, bytes);
    assert.equal(port.deflaters.filter(({ isOwn }) => isOwn).length, 0);
    messages.sendText(text, true);
    messages.sendText(text, true);
    const own = port.deflaters.filter(({ isOwn }) => isOwn);
    assert.equal(own.length, 1);
    assert.equal(own[0]?.calls.length, 2);
    messages.end();
    assert.equal(own[0]?.closes, 1);
    assert.deepEqual(isCompressed(sink), [false, false, false, true, true]);
  });

  test('refers to nothing that was thrown away', () => {
    const { port, messages } = setUp();
    messages.sendText(text, true);
    messages.discarded();
    messages.sendText(text, true);
    assert.deepEqual(
      port.deflaters[1]?.calls.map(({ fresh }) => fresh),
      [false, true],
    );
  });
});
