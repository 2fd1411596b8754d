import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { expectFailure, withApplication } from './application.ts';
import { readClose, withClient } from './client.ts';
import { watchHeap } from './heap.ts';
import {
  BINARY,
  BINARY_BEGUN,
  CLOSE,
  CONTINUED,
  clientFrame,
  closePayload,
  FINISHED,
  hex,
  PING,
  PONG,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import { testOverAll, testOverHttp1 } from './transport.ts';

testOverAll('fault 42: a continuation with nothing begun fails', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const frame of ['80 80 m', '00 80 m', '80', '00 81 m 76']) {
      await expectFailure(application, hex(frame), 1002);
      const whole = clientFrame(TEXT, 'whole');
      await expectFailure(application, Buffer.concat([whole, hex(frame)]), 1002, ['text whole']);
      const parts = [clientFrame(TEXT_BEGUN, 'two '), clientFrame(FINISHED, 'parts'), hex(frame)];
      await expectFailure(application, Buffer.concat(parts), 1002, ['text two parts']);
      const ping = [clientFrame(TEXT_BEGUN, 'a'), clientFrame(FINISHED, 'b'), hex(frame)];
      await expectFailure(application, Buffer.concat(ping), 1002, ['text ab']);
    }
  });
});

testOverAll('fault 43: a new message before the last one was finished fails', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const begun of [clientFrame(TEXT_BEGUN, 'a'), clientFrame(BINARY_BEGUN, '')]) {
      for (const frame of ['81 81 m 76', '82 81 m 76', '01 80 m', '02', '81']) {
        await expectFailure(application, Buffer.concat([begun, hex(frame)]), 1002);
        const more = Buffer.concat([begun, clientFrame(CONTINUED, 'b'), hex(frame)]);
        await expectFailure(application, more, 1002);
      }
    }
  });
});

testOverAll(
  'fault 44: a ping between two fragments is answered at once, and the message arrives whole',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.open();
      raw.write(clientFrame(TEXT_BEGUN, 'two '), clientFrame(PING, 'between'));
      // The rest of the message is not sent before the pong has come.
      await raw.expectFrame(PONG, 'between');
      raw.write(clientFrame(PING), clientFrame(PONG, 'x'), clientFrame(CONTINUED, 'pa'));
      await raw.expectFrame(PONG);
      raw.write(clientFrame(FINISHED, 'rts'));
      await raw.expectFrame(TEXT, 'two parts');
      const pings = ['ping 6265747765656e', 'ping ', 'pong 78'];
      await application.expectEvents('upgrade', 'open', ...pings, 'text two parts');
    });
  },
);

testOverAll('fault 44: a close between two fragments is a close', async (over) => {
  await withApplication({ over }, async (application) => {
    const raw = await application.open();
    raw.write(clientFrame(TEXT_BEGUN, 'two '), clientFrame(CLOSE, closePayload(1001)));
    await raw.expectClose(1001);
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 1001');
  });
});

const million = 1_000_000;
const begun = clientFrame(TEXT_BEGUN);
// No copy is made of it: the HTTP/2 client of Node 26 keeps the last that it wrote to a stream that was ended under it.
const begunAndEmpty = Buffer.alloc(begun.length + 6 * million, clientFrame(CONTINUED));
begunAndEmpty.set(begun);
const emptyFragments = begunAndEmpty.subarray(begun.length);

testOverAll(
  'fault 45: a million empty fragments fail with 1008, the heap stays flat',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.open();
      const checkHeap = await watchHeap();
      raw.write(begunAndEmpty);
      await raw.expectClose(1008);
      await raw.expectEnd();
      // What is still on its way is read and thrown away.
      await raw.flushed();
      await checkHeap(4);
      raw.end();
      await application.expectEvents('upgrade', 'open', 'close 1008');
    });
  },
);

testOverAll(
  'fault 45: as many fragments as are allowed make a message, and each message begins to count anew',
  async (over) => {
    await withApplication({ over, limits: { maxFragments: 4 } }, async (application) => {
      const four = [
        clientFrame(TEXT_BEGUN, 'f'),
        clientFrame(CONTINUED, 'o'),
        clientFrame(CONTINUED, 'u'),
        clientFrame(FINISHED, 'r'),
      ];
      const five = [...four.slice(0, 3), clientFrame(CONTINUED)];
      const expected = ['text four', 'text four'];
      await expectFailure(
        application,
        Buffer.concat([...four, ...four, ...five, hex('80 80 m')]),
        1008,
        expected,
      );
    });
  },
);

testOverHttp1(
  'fault 45: where any number is allowed, empty fragments cost nothing',
  async (over) => {
    await withApplication({ over, limits: { maxFragments: Infinity } }, async (application) => {
      const raw = await application.open();
      const checkHeap = await watchHeap();
      raw.write(clientFrame(TEXT_BEGUN), emptyFragments, clientFrame(FINISHED, 'end'));
      await raw.expectFrame(TEXT, 'end');
      await checkHeap(4);
      await application.expectEvents('upgrade', 'open', 'text end');
    });
  },
);

