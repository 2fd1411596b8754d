import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EncodedMessage } from '../../../dist/protocol/frames/frame-sender.js';
import { MessageBatch } from '../../../dist/protocol/messages/message-batch.js';
import { PreparedMessage } from '../../../dist/protocol/messages/prepared-message.js';
import { decodeFrames } from '../../reference-codec.ts';
import { testPlatform } from '../test-platform.ts';

const messages = ['a', 'bc', ''].map((text) => PreparedMessage.encode(text, testPlatform, true));
const [first] = messages;

/** Says the same of each message, and how often it was asked. */
function encoding(encoded: (message: PreparedMessage) => EncodedMessage | undefined) {
  const asked: PreparedMessage[] = [];
  const encode = (message: PreparedMessage) => {
    asked.push(message);
    return encoded(message);
  };
  return { asked, encode };
}

test('several are joined in order, once', () => {
  const batch = new MessageBatch(messages, testPlatform);
  const { frames, rest } = decodeFrames(batch.plainFrames);
  assert.equal(rest.length, 0);
  assert.deepEqual(
    frames.map(({ opcode, payload }) => [opcode, String.fromCharCode(...payload)]),
    [
      [1, 'a'],
      [1, 'bc'],
      [1, ''],
    ],
  );
  assert.equal(batch.plainFrames, batch.plainFrames);
  assert.equal(batch.messages, messages);
});

test('one alone is its own frame, not a copy', () => {
  const batch = new MessageBatch(messages.slice(0, 1), testPlatform);
  assert.equal(batch.plainFrames, first?.frame);
  assert.equal(batch.framesOf(encoding((message) => message)), first?.frame);
});

test('they are joined once for each encoding', () => {
  const batch = new MessageBatch(messages, testPlatform);
  const frame = Uint8Array.of(0xc1, 1, 7);
  const other = encoding(() => ({ opcode: 0x41, frame, payloadStart: 2 }));
  const same = encoding((message) => message);
  const frames = batch.framesOf(other);
  assert.deepEqual(frames, Uint8Array.of(...frame, ...frame, ...frame));
  assert.equal(batch.framesOf(same), batch.plainFrames);
  assert.equal(batch.framesOf(other), frames);
  assert.deepEqual(other.asked, messages);
  assert.deepEqual(same.asked, messages);
});

test('it is known of frames whether they are the uncompressed ones', () => {
  for (const several of [messages, messages.slice(0, 1)]) {
    const batch = new MessageBatch(several, testPlatform);
    const other = encoding((message) =>
      message === first ? { ...message, frame: Uint8Array.of(0xc1, 0) } : message,
    );
    const others = batch.framesOf(other);
    assert.ok(others && !batch.arePlain(others));
    const same = batch.framesOf(encoding((message) => message));
    assert.ok(same && batch.arePlain(same));
    assert.ok(batch.arePlain(batch.plainFrames) && !batch.arePlain(others));
  }
});

test('where one is not there yet there are no frames, and nobody asks again', () => {
  const batch = new MessageBatch(messages, testPlatform);
  const late = encoding((message) => (message === messages[1] ? undefined : message));
  assert.equal(batch.framesOf(late), undefined);
  assert.equal(batch.framesOf(late), undefined);
  assert.deepEqual(late.asked, messages.slice(0, 2));
  assert.equal(batch.framesOf(encoding((message) => message))?.length, batch.plainFrames.length);
});
