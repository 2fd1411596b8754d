import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ApertoError, type Peer } from '../../dist/index.js';
import { Application, expectFailure, withApplication } from './application.ts';
import { readClose, withClient } from './client.ts';
import {
  CLOSE,
  clientFrame,
  closePayload,
  hex,
  PING,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import { within } from './raw-socket.ts';
import { testOverAll } from './transport.ts';

testOverAll('fault 57: a close frame of one byte fails', async (over) => {
  await withApplication({ over }, async (application) => {
    await expectFailure(application, hex('88 81 m 34'), 1002);
    await expectFailure(application, clientFrame(CLOSE, Uint8Array.of(0x10)), 1002);
  });
});

testOverAll('fault 58: a code that must not be sent fails', async (over) => {
  await withApplication({ over }, async (application) => {
    for (const code of [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535]) {
      await expectFailure(application, clientFrame(CLOSE, closePayload(code)), 1002);
      await expectFailure(application, clientFrame(CLOSE, closePayload(code, 'why')), 1002);
    }
  });
});

testOverAll('fault 59: codes that may be sent are echoed', async (over) => {
  const valid = [
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999,
  ];
  await withApplication({ over }, async (application) => {
    for (const code of [...valid, 4000, 4999]) {
      application.closes.length = 0;
      await expectFailure(application, clientFrame(CLOSE, closePayload(code, 'why')), code);
      await application.until('closed', () => application.closes.length === 1);
      assert.deepEqual(application.closes, [{ code, reason: 'why', errorCode: undefined }]);
    }
  });
});

testOverAll(
  'fault 60: an empty close is answered empty, and is 1005 to the application',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.open();
      raw.write(clientFrame(CLOSE));
      await raw.expectClose(undefined);
      await raw.expectEnd();
      raw.end();
      await application.expectEvents('upgrade', 'open', 'close 1005');
      await application.until('closed', () => application.closes.length === 1);
      assert.deepEqual(application.closes, [{ code: 1005, reason: '', errorCode: undefined }]);
    });
  },
);

testOverAll(
  'fault 61: data after a close is ignored, in the same packet and later',
  async (over) => {
    const after = [
      clientFrame(TEXT, 'late'),
      clientFrame(PING, 'late'),
      clientFrame(CLOSE, closePayload(1001)),
      hex('ff ff ff ff'),
      Buffer.alloc(100_000, 0xff),
    ];
    await withApplication({ over }, async (application) => {
      const close = clientFrame(CLOSE, closePayload(1000));
      for (const first of [close, Buffer.concat([close, ...after])]) {
        application.forget();
        const raw = await application.open();
        raw.write(first);
        await raw.expectClose(1000);
        await raw.expectEnd();
        // It has ended its side and reads on.
        raw.write(...after);
        await turn();
        raw.end();
        await application.expectEvents('upgrade', 'open', 'close 1000');
        assert.equal(raw.unread, 0);
      }
    });
  },
);

testOverAll('fault 61: data after a failure is ignored', async (over) => {
  await withApplication({ over }, async (application) => {
    const broken = hex('83 80 m');
    const rest = [clientFrame(TEXT, 'late'), clientFrame(CLOSE, closePayload(1000))];
    await expectFailure(application, Buffer.concat([broken, ...rest]), 1002);
  });
});

testOverAll(
  'fault 61: messages that were sent before the peer read our close are not delivered',
  async (over) => {
    const route = {
      open(peer: Peer<undefined>): void {
        peer.close(1000);
      },
    };
    await withApplication({ over, route }, async (application) => {
      const raw = await application.open();
      raw.write(clientFrame(TEXT, 'crossing'), clientFrame(PING, 'crossing'));
      await raw.expectClose(1000);
      await turn();
      raw.write(clientFrame(CLOSE, closePayload(1000)));
      await raw.expectEnd();
      raw.end();
      await application.until('the close', () => application.events.includes('close 1000'));
      // Not answered, and no message; that a ping came may be told.
      assert.ok(!application.events.some((event) => event.startsWith('text')));
    });
  },
);

testOverAll('fault 62: crossing closes are one event, and one close frame a side', async (over) => {
  const route = {
    message(peer: Peer<undefined>): void {
      peer.close(4001, 'ours');
      peer.close(4002, 'again');
    },
  };
  await withApplication({ over, route }, async (application) => {
    const raw = await application.open();
    // The server closes on reading the first, and then finds the second.
    raw.write(clientFrame(TEXT, 'go'), clientFrame(CLOSE, closePayload(4003, 'theirs')));
    await raw.expectClose(4001);
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 4003');
    await application.until('closed', () => application.closes.length === 1);
    assert.deepEqual(application.closes, [{ code: 4003, reason: 'theirs', errorCode: undefined }]);
  });
});