testOverHttp1(
  'fault 45: fragments of one byte are held in the space of their bytes',
  async (over) => {
    await withApplication({ over, limits: { maxFragments: Infinity } }, async (application) => {
      const raw = await application.open();
      const checkHeap = await watchHeap();
      const half = million / 2;
      raw.write(clientFrame(BINARY_BEGUN), Buffer.alloc(7 * half, clientFrame(CONTINUED, 'A')));
      raw.write(clientFrame(PING, 'all read'));
      await raw.expectFrame(PONG, 'all read');
      await checkHeap(4);
      raw.write(clientFrame(FINISHED));
      await raw.expectFrame(BINARY, Buffer.alloc(half, 'A'));
    });
  },
);

testOverAll('fault 46: pieces that add up to the limit and one fail with 1009', async (over) => {
  await withApplication({ over, limits: { maxMessageBytes: 1000 } }, async (application) => {
    const hundred = 'x'.repeat(100);
    const pieces = [
      clientFrame(TEXT_BEGUN, hundred),
      ...Array.from({ length: 8 }, () => clientFrame(CONTINUED, hundred)),
    ];
    // The last byte's frame is only declared: final or not, its payload does not matter any more.
    const full = Buffer.concat([...pieces, clientFrame(CONTINUED, hundred)]);
    await expectFailure(application, Buffer.concat([full, hex('80 81 m')]), 1009);
    await expectFailure(application, Buffer.concat([full, hex('00 81 m')]), 1009);
    await expectFailure(application, Buffer.concat([...pieces, hex('80 e5 m')]), 1009);
    application.forget();
    const raw = await application.open();
    raw.write(...pieces, clientFrame(FINISHED, hundred));
    await raw.expectFrame(TEXT, 'x'.repeat(1000));
    await application.expectEvents('upgrade', 'open', 'text (1000)');
  });
});

testOverAll('fault 46: seen by a client, too', async (over) => {
  const { events } = await withClient(
    over,
    async (raw) => {
      raw.write(serverFrame(TEXT_BEGUN, 'x'.repeat(10)), hex('80 01'));
      assert.equal(await readClose(raw), 1009);
      await raw.expectEnd();
      raw.end();
    },
    undefined,
    { limits: { maxMessageBytes: 10 } },
  );
  assert.deepEqual(events, ['close 1009']);
});

testOverAll(
  'fault 47: a message whose end never comes fails with 1008 at the deadline',
  async (over) => {
    const limits = { messageTimeoutMs: 50 };
    await withApplication({ over, limits }, async (application) => {
      for (const part of [
        clientFrame(TEXT_BEGUN, 'begun'),
        clientFrame(BINARY_BEGUN),
        hex('82'),
        hex('82 fe 01'),
        hex('82 85 m 41'),
        hex('89 85 m 41'),
      ]) {
        await expectFailure(application, part, 1008);
      }
    });
  },
);

testOverAll(
  'fault 47: what comes meanwhile does not put the deadline off, a finished message does',
  async (over) => {
    const limits = { messageTimeoutMs: 200 };
    await withApplication({ over, limits }, async (application) => {
      const trickling = await application.open();
      trickling.write(clientFrame(BINARY_BEGUN));
      let isOver = false;
      const feeding = (async () => {
        while (!isOver) {
          trickling.write(clientFrame(CONTINUED, 'x'), clientFrame(PONG));
          await delay(20);
        }
      })();
      await trickling.expectClose(1008);
      isOver = true;
      await feeding;
      trickling.end();
      await application.until('the close', () => application.events.at(-1) === 'close 1008');
      application.forget();

      // In time each, though together they take longer.
      const steady = await application.open();
      for (let i = 0; i < 4; i++) {
        steady.write(clientFrame(TEXT_BEGUN, 'in '));
        await delay(80);
        steady.write(clientFrame(FINISHED, 'time'));
        await steady.expectFrame(TEXT, 'in time');
      }
      const messages = Array<string>(4).fill('text in time');
      await application.expectEvents('upgrade', 'open', ...messages);
    });
  },
);

testOverAll(
  'fault 47: the deadline holds again after a handler has held the peer up',
  async (over) => {
    const limits = { messageTimeoutMs: 100 };
    let held = 0;
    const route = {
      message: async () => {
        held++;
        await delay(300);
      },
    };
    await withApplication({ over, limits, route }, async (application) => {
      const raw = await application.open();
      raw.write(clientFrame(TEXT, 'whole'), clientFrame(TEXT_BEGUN, 'begun'));
      await raw.expectClose(1008);
      await raw.expectEnd();
      raw.end();
      assert.equal(held, 1);
      await application.expectEvents('upgrade', 'open', 'close 1008');
    });
  },
);
