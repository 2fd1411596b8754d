import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CORRUPT, TOO_LONG } from '../../../dist/protocol/extensions/compression.js';
import { deflateOnce, inflateOnce, TestCompression } from '../test-compression.ts';

test('what is no length is negative, and tells two things apart', () => {
  assert.ok(CORRUPT < 0 && TOO_LONG < 0);
  assert.notEqual(CORRUPT, TOO_LONG);
});

/** The port that the other tests are done with keeps to what is asked of one. */
describe('the port for compression', () => {
  const parameters = { windowBits: 15, level: 1, memLevel: 8 };
  const text = Buffer.from('compressed, compressed and compressed again');

  for (const isOwn of [false, true]) {
    test(`${isOwn ? 'refers' : 'does not refer'} to messages before`, () => {
      const port = new TestCompression();
      const deflater = isOwn ? port.ownDeflater(parameters) : port.sharedDeflater(parameters);
      const inflater = isOwn ? port.ownInflater(15) : port.sharedInflater();
      const lengths = [0, 1, 2].map((i) => {
        const length = deflater.deflate(text, 0, text.length, !isOwn);
        const payload = deflater.output.slice(0, length);
        assert.equal(inflater.inflate(payload, 0, length, text.length), text.length);
        assert.ok(text.equals(inflater.output.subarray(0, text.length)), `message ${i}`);
        return length;
      });
      assert.equal(lengths[1], lengths[2]);
      assert.equal((lengths[1] ?? 0) < (lengths[0] ?? 0) / 3, isOwn);
    });
  }

  test('reads payloads whose last block is final', () => {
    // RFC 7692 7.2.3.4: `Hello` in a block with BFINAL, and one zero byte behind it.
    const payload = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    const { output } = inflated(payload);
    assert.equal(String.fromCharCode(...output.subarray(0, 5)), 'Hello');
    // RFC 7692 7.2.3.6: an empty message.
    assert.equal(inflated([0x00]).result, 0);
    assert.equal(inflated([]).result, 0);
    assert.deepEqual(inflateOnce(deflateOnce('häh')), Uint8Array.from(Buffer.from('häh')));
  });

  function inflated(payload: number[], maxBytes = 5) {
    const inflater = new TestCompression().sharedInflater();
    const bytes = Uint8Array.from(payload);
    const result = inflater.inflate(bytes, 0, bytes.length, maxBytes);
    return { result, output: inflater.output };
  }

  test('tells of what is wrong', () => {
    const payload = [...deflateOnce('Hello, hello')];
    assert.equal(inflated(payload, 12).result, 12);
    assert.equal(inflated(payload, 11).result, TOO_LONG);
    assert.equal(inflated(payload.slice(0, -2), 12).result, CORRUPT);
    assert.equal(inflated([0xff, 0xff]).result, CORRUPT);
  });

  test('what is for another thread is done when the test says so', () => {
    const port = new TestCompression();
    const seen: string[] = [];
    port.sharedDeflater(parameters).deflateLater(text, (compressed) => {
      seen.push(String(Buffer.from(inflateOnce(compressed))));
    });
    port.sharedInflater().inflateLater(deflateOnce('x'), 9, (result) => {
      seen.push(typeof result === 'number' ? 'failed' : String(Buffer.from(result)));
    });
    assert.deepEqual(seen, []);
    assert.ok(port.finishOne());
    assert.deepEqual(seen, [String(text)]);
    assert.ok(port.finishOne());
    assert.deepEqual(seen, [String(text), 'x']);
    assert.ok(!port.finishOne());
  });

  test('what is cancelled is not told, nor what was begun before the end', () => {
    const port = new TestCompression();
    const own = port.ownInflater(15);
    const fail = () => assert.fail('told');
    own.inflateLater(deflateOnce('x'), 9, fail);
    own.close();
    port.sharedInflater().inflateLater(deflateOnce('x'), 9, fail).cancel();
    while (port.finishOne());
  });
});
