import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { expectFailure, withApplication } from './application.ts';
import { withClient } from './client.ts';
import { watchHeap } from './heap.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  hex,
  PING,
  PONG,
  serverFrame,
  TEXT,
} from './raw-frames.ts';
import { testOver, testOverAll } from './transport.ts';

testOverAll(
  'fault 53: a control frame in fragments, or longer than 125 bytes, fails',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const frame of [
        '09 80 m',
        '08 80 m',
        '0a 80 m',
        '09',
        '89 fe 007e m',
        '88 fe 007e',
        '8a fe',
        '89 ff 0000000000010000 m',
        '89 fe 0001 m',
      ]) {
        await expectFailure(application, hex(frame), 1002);
      }
      const long = clientFrame(PING, Buffer.alloc(126));
      await expectFailure(application, long, 1002);
    });
  },
);

testOverAll('fault 54: a ping of 125 bytes comes back as it was', async (over) => {
  await withApplication({ over }, async (application) => {
    const raw = await application.open();
    const payload = Buffer.from(Array.from({ length: 125 }, (_, at) => (at * 37) % 256));
    const expected: string[] = [];
    for (const length of [125, 0, 1, 124]) {
      const part = payload.subarray(0, length);
      raw.write(clientFrame(PING, part));
      await raw.expectFrame(PONG, part);
      expected.push(`ping ${part.toString('hex')}`);
    }
    await application.expectEvents('upgrade', 'open', ...expected);
  });
});

testOverAll('fault 54: a ping to a client, too', async (over) => {
  const payload = Buffer.alloc(125, 'p');
  await withClient(over, async (raw) => {
    raw.write(serverFrame(PING, payload));
    const pong = await raw.readFrame();
    assert.equal(pong.first, PONG);
    assert.equal(pong.isMasked, true);
    assert.deepEqual(pong.payload, payload);
    raw.end();
    await raw.expectEnd();
  });
});

testOverAll('fault 55: an unsolicited pong is ignored', async (over) => {
  await withApplication({ over }, async (application) => {
    const raw = await application.open();
    raw.write(clientFrame(PONG), clientFrame(PONG, 'never asked'), clientFrame(TEXT, 'next'));
    // What comes first is the answer to the text: nothing was said to the pongs.
    await raw.expectFrame(TEXT, 'next');
    const pongs = ['pong ', `pong ${Buffer.from('never asked').toString('hex')}`];
    await application.expectEvents('upgrade', 'open', ...pongs, 'text next');
    assert.equal(raw.unread, 0);
  });
});

const pings = (count: number): Buffer => {
  const ping = clientFrame(PING, Buffer.alloc(125, 'p'));
  return Buffer.alloc(ping.length * count, ping);
};

testOverAll('fault 56: more pings than the limit fail with 1008', async (over) => {
  await withApplication({ over, route: { ping(): void {} } }, async (application) => {
    const raw = await application.open();
    raw.write(pings(100_000));
    let pongs = 0;
    let frame = await raw.readFrame();
    for (; frame.first === PONG; frame = await raw.readFrame()) pongs++;
    assert.equal(frame.first, CLOSE);
    assert.equal(frame.payload.readUInt16BE(0), 1008);
    // The burst, and what the rate allows while it is used up.
    assert.ok(pongs >= 100 && pongs < 200, `${pongs} pongs`);
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 1008');
  });
});

testOverAll('fault 56: pongs count as pings do, a close does not', async (over) => {
  const limits = { controlFrameBurst: 5, controlFramesPerSecond: 1 };
  await withApplication({ over, limits, route: { pong(): void {} } }, async (application) => {
    const pongs = Array.from({ length: 5 }, () => clientFrame(PONG));
    await expectFailure(application, Buffer.concat([...pongs, clientFrame(PONG)]), 1008);
    application.forget();
    const raw = await application.open();
    raw.write(...pongs, clientFrame(CLOSE, closePayload(1000)));
    await raw.expectClose(1000);
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 1000');
  });
});

// Where a write ends a turn later than it began, as in TLS, only the latest of many pongs goes out: over TLS alone it
// takes millions of pings to fill the kernel's buffers.
testOver(
  ['TCP', 'h2c', 'h2'],
  'fault 56: 100,000 pings from a peer that never reads: bounded, then terminated',
  async (over) => {
    const unlimited = 10_000_000;
    const limits = {
      controlFrameBurst: unlimited,
      controlFramesPerSecond: unlimited,
      stallTimeoutMs: 1000,
    };
    let count = 0;
    let most = 0;
    const route = {
      ping(peer: { readonly bufferedAmount: number }): void {
        count++;
        most = Math.max(most, peer.bufferedAmount);
      },
    };
    await withApplication({ over, limits, route }, async (application) => {
      const raw = await application.open();
      raw.stream.pause();
      const checkHeap = await watchHeap();
      // More than the kernel's buffers of both sides hold as pongs, in parts that do not stay in our heap.
      const part = pings(10_000);
      let isClosed = false;
      const closing = application
        .until('the close', () => application.closes.length > 0)
        .then(() => {
          isClosed = true;
        });
      for (let i = 0; i < 400 && !isClosed; i++) {
        await Promise.race([new Promise((resolve) => raw.stream.write(part, resolve)), closing]);
      }
      await closing;
      assert.ok(count >= 100_000, `${count} pings were read`);
      // One read's worth of pongs, and one more that waits.
      assert.ok(most < 256 * 1024, `${most} bytes of pongs were kept`);
      await checkHeap(8);
      assert.equal(application.closes[0]?.errorCode, 'SEND_STALLED');
      await application.expectEvents('upgrade', 'open', 'close 1006');
    });
  },
);

testOverAll(
  'fault 56: the pong of the latest ping goes out when the peer reads again',
  async (over) => {
    const unlimited = 10_000_000;
    const limits = { controlFrameBurst: unlimited, controlFramesPerSecond: unlimited };
    const route = { ping(): void {} };
    await withApplication({ over, limits, route }, async (application) => {
      const raw = await application.open();
      raw.stream.pause();
      const part = pings(20_000);
      const [peer] = application.peers;
      assert.ok(peer);
      while (peer.bufferedAmount === 0) {
        await new Promise((resolve) => raw.stream.write(part, resolve));
        await delay(5);
      }
      raw.write(clientFrame(PING, 'the latest'), clientFrame(TEXT, 'end'));
      await application.until('the text', () => application.events.includes('text end'));
      raw.stream.resume();
      let last = '';
      let isEnd = false;
      while (!isEnd || last !== 'the latest') {
        const { first, payload } = await raw.readFrame();
        if (first === PONG) last = payload.toString();
        else isEnd = true;
      }
      await application.expectEvents('upgrade', 'open', 'text end');
    });
  },
);
