import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import type { Peer } from '../../dist/index.js';
import { withApplication } from './application.ts';
import { readClose, withClient } from './client.ts';
import { CLOSE, clientFrame, closePayload, hex, PONG, serverFrame, TEXT } from './raw-frames.ts';
import { type RawSocket, within } from './raw-socket.ts';
import { testOverAll } from './transport.ts';

const limits = { closeTimeoutMs: 50 };

/** Writing to who has destroyed the connection is answered with a reset. */
async function expectDestroyed(raw: RawSocket): Promise<void> {
  await within(
    'a reset',
    (async () => {
      while (!raw.stream.destroyed) {
        raw.stream.write('x');
        await turn();
      }
    })(),
  );
}

testOverAll('fault 63: no close in reply: the server destroys the connection', async (over) => {
  const route = {
    open(peer: Peer<undefined>): void {
      peer.close(1000);
    },
  };
  await withApplication({ over, limits, route }, async (application) => {
    const raw = await application.open();
    await raw.expectClose(1000);
    await application.expectEvents('upgrade', 'open', 'close 1006');
    await application.until('closed', () => application.closes.length === 1);
    assert.deepEqual(application.closes, [{ code: 1006, reason: '', errorCode: 'CLOSE_TIMEOUT' }]);
    await expectDestroyed(raw);
  });
});

testOverAll(
  'fault 63: no close in reply but pings and data without end: destroyed all the same',
  async (over) => {
    const route = {
      open(peer: Peer<undefined>): void {
        peer.close(1000);
      },
      ping(): void {},
    };
    await withApplication({ over, limits, route }, async (application) => {
      const raw = await application.open();
      await raw.expectClose(1000);
      const timer = setInterval(() => raw.write(clientFrame(PONG), clientFrame(TEXT, 'on')), 10);
      await application.until('the close', () => application.events.includes('close 1006'));
      clearInterval(timer);
    });
  },
);

testOverAll(
  'fault 63: a close that the server answers, with TCP held open, is destroyed',
  async (over) => {
    await withApplication({ over, limits }, async (application) => {
      const raw = await application.open();
      raw.write(clientFrame(CLOSE, closePayload(4000)));
      await raw.expectClose(4000);
      await raw.expectEnd();
      await application.expectEvents('upgrade', 'open', 'close 4000');
      await expectDestroyed(raw);
    });
  },
);

testOverAll(
  'fault 63: a reply to the server’s close with TCP held open is destroyed',
  async (over) => {
    const route = {
      open(peer: Peer<undefined>): void {
        peer.close(1000);
      },
    };
    await withApplication({ over, limits, route }, async (application) => {
      const raw = await application.open();
      await raw.expectClose(1000);
      raw.write(clientFrame(CLOSE, closePayload(1000)));
      await raw.expectEnd();
      await application.expectEvents('upgrade', 'open', 'close 1000');
      await expectDestroyed(raw);
    });
  },
);

testOverAll('fault 63: a peer that failed and holds TCP open is destroyed', async (over) => {
  await withApplication({ over, limits }, async (application) => {
    const raw = await application.open();
    raw.write(hex('83 80 m'));
    await raw.expectClose(1002);
    await raw.expectEnd();
    await application.expectEvents('upgrade', 'open', 'close 1002');
    await expectDestroyed(raw);
  });
});

testOverAll(
  'fault 63: a handler that closes and never comes back does not keep the connection',
  async (over) => {
    const never = new Promise<void>(() => {});
    for (const handler of ['open', 'message'] as const) {
      for (const replies of [true, false]) {
        const close = (peer: Peer<undefined>): Promise<void> => {
          peer.close(1000);
          return never;
        };
        const route = handler === 'open' ? { open: close } : { message: close };
        await withApplication({ over, limits, route }, async (application) => {
          const raw = await application.open();
          raw.write(clientFrame(TEXT, 'go'));
          await raw.expectClose(1000);
          if (replies) {
            raw.write(clientFrame(CLOSE, closePayload(1000)));
            await raw.expectEnd();
            raw.end();
          }
          await application.expectEvents('upgrade', 'open', replies ? 'close 1000' : 'close 1006');
        });
      }
    }
  },
);

testOverAll('fault 63: no close in reply: the client destroys the connection', async (over) => {
  const { events, errorCode } = await withClient(
    over,
    async (raw) => {
      assert.equal(await readClose(raw), 1000);
      assert.notEqual(await raw.ending(), undefined);
    },
    (peer) => peer.close(1000),
    { limits },
  );
  assert.deepEqual(events, ['close 1006']);
  assert.equal(errorCode, 'CLOSE_TIMEOUT');
});

testOverAll(
  'fault 63: a reply with TCP held open: the client destroys the connection',
  async (over) => {
    for (const serverFirst of [true, false]) {
      const { events, errorCode } = await withClient(
        over,
        async (raw) => {
          if (serverFirst) raw.write(serverFrame(CLOSE, closePayload(1000)));
          assert.equal(await readClose(raw), 1000);
          if (!serverFirst) raw.write(serverFrame(CLOSE, closePayload(1000)));
          // RFC 6455 7.1.1: it is ours to end. We do not.
          assert.notEqual(await raw.ending(), undefined);
          await expectDestroyed(raw);
        },
        (peer) => {
          if (!serverFirst) peer.close(1000);
        },
        { limits },
      );
      assert.deepEqual(events, ['close 1000']);
      assert.equal(errorCode, undefined);
    }
  },
);
