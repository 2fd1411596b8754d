import assert from 'node:assert/strict';
import { nodePlatform } from '../../../dist/node/node-platform.js';
import { Utf8Validator } from '../../../dist/protocol/messages/utf8-validator.js';
import { cutInto } from '../../protocol/splitting.ts';
import { decodeUtf8, encodeUtf8 } from '../../reference-codec.ts';
import { Input } from '../input.ts';
import type { Target } from '../target.ts';

/** Where the piece ends with which it was found wrong; and whether the text may end behind all pieces. */
function judge(pieces: readonly Uint8Array[]): {
  readonly wrongAt: number;
  readonly complete: boolean;
} {
  const validator = new Utf8Validator(nodePlatform);
  let at = 0;
  for (const piece of pieces) {
    at += piece.length;
    if (!validator.push(piece, 0, piece.length)) return { wrongAt: at, complete: false };
  }
  return { wrongAt: -1, complete: validator.complete };
}

/** The same by the plain reading. */
function expected(pieces: readonly Uint8Array[], text: Uint8Array): ReturnType<typeof judge> {
  let at = 0;
  for (const piece of pieces) {
    at += piece.length;
    if (decodeUtf8(text.subarray(0, at)) === 'malformed') return { wrongAt: at, complete: false };
  }
  return { wrongAt: -1, complete: typeof decodeUtf8(text) === 'object' };
}

export const utf8Validator: Target = {
  name: 'utf8-validator',
  invariant:
    'Whatever the bytes and however they are cut, text is found wrong with the very piece that holds the first byte that RFC 3629 does not allow there, may end exactly where the RFC lets it, and is decoded and encoded as the RFC says.',
  maxBytes: 256,
  run(bytes) {
    const input = new Input(bytes);
    const cuts = input.cuts();
    const text = input.rest();
    for (const pieces of [[text], cutInto(text, cuts), cutInto(text, [1])]) {
      assert.deepEqual(judge(pieces), expected(pieces, text));
    }
    const decoded = decodeUtf8(text);
    const meant = typeof decoded === 'object' ? decoded.text : undefined;
    assert.equal(nodePlatform.decodeUtf8(text, 0, text.length), meant);
    // Bytes as UTF-16 units: pairs and halves of surrogates as well.
    const units = Buffer.from(text.subarray(0, text.length & ~1)).toString('utf16le');
    for (const each of [meant ?? '', units]) {
      const encoded = encodeUtf8(each);
      assert.equal(nodePlatform.utf8Length(each), encoded.length);
      const target = new Uint8Array(3 * each.length + 2);
      assert.equal(nodePlatform.encodeUtf8(each, target, 1), encoded.length);
      assert.ok(Buffer.from(encoded).equals(target.subarray(1, 1 + encoded.length)));
    }
    return typeof decoded === 'object' ? 'text' : decoded;
  },
  words: [
    'c2 80',
    'df bf',
    'e0 a0 80',
    'ed 9f bf',
    'ed a0 80',
    'f0 90 80 80',
    'f4 8f bf bf',
    'f4 90',
    'c0 af',
  ].map((hex) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))),
};
