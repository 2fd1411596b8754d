import assert from 'node:assert/strict';
import { withApplication } from './application.ts';
import { readClose } from './client.ts';
import {
  compressing,
  NO_TAKEOVER,
  openCompressed,
  takingOver,
  withCompressing,
} from './compressed.ts';
import { deflated, inflated, RSV1 } from './deflated.ts';
import {
  BINARY,
  BINARY_BEGUN,
  CLOSE,
  CONTINUED,
  clientFrame,
  FINISHED,
  hex,
  PING,
  PONG,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import type { RawSocket } from './raw-socket.ts';
import { testOverAll } from './transport.ts';

testOverAll('fault 69: RSV1 on a continuation or a control frame', async (over) => {
  await withApplication({ ...compressing, over }, async (application) => {
    const payload = deflated('hello');
    const begun = clientFrame(TEXT_BEGUN | RSV1, payload.subarray(0, 3));
    const rest = payload.subarray(3);
    for (const bytes of [
      Buffer.concat([begun, clientFrame(FINISHED | RSV1, rest)]),
      Buffer.concat([begun, clientFrame(CONTINUED | RSV1, rest)]),
      Buffer.concat([clientFrame(TEXT_BEGUN, 'plain'), clientFrame(FINISHED | RSV1, rest)]),
      clientFrame(FINISHED | RSV1, payload),
      clientFrame(PING | RSV1),
      clientFrame(PONG | RSV1, deflated('pong')),
      clientFrame(CLOSE | RSV1, Buffer.of(0x03, 0xe8)),
      // The bit alone is enough, and other bits are as wrong as ever.
      Buffer.of(PING | RSV1),
      hex('a1 80 m'),
      hex('e1 80 m'),
    ]) {
      application.forget();
      const raw = await openCompressed(application);
      raw.write(bytes);
      await raw.expectClose(1002);
      await raw.expectEnd();
      raw.end();
      await application.expectEvents('upgrade', 'open', 'close 1002');
    }
    application.forget();
    // Right are fragments of which only the first has it, with control frames between.
    const raw = await openCompressed(application);
    for (let cut = 0; cut <= payload.length; cut++) {
      raw.write(
        clientFrame(TEXT_BEGUN | RSV1, payload.subarray(0, cut)),
        clientFrame(PONG, 'between'),
        clientFrame(CONTINUED, ''),
        clientFrame(FINISHED, payload.subarray(cut)),
      );
      await raw.expectFrame(TEXT, 'hello');
    }
    // An uncompressed message may come at any time.
    raw.write(clientFrame(TEXT, 'plain'), clientFrame(BINARY | RSV1, deflated('zip')));
    await raw.expectFrame(TEXT, 'plain');
    await raw.expectFrame(BINARY, 'zip');
  });
});

testOverAll('fault 69: seen by a client, too', async (over) => {
  for (const frame of [
    serverFrame(FINISHED | RSV1, deflated('hello')),
    serverFrame(PING | RSV1),
    Buffer.concat([serverFrame(BINARY_BEGUN | RSV1), serverFrame(FINISHED | RSV1, deflated('a'))]),
  ]) {
    const fail = async (raw: RawSocket): Promise<void> => {
      raw.write(frame);
      assert.equal(await readClose(raw), 1002);
      await raw.expectEnd();
      raw.end();
    };
    const { messages } = await withCompressing(NO_TAKEOVER, fail, undefined, undefined, over);
    assert.deepEqual(messages, []);
  }
});

/** Text that does not shrink much: numbers that do not repeat. */
function digits(length: number): string {
  let text = '';
  for (let at = 1; text.length < length; at++) text += Math.imul(at, 0x9e3779b1) >>> 0;
  return text.slice(0, length);
}

const sentence = 'A message that is long enough for a reference to be worth its while.';

/** Payloads that are no messages, with takeover or without. */
const corrupt: readonly (readonly [name: string, payload: Uint8Array])[] = [
  ['a block of the reserved type', hex('07')],
  ['a stored block whose length is denied', hex('00 05 00 05 00 41 41 41 41 41')],
  ['a stored block cut off', hex('00 05 00 fa ff 41')],
  ['a dynamic block cut off', deflated(sentence.repeat(30)).subarray(0, 40)],
  [
    'a distance before the beginning',
    deflated(sentence, { dictionary: Buffer.from(sentence + digits(20_000)) }),
  ],
  ['noise', Buffer.from('ffffffffffffffffffffffffffffffff', 'hex')],
  ['uncompressed text', Buffer.from(sentence)],
  [
    'a large one',
    Buffer.concat([deflated(Buffer.alloc(200_000, sentence), { level: 0 }), hex('07')]),
  ],
];

for (const [what, options] of [
  ['no takeover', compressing],
  ['takeover', takingOver],
] as const) {
  testOverAll(`fault 71: a corrupt stream, ${what}`, async (over) => {
    await withApplication({ ...options, over }, async (application) => {
      for (const [name, payload] of corrupt) {
        for (const pieces of [1, 3]) {
          application.forget();
          const raw = await openCompressed(application);
          raw.write(clientFrame(TEXT | RSV1, deflated('right')));
          await raw.expectFrame(TEXT, 'right');
          const third = Math.ceil(payload.length / 3);
          if (pieces === 1) raw.write(clientFrame(BINARY | RSV1, payload));
          else {
            raw.write(
              clientFrame(BINARY_BEGUN | RSV1, payload.subarray(0, third)),
              clientFrame(CONTINUED, payload.subarray(third, 2 * third)),
              clientFrame(FINISHED, payload.subarray(2 * third)),
            );
          }
          // Behind it nothing is read.
          raw.write(clientFrame(TEXT, 'behind'));
          await raw.expectClose(1007);
          await raw.expectEnd();
          raw.end();
          await application.until(name, () => application.events.includes('close 1007'));
          assert.deepEqual(application.events, ['upgrade', 'open', 'text right', 'close 1007']);
          assert.equal(application.closes.at(-1)?.errorCode, 'INFLATE_CORRUPT');
        }
      }
      // What inflates well, but to text that is none.
      application.forget();
      const raw = await openCompressed(application);
      raw.write(clientFrame(TEXT | RSV1, deflated(Buffer.of(0xc3, 0x28))));
      await raw.expectClose(1007);
      raw.destroy();
      await application.expectEvents('upgrade', 'open', 'close 1007');
      assert.equal(application.closes.at(-1)?.errorCode, 'INVALID_UTF8');
    });
  });
}

testOverAll(
  'fault 71: a reference to the message before although no takeover was agreed',
  async (over) => {
    const dictionary = Buffer.from(sentence);
    const referring = deflated(sentence, { dictionary });
    assert.ok(referring.length < 10);
    await withApplication({ ...compressing, over }, async (application) => {
      application.forget();
      const raw = await openCompressed(application);
      raw.write(clientFrame(TEXT | RSV1, deflated(sentence)));
      // It was sent in between by another, and must not be what is found.
      const other = await openCompressed(application);
      other.write(clientFrame(TEXT | RSV1, deflated(sentence)));
      for (const each of [raw, other]) await each.expectFrame(TEXT, sentence);
      raw.write(clientFrame(TEXT | RSV1, referring));
      await raw.expectClose(1007);
      raw.destroy();
      other.write(clientFrame(TEXT | RSV1, deflated('well')));
      await other.expectFrame(TEXT, 'well');
    });
    // With takeover it is right, but not beyond the window that was agreed on.
    await withApplication(
      { over, route: { compression: { takeover: true, peerWindowBits: 9 } } },
      async (application) => {
        const raw = await openCompressed(application);
        raw.write(clientFrame(TEXT | RSV1, deflated(sentence, { windowBits: 9 })));
        await raw.expectFrame(TEXT, sentence);
        raw.write(clientFrame(TEXT | RSV1, referring));
        await raw.expectFrame(TEXT, sentence);
        const far = Buffer.concat([dictionary, Buffer.alloc(2_000, 'far away ')]);
        raw.write(
          clientFrame(BINARY | RSV1, deflated(far.subarray(dictionary.length), { windowBits: 9 })),
        );
        await raw.readFrame();
        raw.write(clientFrame(TEXT | RSV1, deflated(sentence, { dictionary: far })));
        await raw.expectClose(1007);
        raw.destroy();
      },
    );
  },
);

testOverAll('fault 71: seen by a client, too', async (over) => {
  for (const [accepted, options] of [
    [NO_TAKEOVER, {}],
    ['permessage-deflate', { compression: { takeover: true } }],
  ] as const) {
    for (const [, payload] of corrupt) {
      const { messages, errorCode } = await withCompressing(
        accepted,
        async (raw) => {
          raw.write(serverFrame(TEXT | RSV1, deflated('right')));
          raw.write(serverFrame(BINARY | RSV1, payload), serverFrame(TEXT, 'behind'));
          assert.equal(await readClose(raw), 1007);
          await raw.expectEnd();
          raw.end();
        },
        options,
        undefined,
        over,
      );
      assert.deepEqual(messages, ['text right']);
      assert.equal(errorCode, 'INFLATE_CORRUPT');
    }
  }
});

/** `hello` in blocks that RFC 7692 7.2.3 allows. */
const hellos: readonly (readonly [name: string, payload: Uint8Array])[] = [
  ['one block', hex('ca 48 cd c9 c9 07 00')],
  ['a stored block', hex('00 05 00 fa ff 68 65 6c 6c 6f 00')],
  ['a final block', hex('cb 48 cd c9 c9 07 00 00')],
  ['two blocks', hex('ca 48 05 00 00 00 ff ff ca c9 c9 07 00')],
  ['a final stored block', hex('01 05 00 fa ff 68 65 6c 6c 6f 00')],
  ['a final block, then others', Buffer.concat([hex('cb 48 05 00'), hex('ca c9 c9 07 00')])],
];

for (const [what, options] of [
  ['no takeover', compressing],
  ['takeover', takingOver],
] as const) {
  testOverAll(`fault 72: a final block is valid, ${what}`, async (over) => {
    await withApplication({ ...options, over }, async (application) => {
      const raw = await openCompressed(application);
      for (let round = 0; round < 3; round++) {
        for (const [name, payload] of hellos) {
          raw.write(clientFrame(TEXT | RSV1, payload));
          const { first, payload: echo } = await raw.readFrame();
          assert.deepEqual([first, echo.toString()], [TEXT, 'hello'], name);
        }
      }
      // Large ones, which another thread inflates.
      const large = Buffer.alloc(300_000, sentence);
      const blocks = [large.subarray(0, 150_000), large.subarray(150_000)].map((half) =>
        Buffer.concat([deflated(half, { level: 0 }), hex('00 00 ff ff 03 00')]),
      );
      raw.write(clientFrame(BINARY | RSV1, Buffer.concat([...blocks, hex('00')])));
      const frame = await raw.readFrame();
      assert.equal(frame.first, BINARY | RSV1);
      assert.ok(inflated(frame.payload).equals(large));
      raw.write(clientFrame(TEXT | RSV1, deflated('after')));
      await raw.expectFrame(TEXT, 'after');
    });
  });

  testOverAll(`fault 73: an empty message is valid, ${what}`, async (over) => {
    await withApplication({ ...options, over }, async (application) => {
      const raw = await openCompressed(application);
      for (const payload of [
        '00',
        '02 00',
        '02 00 00 00 ff ff 02 00',
        '03 00 00',
        '01 00 00 ff ff 00',
      ]) {
        for (const first of [TEXT, BINARY]) {
          raw.write(clientFrame(first | RSV1, hex(payload)));
          await raw.expectFrame(first, '');
          const begun = first & ~FINISHED;
          raw.write(clientFrame(begun | RSV1), clientFrame(FINISHED, hex(payload)));
          await raw.expectFrame(first, '');
        }
      }
      raw.write(clientFrame(TEXT | RSV1, deflated(sentence)));
      await raw.expectFrame(TEXT, sentence);
    });
  });
}
