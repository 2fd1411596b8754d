import assert from 'node:assert/strict';
import { expectFailure, withApplication } from './application.ts';
import {
  BINARY,
  CLOSE,
  CONTINUED,
  clientFrame,
  closePayload,
  FINISHED,
  hex,
  masked,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import { testOverAll } from './transport.ts';

const invalid = [
  // Overlong, a surrogate, above U+10FFFF: the three of the list.
  'c0af',
  'eda080',
  'f4908080',
  'c1bf',
  'e08080',
  'f0808080',
  'edbfbf',
  'f5808080',
  'fe',
  'ff',
  '80',
  'bf',
  'c328',
  'e28228',
  'f09f9228',
];

testOverAll(
  'fault 48: overlong forms, surrogates and what is above U+10FFFF fail with 1007',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const bytes of invalid) {
        await expectFailure(application, clientFrame(TEXT, hex(bytes)), 1007);
        // Behind enough text that a check in blocks is used, and in front of it.
        const long = Buffer.from('é'.repeat(100));
        await expectFailure(
          application,
          clientFrame(TEXT, Buffer.concat([long, hex(bytes)])),
          1007,
        );
        await expectFailure(
          application,
          clientFrame(TEXT, Buffer.concat([hex(bytes), long])),
          1007,
        );
        const parts = [
          clientFrame(TEXT_BEGUN, 'fine'),
          clientFrame(CONTINUED, hex(bytes)),
          clientFrame(FINISHED, 'fine'),
        ];
        await expectFailure(application, Buffer.concat(parts), 1007);
      }
      // Binary may be anything.
      application.forget();
      const raw = await application.open();
      for (const bytes of invalid) {
        raw.write(clientFrame(BINARY, hex(bytes)));
        await raw.expectFrame(BINARY, hex(bytes));
      }
      await application.expectEvents(
        'upgrade',
        'open',
        ...invalid.map((bytes) => `binary ${bytes}`),
      );
    });
  },
);

testOverAll('fault 49: a sequence cut off at FIN fails with 1007', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const bytes of ['c3', 'e2', 'e282', 'f0', 'f09d', 'f09d84']) {
      await expectFailure(application, clientFrame(TEXT, hex(bytes)), 1007);
      const begun = clientFrame(TEXT_BEGUN, hex(bytes));
      await expectFailure(application, Buffer.concat([begun, clientFrame(FINISHED)]), 1007);
      const behind = Buffer.concat([begun, clientFrame(FINISHED, 'a')]);
      await expectFailure(application, behind, 1007);
    }
  });
});

testOverAll('fault 50: a code point split over frames is valid, wherever', async (over) => {
  const text = 'aé€𝄞z\u{7ff}\u{800}\u{ffff}\u{10000}\u{10ffff}\u{d7ff}\u{e000}';
  const bytes = Buffer.from(text);
  await withApplication({ over }, async (application) => {
    const raw = await application.open();
    for (let at = 0; at <= bytes.length; at++) {
      raw.write(
        clientFrame(TEXT_BEGUN, bytes.subarray(0, at)),
        clientFrame(FINISHED, bytes.subarray(at)),
      );
      await raw.expectFrame(TEXT, bytes);
    }
    raw.write(clientFrame(TEXT_BEGUN));
    for (const byte of bytes) raw.write(clientFrame(CONTINUED, Uint8Array.of(byte)));
    raw.write(clientFrame(FINISHED));
    await raw.expectFrame(TEXT, bytes);
    const messages = Array<string>(bytes.length + 2).fill(`text ${text}`);
    await application.expectEvents('upgrade', 'open', ...messages);
  });
});

testOverAll(
  'fault 51: an invalid byte in a message that is not finished fails at once',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const bytes of [...invalid.filter((one) => one.length > 2), 'ff', 'fe', '80']) {
        await expectFailure(application, clientFrame(TEXT_BEGUN, hex(bytes)), 1007);
        // In a frame of which the rest is withheld.
        const begun = Buffer.concat([
          hex('81 fd m'),
          masked(Buffer.concat([hex('61'), hex(bytes)])),
        ]);
        await expectFailure(application, begun, 1007);
      }
      // A lead byte that may be followed only by some bytes fails with the first that is none of them.
      for (const [lead, next] of [
        ['e0', '80'],
        ['ed', 'a0'],
        ['f0', '80'],
        ['f4', '90'],
        ['c3', '28'],
      ] as const) {
        const parts = [clientFrame(TEXT_BEGUN, hex(lead)), clientFrame(CONTINUED, hex(next))];
        await expectFailure(application, Buffer.concat(parts), 1007);
      }
    });
  },
);

testOverAll('fault 52: a close reason that is not UTF-8 fails with 1007', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const bytes of [...invalid, 'c3', 'f09d84']) {
      const close = clientFrame(CLOSE, closePayload(1000, hex(bytes)));
      await expectFailure(application, close, 1007);
    }
    application.forget();
    application.closes.length = 0;
    const raw = await application.open();
    const reason = 'é€𝄞'.repeat(13);
    raw.write(clientFrame(CLOSE, closePayload(1000, reason)));
    await raw.expectClose(1000);
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 1000');
    assert.deepEqual(application.closes, [{ code: 1000, reason, errorCode: undefined }]);
  });
});
