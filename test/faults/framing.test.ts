import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { expectFailure, withApplication } from './application.ts';
import { readClose, withClient } from './client.ts';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  hex,
  PING,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import type { RawSocket } from './raw-socket.ts';
import { testOverAll } from './transport.ts';

testOverAll(
  'fault 29: an unmasked frame fails and is never seen by the application',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const frame of ['81 01 41', '82 01 41', '81 00', '89 00', '8a 00', '88 02 03e8']) {
        await expectFailure(application, hex(frame), 1002);
      }
      // Behind a right frame, and in the middle of a message.
      const right = clientFrame(TEXT, 'right');
      await expectFailure(application, Buffer.concat([right, hex('81 01 41')]), 1002, [
        'text right',
      ]);
      const begun = clientFrame(TEXT_BEGUN, 'begun');
      await expectFailure(application, Buffer.concat([begun, hex('80 01 41')]), 1002);
    });
  },
);

testOverAll('fault 29: the bit alone fails, before a payload has come', async (over) => {
  await withApplication({ over }, async (application) => {
    await expectFailure(application, hex('81 7f'), 1002);
  });
});

testOverAll('fault 30: a masked frame to a client, a control frame too, fails it', async (over) => {
  for (const frame of [
    clientFrame(TEXT, 'hello'),
    clientFrame(BINARY, Uint8Array.of(1)),
    clientFrame(PING, 'ping'),
    clientFrame(CLOSE, closePayload(1000)),
  ]) {
    const { events, errorCode } = await withClient(over, async (raw) => {
      raw.write(frame);
      assert.equal(await readClose(raw), 1002);
      await raw.expectEnd();
      raw.end();
    });
    assert.equal(errorCode, 'MASK_FORBIDDEN');
    assert.deepEqual(events, ['close 1002']);
  }
});

/** Frames that must fail with 1002 as soon as the bytes given have arrived. */
function testProtocolErrors(name: string, ...frames: string[]): void {
  testOverAll(name, async (over) => {
    await withApplication({ over }, async (application) => {
      for (const frame of frames) await expectFailure(application, hex(frame), 1002);
    });
  });
}

testProtocolErrors(
  'fault 31: RSV2 and RSV3 fail',
  'a2 80 m',
  '92 80 m',
  'b2 80 m',
  'a9 80 m',
  'a2',
  '91',
);

testProtocolErrors(
  'fault 32: RSV1 with nothing negotiated fails',
  'c2 80 m',
  'c1 80 m',
  'c9 80 m',
  'c8 80 m',
  '41',
  '01 80 m c0 80 m',
);

testProtocolErrors(
  'fault 33: the opcodes 3 to 7 and B to F fail',
  ...['3', '4', '5', '6', '7', 'b', 'c', 'd', 'e', 'f'].flatMap((opcode) => [
    `8${opcode} 80 m`,
    `0${opcode} 80 m`,
    `01 80 m 8${opcode} 80 m`,
  ]),
);

testProtocolErrors(
  'fault 34: a 16-bit length below 126 is not minimal and fails',
  '82 fe 0001 m 41',
  '82 fe 0000 m',
  '82 fe 007d m',
  '81 fe 0001',
);

testProtocolErrors(
  'fault 35: a 64-bit length below 65,536 is not minimal and fails',
  '82 ff 000000000000ffff m',
  '82 ff 0000000000000001 m 41',
  '82 ff 0000000000000000',
);

testProtocolErrors(
  'fault 36: a length with the most significant bit set fails',
  '82 ff 8000000000000001 m',
  '82 ff ffffffffffffffff',
);

testOverAll('fault 34, 35: the shortest form of each length is right', async (over) => {
  await withApplication({ over }, async (application) => {
    const raw = await application.open();
    for (const length of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) {
      const payload = Buffer.alloc(length, 7);
      raw.write(clientFrame(BINARY, payload));
      await raw.expectFrame(BINARY, payload);
    }
  });
});

