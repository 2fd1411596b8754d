import assert from 'node:assert/strict';
import { nodePlatform } from '../../../dist/node/node-platform.js';
import { readHead, readMessages, sealEnvelope } from '../../../dist/topics/envelope.js';
import { concatBytes, decodeFrames, decodeUtf8, encodeFrame } from '../../reference-codec.ts';
import type { Target } from '../target.ts';

const HEAD = 24;

/** Whether these bytes are frames as a server sends messages, by a plain reading. */
function areMessages(bytes: Uint8Array): boolean {
  const { frames, rest } = decodeFrames(bytes);
  if (rest.length > 0) return false;
  return frames.every(
    ({ fin, reserved, opcode, mask, payload, lengthBits }) =>
      fin &&
      reserved === 0 &&
      (opcode === 2 || (opcode === 1 && typeof decodeUtf8(payload) === 'object')) &&
      mask === undefined &&
      lengthBits === (payload.length < 126 ? 7 : payload.length < 65_536 ? 16 : 64),
  );
}

export const envelope: Target = {
  name: 'envelope',
  invariant:
    'Whatever bytes an engine hands out, they are an envelope exactly where a plain reading finds a head of version 1 and nothing behind it but whole, minimal, unmasked frames of text and bytes, and then they are what sealing the messages again makes.',
  run(bytes) {
    const head = readHead(bytes);
    assert.equal(head !== undefined, bytes.length >= HEAD && bytes[0] === 1);
    if (head === undefined) return 'no head';
    const messages = readMessages(bytes, nodePlatform);
    const frames = bytes.subarray(HEAD);
    assert.equal(messages !== undefined, areMessages(frames));
    if (messages === undefined) return 'no messages';
    const compress = ((bytes[1] ?? 0) & 1) === 0;
    const sealed = sealEnvelope(head, messages, nodePlatform);
    assert.ok(Buffer.from(sealed.subarray(2)).equals(bytes.subarray(2)));
    assert.ok(messages.every((message) => message.compress === compress));
    return `${Math.min(3, messages.length)} messages`;
  },
  generate(random) {
    const payloads = [0, 1, 125, 126, 300].map((size) => new Uint8Array(size).fill(0x61));
    const frames = Array.from({ length: random.below(4) }, () =>
      encodeFrame({ opcode: random.pick([1, 2]), payload: random.pick(payloads) }),
    );
    return concatBytes([1, random.below(2)], random.bytes(22), ...frames);
  },
};
