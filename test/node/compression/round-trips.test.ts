import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { CORRUPT } from '../../../dist/protocol/extensions/compression.js';
import {
  BOTH,
  deflate,
  deflateLater,
  inflate,
  inflateLater,
  json,
  MANY,
  payloadOf,
  SAMPLES,
  TAIL,
  textOf,
  USUAL,
} from './both.ts';

for (const [way, compression] of BOTH) {
  suite(way, () => {
    test('who compresses alike shares a deflater, and nobody else', () => {
      const shared = compression.sharedDeflater(USUAL);
      assert.equal(compression.sharedDeflater({ ...USUAL }), shared);
      for (const other of [{ windowBits: 9 }, { level: 9 }, { memLevel: 1 }]) {
        assert.notEqual(compression.sharedDeflater({ ...USUAL, ...other }), shared);
      }
      assert.notEqual(compression.ownDeflater(USUAL), compression.ownDeflater(USUAL));
    });

    for (const [name, bytes] of SAMPLES) {
      test(`${name}, without takeover`, async () => {
        const deflater = compression.sharedDeflater(USUAL);
        const inflater = compression.sharedInflater();
        const payload = deflate(deflater, bytes, true);
        // RFC 7692 7.2.1: the last four bytes are left out.
        assert.notDeepEqual(payload.subarray(-4), TAIL);
        assert.deepEqual(textOf(payload), bytes);
        assert.deepEqual(deflate(deflater, bytes, true), payload);
        assert.deepEqual(inflate(inflater, payload), bytes);
        assert.deepEqual(inflate(inflater, payloadOf(bytes)), bytes);
        assert.deepEqual(await inflateLater(inflater, payload), bytes);
        assert.deepEqual(textOf(await deflateLater(deflater, bytes)), bytes);
      });

      test(`${name}, with takeover`, async () => {
        const deflater = compression.ownDeflater(USUAL);
        const inflater = compression.ownInflater(15);
        const payloads: Buffer[] = [];
        for (let k = 0; k < 3; k++) {
          const payload = deflate(deflater, bytes, false);
          payloads.push(payload);
          assert.deepEqual(inflate(inflater, payload), bytes);
        }
        assert.deepEqual(textOf(...payloads), Buffer.concat([bytes, bytes, bytes]));
        const [first, second] = payloads;
        assert.ok(first !== undefined && second !== undefined);
        // What was said before shortens what is said now, where it is within the window.
        if (bytes.length > 100 && bytes.length < 32_000) assert.ok(second.length < first.length);
        const fresh = deflate(deflater, bytes, true);
        assert.deepEqual(textOf(fresh), bytes);
        assert.deepEqual(await inflateLater(inflater, fresh), bytes);
        assert.deepEqual(inflate(inflater, deflate(deflater, bytes, false)), bytes);
        deflater.close();
        inflater.close();
      });
    }

    for (let windowBits = 9; windowBits <= 15; windowBits++) {
      test(`a window of 2 ** ${windowBits}, with several levels and memory levels`, async () => {
        for (const level of [1, 6, 9]) {
          for (const memLevel of [1, 8, 9]) {
            const parameters = { windowBits, level, memLevel };
            const shared = compression.sharedDeflater(parameters);
            const deflater = compression.ownDeflater(parameters);
            const inflater = compression.ownInflater(windowBits);
            for (const [name, bytes] of SAMPLES) {
              const told = `${name}, ${JSON.stringify(parameters)}`;
              const single = deflate(shared, bytes, true);
              assert.deepEqual(textOf(single), bytes, told);
              assert.deepEqual(inflate(compression.sharedInflater(), single), bytes, told);
              assert.deepEqual(inflate(inflater, deflate(deflater, bytes, false)), bytes, told);
            }
            const text = json(3_000);
            assert.deepEqual(await inflateLater(inflater, deflate(deflater, text, false)), text);
            assert.deepEqual(inflate(inflater, await deflateLater(deflater, text)), text);
            assert.deepEqual(inflate(inflater, deflate(deflater, text, false)), text);
            deflater.close();
            inflater.close();
          }
        }
      });
    }

    test('1 MiB and more', async () => {
      for (const bytes of [json(1_048_576), json(3_000_000), Buffer.alloc(1_048_577, 1)]) {
        const payload = deflate(compression.sharedDeflater(USUAL), bytes, true);
        assert.deepEqual(inflate(compression.sharedInflater(), payload), bytes);
        assert.deepEqual(await inflateLater(compression.sharedInflater(), payload), bytes);
        const own = compression.ownInflater(15);
        assert.deepEqual(inflate(own, payload), bytes);
        const later = await deflateLater(compression.sharedDeflater(USUAL), bytes);
        assert.deepEqual(await inflateLater(own, later), bytes);
        assert.deepEqual(inflate(own, payload), bytes);
        own.close();
      }
    });

    test('more than 64 MiB', () => {
      const bytes = Buffer.alloc(65 * 1024 * 1024, 'zeros');
      const payload = payloadOf(bytes, { level: 1 });
      const inflater = compression.sharedInflater();
      const length = inflater.inflate(payload, 0, payload.length, 100 * 1024 * 1024);
      assert.equal(length, bytes.length);
      assert.ok(bytes.equals(inflater.output.subarray(0, length)));
    });

    test('random bytes do not grow by much, whatever the memory level', () => {
      for (const memLevel of [1, 2, 9]) {
        const [, bytes] = SAMPLES.find(([name]) => name === '64 KiB of random bytes') ?? [];
        assert.ok(bytes !== undefined);
        const own = compression.ownDeflater({ windowBits: 15, level: 1, memLevel });
        for (let k = 0; k < 3; k++) {
          const payload = deflate(own, bytes, false);
          assert.ok(payload.length < bytes.length + bytes.length / 8, `${payload.length}`);
        }
        own.close();
      }
    });

    test('an empty message is one byte, also after others (RFC 7692 7.2.3.6)', async () => {
      const nothing = Buffer.alloc(0);
      const shared = compression.sharedDeflater(USUAL);
      assert.deepEqual(deflate(shared, nothing, true), Buffer.from([0]));
      assert.deepEqual(await deflateLater(shared, nothing), Buffer.from([0]));
      const own = compression.ownDeflater(USUAL);
      const inflater = compression.ownInflater(15);
      for (let k = 0; k < 3; k++) {
        assert.deepEqual(inflate(inflater, deflate(own, json(200), false)), json(200));
        const empty = deflate(own, nothing, false);
        assert.deepEqual(empty, Buffer.from([0]));
        assert.deepEqual(inflate(inflater, empty), nothing);
        assert.deepEqual(inflate(inflater, deflate(own, nothing, false)), nothing);
        assert.deepEqual(await inflateLater(inflater, empty), nothing);
      }
      own.close();
      inflater.close();
    });

    test('a stream of a window of 2 ** 8', async () => {
      // Repeats every 100 bytes, so that each reference is to less than 256 bytes before.
      const text = Buffer.alloc(5_000, json(100));
      const inflater = compression.ownInflater(8);
      const payload = payloadOf(text, { windowBits: 9 });
      assert.deepEqual(inflate(inflater, payload), text);
      const next = payloadOf(text, { windowBits: 9, dictionary: text.subarray(-200) });
      assert.deepEqual(inflate(inflater, next), text);
      assert.deepEqual(await inflateLater(inflater, next), text);
      inflater.close();
    });

    test('what refers to messages before: by zlib itself', async () => {
      const inflater = compression.ownInflater(15);
      const first = json(20_000);
      const second = json(20_000, 100);
      assert.deepEqual(await inflateLater(inflater, payloadOf(first)), first);
      const referring = payloadOf(second, { dictionary: first });
      assert.ok(referring.length < payloadOf(second).length);
      assert.deepEqual(await inflateLater(inflater, referring), second);
      const third = payloadOf(first, { dictionary: Buffer.concat([first, second]) });
      assert.deepEqual(inflate(inflater, third), first);
      inflater.close();
    });

    test('after a message compressed by itself, later ones refer to none before it', async () => {
      const deflater = compression.ownDeflater(USUAL);
      const inflater = compression.ownInflater(15);
      const text = json(2_000);
      assert.deepEqual(inflate(inflater, deflate(deflater, text, false)), text);
      const between = json(100_000, 5_000);
      const later = deflateLater(deflater, between);
      const after = deflate(deflater, text, false);
      assert.deepEqual(inflate(inflater, await later), between);
      assert.deepEqual(inflate(inflater, after), text);
      const shorter = deflate(deflater, text, false);
      assert.ok(shorter.length < after.length);
      assert.deepEqual(inflate(inflater, shorter), text);
      deflater.close();
      inflater.close();
    });

    test('a closed deflater has done what was begun', async () => {
      const deflater = compression.ownDeflater(USUAL);
      const text = json(100_000);
      const later = deflateLater(deflater, text);
      deflater.close();
      deflater.close();
      assert.deepEqual(textOf(await later), text);
    });

    test('a closed inflater inflates nothing', () => {
      const inflater = compression.ownInflater(15);
      const payload = payloadOf(json(100));
      assert.deepEqual(inflate(inflater, payload), json(100));
      inflater.close();
      inflater.close();
      assert.equal(inflate(inflater, payload), CORRUPT);
      assert.equal(inflater.inflate(payload, 0, payload.length, MANY), CORRUPT);
    });
  });
}