testOverAll(
  'fault 37: a length of 2^53, or what else no memory holds, fails with 1009 and allocates nothing',
  async (over) => {
    await withApplication({ over, limits: { maxMessageBytes: Infinity } }, async (application) => {
      const before = process.memoryUsage();
      for (const length of ['0020000000000000', '7fffffffffffffff']) {
        await expectFailure(application, hex(`82 ff ${length}`), 1009);
        await expectFailure(application, hex(`82 ff ${length} m 41`), 1009);
      }
      const after = process.memoryUsage();
      assert.ok(after.arrayBuffers - before.arrayBuffers < 8 * 1024 * 1024);
    });
    await withApplication({ over }, async (application) => {
      for (const length of ['001fffffffffffff', '0000000100000000', '00000000ffffffff']) {
        await expectFailure(application, hex(`82 ff ${length} m`), 1009);
      }
    });
  },
);

testOverAll(
  'fault 37: a length that is only announced allocates nothing, however much the limit allows',
  async (over) => {
    await withApplication({ over, limits: { maxMessageBytes: Infinity } }, async (application) => {
      const before = process.memoryUsage().arrayBuffers;
      const sockets: RawSocket[] = [];
      for (let i = 0; i < 20; i++) {
        const raw = await application.open();
        // A gigabyte each, of which a kilobyte comes.
        raw.write(hex('82 ff 0000000040000000 m'), Buffer.alloc(1024));
        raw.write(clientFrame(PING));
        sockets.push(raw);
      }
      await turn();
      await turn();
      const growth = process.memoryUsage().arrayBuffers - before;
      assert.ok(growth < 16 * 1024 * 1024, `${growth} bytes`);
      for (const raw of sockets) raw.destroy();
      await application.until('20 closes', () => application.closes.length === 20);
    });
  },
);

testOverAll(
  'fault 38: one byte over the limit fails with 1009 when it is declared',
  async (over) => {
    await withApplication({ over, limits: { maxMessageBytes: 1000 } }, async (application) => {
      // 1,001 bytes: the payload is withheld, and so is the mask.
      await expectFailure(application, hex('82 fe 03e9 m'), 1009);
      await expectFailure(application, hex('01 fe 03e9 m'), 1009);
      application.forget();
      const raw = await application.open();
      raw.write(clientFrame(BINARY, Buffer.alloc(1000)));
      await raw.expectFrame(BINARY, Buffer.alloc(1000));
      await application.expectEvents('upgrade', 'open', 'binary (1000)');
    });
  },
);

testOverAll('fault 41: the end of the stream in the middle of a frame is 1006', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const rest of [
      '82',
      '82 fe',
      '82 fe 01',
      '82 83 m',
      '82 83 m 4141',
      '01 81 m 76',
      '89',
      '',
    ]) {
      for (const how of ['fin', 'reset'] as const) {
        application.forget();
        application.closes.length = 0;
        const raw = await application.open();
        raw.write(clientFrame(TEXT, 'whole'), hex(rest));
        await raw.expectFrame(TEXT, 'whole');
        if (how === 'reset') raw.reset();
        else {
          raw.end();
          // No close frame is sent to who has left without one.
          await raw.expectEnd();
        }
        await application.expectEvents('upgrade', 'open', 'text whole', 'close 1006');
        await turn();
        assert.deepEqual(application.closes, [
          { code: 1006, reason: '', errorCode: 'CONNECTION_LOST' },
        ]);
      }
    }
  });
});

testOverAll('fault 41: seen by a client, too', async (over) => {
  for (const rest of ['82', '82 7e 00', '82 03 41', '']) {
    const { events, errorCode } = await withClient(over, async (raw) => {
      raw.write(serverFrame(TEXT, 'whole'), hex(rest));
      raw.end();
      await raw.expectEnd();
    });
    assert.equal(errorCode, 'CONNECTION_LOST');
    assert.deepEqual(events, ['text whole', 'close 1006']);
  }
});
