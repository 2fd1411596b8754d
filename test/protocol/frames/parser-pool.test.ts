import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParserPool } from '../../../dist/protocol/frames/parser-pool.js';
import { encodeFrame } from '../../reference-codec.ts';

test('what was given back is lent again, and nothing to two at once', () => {
  const pool = new ParserPool(true, false);
  const first = pool.take();
  const second = pool.take();
  assert.notEqual(first, second);
  pool.giveBack(first);
  assert.equal(pool.take(), first);
  assert.notEqual(pool.take(), first);
});

test('it keeps only a few', () => {
  const pool = new ParserPool(false, false);
  const lent = Array.from({ length: 100 }, () => pool.take());
  for (const parser of lent) pool.giveBack(parser);
  const again = Array.from({ length: 100 }, () => pool.take());
  assert.equal(again.filter((parser) => lent.includes(parser)).length, 16);
});

test('its parsers are as they were asked for', () => {
  for (const masked of [true, false]) {
    for (const mayBeCompressed of [true, false]) {
      const parser = new ParserPool(masked, mayBeCompressed).take();
      const mask = masked ? [1, 2, 3, 4] : undefined;
      const frame = encodeFrame({ opcode: 1, reserved: 4, mask });
      const seen: number[] = [];
      const handler = {
        wholeMessage: (first: number) => seen.push(first),
        frameStart: () => assert.fail('a message in one frame'),
        framePayload: () => assert.fail('a message in one frame'),
      };
      parser.parse(handler, frame, 0, frame.length);
      assert.deepEqual(seen, mayBeCompressed ? [0xc1] : []);
      assert.equal(parser.error, mayBeCompressed ? undefined : 'RESERVED_BITS');
    }
  }
});