testOverAll(
  'fault 62: a server that closes while a peer closes is done with it once',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.open();
      const [peer] = application.peers;
      assert.ok(peer);
      raw.write(clientFrame(CLOSE, closePayload(1000)));
      peer.close(1001);
      await raw.expectClose(1001);
      await raw.expectEnd();
      raw.end();
      await application.expectEvents('upgrade', 'open', 'close 1000');
      peer.close(1001);
      peer.terminate();
      await turn();
      await application.expectEvents('upgrade', 'open', 'close 1000');
    });
  },
);

testOverAll('fault 62: crossing closes are one event to a client', async (over) => {
  const { events, errorCode } = await withClient(
    over,
    async (raw) => {
      raw.write(serverFrame(CLOSE, closePayload(4001)));
      // Its own, or the answer to ours where that came first.
      assert.ok([4001, 4002].includes((await readClose(raw)) ?? 0));
      raw.end();
      await raw.ending();
    },
    (peer) => {
      peer.close(4002);
    },
  );
  assert.deepEqual(events, ['close 4001']);
  assert.equal(errorCode, undefined);
});

testOverAll('fault 64: send() after close is false, and no byte leaves', async (over) => {
  const results: unknown[] = [];
  const sendAll = (peer: Peer<undefined>): void => {
    results.push(
      peer.send('late'),
      peer.send(Uint8Array.of(1)),
      peer.ping('late'),
      peer.pong('late'),
    );
  };
  const route = {
    open(peer: Peer<undefined>): void {
      peer.send('in time');
      peer.close(1000, 'bye');
      sendAll(peer);
    },
    close: sendAll,
  };
  await withApplication({ over, route }, async (application) => {
    const raw = await application.open();
    await raw.expectFrame(TEXT, 'in time');
    await raw.expectClose(1000);
    raw.write(clientFrame(CLOSE, closePayload(1000)));
    await raw.expectEnd();
    raw.end();
    await application.expectEvents('upgrade', 'open', 'close 1000');
    const [peer] = application.peers;
    assert.ok(peer);
    sendAll(peer);
    assert.deepEqual(results, Array<boolean>(12).fill(false));
    assert.equal(peer.bufferedAmount, 0);
    assert.equal(peer.state, 'closed');
    // Misuse is told even so.
    assert.throws(
      () => peer.send(7 as unknown as string),
      (error) => error instanceof ApertoError && error.code === 'INVALID_DATA',
    );
  });
});

testOverAll('fault 64: send() after a failure or the peer’s close is false, too', async (over) => {
  const results: boolean[] = [];
  const route = {
    close(peer: Peer<undefined>): void {
      results.push(peer.send('late'));
    },
  };
  await withApplication({ over, route }, async (application) => {
    await expectFailure(application, hex('83 80 m'), 1002);
    await expectFailure(application, clientFrame(CLOSE, closePayload(1000)), 1000);
    assert.deepEqual(results, [false, false]);
  });
});

test('fault 64: send() to a peer that is gone is false while its message is still handled', async () => {
  const resume: (() => void)[] = [];
  let sent = 0;
  let states = '';
  const route = {
    async message(peer: Peer<undefined>): Promise<void> {
      application.record('message');
      await new Promise<void>((resolve) => resume.push(resolve));
      // How an application fills a peer's buffer: it must come to an end.
      while (sent < 1000 && peer.send(Buffer.alloc(16_384))) sent++;
      states += `${peer.state} ${peer.ping()} ${peer.bufferedAmount}`;
    },
  };
  const application = new Application('TCP');
  await application.start({ route });
  const raw = await application.open();
  raw.write(clientFrame(TEXT, 'go'), clientFrame(TEXT_BEGUN, 'never finished'));
  await application.until('the message', () => resume.length === 1);
  raw.reset();
  const [peer] = application.peers;
  await within(
    'the reset to be noticed',
    (async () => {
      while (peer?.state === 'open') await turn();
    })(),
  );
  assert.deepEqual(application.events, ['upgrade', 'open', 'message']);
  resume[0]?.();
  await application.expectEvents('upgrade', 'open', 'message', 'close 1006');
  assert.equal(sent, 0);
  assert.equal(states, 'closing false 0');
  await application.stop();
});
