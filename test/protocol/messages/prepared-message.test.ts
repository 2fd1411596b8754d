import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames, encodeUtf8 } from '../../reference-codec.ts';
import { MessageBatch } from '../../../dist/protocol/messages/message-batch.js';
import { testPlatform } from '../test-platform.ts';

for (const data of ['', 'hello', 'ü'.repeat(63), 'x'.repeat(70_000)]) {
  test(`a text of ${data.length} characters is one unmasked frame`, () => {
    const message = new PreparedMessage(data, testPlatform, true);
    const [frame] = decodeFrames(message.frame).frames;
    assert.equal(message.opcode, 1);
    assert.equal(frame?.opcode, 1);
    assert.equal(frame?.mask, undefined);
    assert.ok(Buffer.from(frame?.payload ?? []).equals(encodeUtf8(data)));
    assert.ok(Buffer.from(message.frame.subarray(message.payloadStart)).equals(encodeUtf8(data)));
  });
}

test('bytes are copied: what happens to them later does not matter', () => {
  const data = Uint8Array.of(1, 2, 3);
  const message = new PreparedMessage(data, testPlatform, true);
  data.fill(0);
  assert.equal(message.opcode, 2);
  assert.deepEqual([...message.frame], [0x82, 3, 1, 2, 3]);
});

test('several are joined in order; one alone is its own frame, not a copy', () => {
  const messages = ['a', 'bc', ''].map((text) => new PreparedMessage(text, testPlatform, true));
  const { frames, rest } = decodeFrames(new MessageBatch(messages, testPlatform).plainFrames);
  assert.equal(rest.length, 0);
  assert.deepEqual(
    frames.map(({ opcode, payload }) => [opcode, String.fromCharCode(...payload)]),
    [
      [1, 'a'],
      [1, 'bc'],
      [1, ''],
    ],
  );
  assert.equal(new MessageBatch(messages.slice(0, 1), testPlatform).plainFrames, messages[0]?.frame);
});
