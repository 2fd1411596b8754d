import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { suite, test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { CORRUPT, TOO_LONG } from '../../../dist/protocol/extensions/compression.js';
import { BOTH, inflate, inflateLater, json, payloadOf } from './both.ts';
import { trackStreams } from './tracked-streams.ts';

const HELLO = Buffer.from('Hello');

/** RFC 7692 7.2.3.1 to 7.2.3.5; of a message in two fragments the payload is what both have. */
const EXAMPLES: readonly (readonly [section: string, payload: string])[] = [
  ['7.2.3.1, one block', 'f248cdc9c90700'],
  ['7.2.3.1, two fragments', `${'f248cd'}${'c9c90700'}`],
  ['7.2.3.3, no compression', '000500faff48656c6c6f00'],
  ['7.2.3.4, BFINAL', 'f348cdc9c9070000'],
  ['7.2.3.5, two blocks', 'f24805000000ffffcac9c90700'],
];

/** Final blocks, each of one of these texts, and then an empty one as 7.2.3.4 has it. */
function finalBlocks(...texts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...texts.map((text) => deflateRawSync(text)), Buffer.from([0])]);
}

for (const [way, compression] of BOTH) {
  suite(way, () => {
    const shared = compression.sharedInflater();

    /** What both an inflater of all and one of a connection's own make of it, at once and later. */
    async function everywhere(
      payload: Uint8Array,
      maxBytes?: number,
    ): Promise<Buffer | typeof CORRUPT | typeof TOO_LONG> {
      const result = inflate(shared, payload, maxBytes);
      assert.deepEqual(await inflateLater(shared, payload, maxBytes), result);
      const own = compression.ownInflater(15);
      assert.deepEqual(inflate(own, payload, maxBytes), result);
      own.close();
      const later = compression.ownInflater(15);
      assert.deepEqual(await inflateLater(later, payload, maxBytes), result);
      later.close();
      return result;
    }

    for (const [section, payload] of EXAMPLES) {
      test(`the example of RFC 7692 ${section}`, async () => {
        assert.deepEqual(await everywhere(Buffer.from(payload, 'hex')), HELLO);
      });
    }

    test('the example of RFC 7692 7.2.3.2, which shares the window', async () => {
      const first = Buffer.from('f248cdc9c90700', 'hex');
      const second = Buffer.from('f200110000', 'hex');
      for (const later of [false, true]) {
        const own = compression.ownInflater(15);
        for (const payload of [first, second, second, first, second]) {
          const inflated = later ? await inflateLater(own, payload) : inflate(own, payload);
          assert.deepEqual(inflated, HELLO);
        }
        own.close();
      }
    });

    test('the example of RFC 7692 7.2.3.6, an empty message', async () => {
      assert.deepEqual(await everywhere(Buffer.from([0])), Buffer.alloc(0));
    });

    test('a payload of no bytes is an empty message, and changes nothing', async () => {
      assert.deepEqual(await everywhere(Buffer.alloc(0)), Buffer.alloc(0));
      const own = compression.ownInflater(15);
      assert.deepEqual(inflate(own, Buffer.from('f248cdc9c90700', 'hex')), HELLO);
      assert.deepEqual(inflate(own, Buffer.alloc(0)), Buffer.alloc(0));
      assert.deepEqual(await inflateLater(own, Buffer.alloc(0)), Buffer.alloc(0));
      assert.deepEqual(inflate(own, Buffer.from('f200110000', 'hex')), HELLO);
      own.close();
    });

    test('final blocks: one, several, with and without something behind', async () => {
      const text = json(3_000);
      const other = randomBytes(100);
      const nothing = Buffer.alloc(0);
      assert.deepEqual(await everywhere(finalBlocks(text)), text);
      assert.deepEqual(await everywhere(deflateRawSync(text)), text);
      assert.deepEqual(
        await everywhere(finalBlocks(text, other, nothing, text)),
        Buffer.concat([text, other, text]),
      );
      assert.deepEqual(
        await everywhere(Buffer.concat([deflateRawSync(text), payloadOf(other)])),
        Buffer.concat([text, other]),
      );
      assert.deepEqual(
        await everywhere(
          Buffer.concat([payloadOf(text), Buffer.from('0000ffff', 'hex'), deflateRawSync(other)]),
        ),
        Buffer.concat([text, other]),
      );
      // An empty final block of which the last four bytes are left out.
      assert.deepEqual(await everywhere(Buffer.from([1])), nothing);
      assert.deepEqual(await everywhere(Buffer.from([3, 0])), nothing);
    });

    test('large final blocks', async () => {
      const parts = [json(100_000), randomBytes(70_000), json(200_000, 7)];
      assert.deepEqual(await everywhere(finalBlocks(...parts)), Buffer.concat(parts));
    });

    test('messages go on after final blocks, and refer to what came since', async () => {
      const before = json(3_000);
      const text = json(3_000, 50);
      const final = Buffer.concat([deflateRawSync(before), payloadOf(text)]);
      for (const later of [false, true]) {
        for (const [payload, expected] of [
          [final, Buffer.concat([before, text])],
          [deflateRawSync(text), text],
          [Buffer.from([1]), Buffer.alloc(0)],
        ] as const) {
          const own = compression.ownInflater(15);
          const inflated = later ? await inflateLater(own, payload) : inflate(own, payload);
          assert.deepEqual(inflated, expected);
          assert.deepEqual(inflate(own, payloadOf(before)), before);
          const referring = payloadOf(text, { dictionary: before });
          assert.deepEqual(await inflateLater(own, referring), text);
          assert.deepEqual(inflate(own, payloadOf(before, { dictionary: text })), before);
          own.close();
        }
        // The one that is behind a final block may be referred to.
        const own = compression.ownInflater(15);
        if (later) await inflateLater(own, final);
        else inflate(own, final);
        const referring = payloadOf(text, { dictionary: text });
        assert.deepEqual(
          later ? await inflateLater(own, referring) : inflate(own, referring),
          text,
        );
        own.close();
      }
    });

    test('what is before a final block cannot be referred to', async () => {
      const text = json(1_000);
      for (const later of [false, true]) {
        const own = compression.ownInflater(15);
        const final = finalBlocks(text);
        assert.deepEqual(later ? await inflateLater(own, final) : inflate(own, final), text);
        const referring = payloadOf(text, { dictionary: text });
        assert.equal(later ? await inflateLater(own, referring) : inflate(own, referring), CORRUPT);
        own.close();
      }
    });

    test('as many final blocks as are reasonable, and no more', async () => {
      const one = deflateRawSync(Buffer.from('a'));
      const some = Buffer.concat([...Array(64).fill(one), Buffer.from([0])]);
      assert.deepEqual(await everywhere(some), Buffer.alloc(64, 'a'));
      assert.equal(await everywhere(Buffer.concat(Array(5_000).fill(one))), CORRUPT);
      const large = deflateRawSync(randomBytes(1_100));
      const many = await everywhere(Buffer.concat([...Array(300).fill(large), Buffer.from([0])]));
      assert.ok(Buffer.isBuffer(many));
      assert.equal(many.length, 300 * 1_100);
    });

    test('too long: above the limit, and not at it', async () => {
      for (const length of [1, 2, 65_535, 65_536, 65_537, 1_048_576, 1_048_577, 3_000_000]) {
        for (const bytes of [Buffer.alloc(length), randomBytes(length)]) {
          const payload = payloadOf(bytes);
          const told = `${length}`;
          assert.deepEqual(await everywhere(payload, length), bytes, told);
          assert.deepEqual(await everywhere(payload, length + 1), bytes, told);
          assert.equal(await everywhere(payload, length - 1), TOO_LONG, told);
        }
      }
      assert.equal(await everywhere(payloadOf(Buffer.from('a')), 0), TOO_LONG);
      assert.deepEqual(await everywhere(Buffer.from([0]), 0), Buffer.alloc(0));
    });

    test('a limit that is no whole number, or none', async () => {
      const text = json(100_000);
      const payload = payloadOf(text);
      assert.deepEqual(await everywhere(payload, 100_000.5), text);
      assert.equal(await everywhere(payload, 99_999.5), TOO_LONG);
      assert.deepEqual(await everywhere(payload, Number.POSITIVE_INFINITY), text);
      assert.equal(await everywhere(payload, Number.NaN), TOO_LONG);
    });

    test('too long in the second of two streams', async () => {
      const payload = finalBlocks(json(70_000), json(70_000));
      assert.equal(await everywhere(payload, 139_999), TOO_LONG);
      assert.deepEqual(
        await everywhere(payload, 140_000),
        Buffer.concat([json(70_000), json(70_000)]),
      );
    });

    test('a bomb of 1000:1 takes no more memory than the limit', () => {
      const bomb = payloadOf(Buffer.alloc(64 * 1024 * 1024));
      const limit = 4 * 1024 * 1024;
      assert.equal(inflate(shared, bomb, limit), TOO_LONG);
      const before = process.memoryUsage().arrayBuffers;
      assert.equal(shared.inflate(bomb, 0, bomb.length, limit), TOO_LONG);
      const more = process.memoryUsage().arrayBuffers - before;
      // The public calls go on in steps, whose memory they give up later.
      assert.ok(more <= limit + (way === 'kept contexts' ? 65_536 : 524_288), `${more}`);
    });

    test('corrupt payloads, and the inflater of all recovers', async () => {
      const text = json(300);
      const payload = payloadOf(text);
      for (const corrupt of [
        'ff',
        '07',
        '0000',
        '000500fafe48656c6c6f00',
        'f348cdc9c90700ff',
        '06',
      ]) {
        assert.equal(await everywhere(Buffer.from(corrupt, 'hex')), CORRUPT, corrupt);
        assert.deepEqual(inflate(shared, payload), text);
      }
    });

    test('a reference to a message before is corrupt without takeover', async () => {
      const text = json(500);
      const referring = payloadOf(text, { dictionary: text });
      assert.deepEqual(inflate(shared, payloadOf(text)), text);
      assert.equal(inflate(shared, referring), CORRUPT);
      assert.equal(await inflateLater(shared, referring), CORRUPT);
      assert.deepEqual(inflate(shared, payloadOf(text)), text);
    });

    for (const [kind, text] of [
      ['text', json(400)],
      ['random', randomBytes(60)],
      ['text in small blocks', json(900)],
    ] as const) {
      test(`${kind}, cut off anywhere`, async () => {
        const payload = payloadOf(text, kind === 'text in small blocks' ? { memLevel: 1 } : {});
        for (let length = 1; length < payload.length; length++) {
          const cut = payload.subarray(0, length);
          // The first byte of stored blocks alone is an empty message.
          const expected = cut.equals(Buffer.from([0])) ? Buffer.alloc(0) : CORRUPT;
          const told = `${length} of ${payload.length}`;
          assert.deepEqual(inflate(shared, cut), expected, told);
          assert.deepEqual(await inflateLater(shared, cut), expected, told);
          // With takeover it cannot always be known at once; but nothing wrong is taken for a message.
          for (const later of [false, true]) {
            const own = compression.ownInflater(15);
            const inflated = later ? await inflateLater(own, cut) : inflate(own, cut);
            if (Buffer.isBuffer(inflated)) {
              assert.deepEqual(inflated, text.subarray(0, inflated.length), `${length}`);
            }
            own.close();
          }
        }
      });
    }

    test('messages that end as the bytes that are left out', async () => {
      for (const end of ['0000ffff', '0000ffff0300', '0000ffff030000', '0000ffff0000ffff']) {
        for (const text of [
          Buffer.from(end, 'hex'),
          Buffer.concat([json(500), Buffer.from(end, 'hex')]),
        ]) {
          assert.deepEqual(await everywhere(payloadOf(text)), text);
          assert.deepEqual(await everywhere(payloadOf(text, { level: 0 })), text);
          assert.deepEqual(
            await everywhere(finalBlocks(json(9), text)),
            Buffer.concat([json(9), text]),
          );
        }
      }
      // A block that lacks its last four bytes, which the four that are left out would be.
      assert.equal(await everywhere(Buffer.from('000900f6ff48656c6c6f', 'hex')), CORRUPT);
    });

    test('after what is corrupt or too long, an own inflater is at its end', (t) => {
      const streams = trackStreams(t);
      for (const [payload, limit, expected] of [
        [Buffer.from([0xff]), 1_000, CORRUPT],
        [payloadOf(json(500)), 499, TOO_LONG],
      ] as const) {
        const own = compression.ownInflater(15);
        assert.equal(inflate(own, payload, limit), expected);
        assert.ok(streams.every((stream) => stream.destroyed));
        assert.equal(inflate(own, Buffer.from('f248cdc9c90700', 'hex')), CORRUPT);
        own.close();
      }
    });
  });
}
