import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ApertoError, RejectUpgrade, serve } from '../../dist/index.js';
import { withApplication } from './application.ts';
import { checkSwitched, dial, handshake, readRefusal } from './raw-client.ts';
import { BINARY, clientFrame, PING, PONG, TEXT } from './raw-frames.ts';
import { type RawSocket, within } from './raw-socket.ts';
import { testOverHttp1 } from './transport.ts';

/** A promise and what settles it. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

const early = Buffer.concat([
  clientFrame(TEXT, 'one'),
  clientFrame(PING, 'ping'),
  clientFrame(BINARY, Uint8Array.of(2)),
]);
const earlyEvents = ['text one', 'ping 70696e67', 'binary 02'];

async function expectEarlyAnswers(raw: RawSocket): Promise<void> {
  await raw.expectFrame(TEXT, 'one');
  await raw.expectFrame(PONG, 'ping');
  await raw.expectFrame(BINARY, Uint8Array.of(2));
}

test('fault 17: frames in the same packet as the request are delivered once, after open', async () => {
  await withApplication({}, async (application) => {
    const raw = await application.dial();
    raw.write(handshake(), early);
    checkSwitched(await raw.readHead());
    await expectEarlyAnswers(raw);
    await application.expectEvents('upgrade', 'open', ...earlyEvents);
  });
});

test('fault 17: frames in the same packet as the request, on a route without upgrade and open', async () => {
  const seen: unknown[] = [];
  const server = await serve({
    routes: {
      '/': {
        message(peer, message) {
          seen.push(message);
          peer.send(message);
        },
      },
    },
  });
  const raw = await dial(server.port, false);
  raw.write(handshake(), early);
  checkSwitched(await raw.readHead());
  await expectEarlyAnswers(raw);
  assert.deepEqual(seen, ['one', Uint8Array.of(2)]);
  raw.destroy();
  await within('server.close()', server.close());
});

testOverHttp1(
  'fault 17: frames in the same packet as the request wait for an async upgrade and an async open',
  async (over) => {
    const upgrading = gate();
    const opening = gate();
    const route = {
      upgrade: async () => upgrading.passed as Promise<undefined>,
      open: () => opening.passed,
    };
    await withApplication({ over, route }, async (application) => {
      const raw = await application.dial();
      raw.write(handshake(), early.subarray(0, 12));
      await application.expectEvents('upgrade');
      // A part that comes later, in the middle of a frame.
      raw.write(early.subarray(12));
      await delay(20);
      assert.equal(raw.unread, 0, 'answered before upgrade has settled');
      upgrading.open();
      checkSwitched(await raw.readHead());
      await application.expectEvents('upgrade', 'open');
      await delay(20);
      await application.expectEvents('upgrade', 'open');
      assert.equal(raw.unread, 0, 'answered before open has settled');
      opening.open();
      await expectEarlyAnswers(raw);
      await application.expectEvents('upgrade', 'open', ...earlyEvents);
      raw.write(clientFrame(TEXT, 'more'));
      await raw.expectFrame(TEXT, 'more');
      await application.expectEvents('upgrade', 'open', ...earlyEvents, 'text more');
    });
  },
);

testOverHttp1(
  'fault 17: more frames than we hold while upgrade decides are not lost',
  async (over) => {
    const upgrading = gate();
    const route = { upgrade: async () => upgrading.passed as Promise<undefined> };
    await withApplication({ over, route }, async (application) => {
      const raw = await application.dial();
      const large = Buffer.alloc(100_000, 'x');
      raw.write(handshake(), ...Array.from({ length: 5 }, () => clientFrame(TEXT, large)));
      await application.expectEvents('upgrade');
      await delay(20);
      upgrading.open();
      checkSwitched(await raw.readHead());
      for (let i = 0; i < 5; i++) await raw.expectFrame(TEXT, large);
      const messages = Array<string>(5).fill('text (100000)');
      await application.expectEvents('upgrade', 'open', ...messages);
    });
  },
);

testOverHttp1(
  'fault 17: frames in the same packet as a request that is refused are never delivered',
  async (over) => {
    await withApplication({ over }, async (application) => {
      const raw = await application.dial();
      raw.write(handshake({ fields: { origin: 'https://evil.example' } }), early);
      assert.equal((await readRefusal(raw)).head.status, 403);
      await application.expectEvents();
    });
    const refusing = {
      upgrade: async () => {
        await delay(5);
        throw new RejectUpgrade(401, { headers: { 'WWW-Authenticate': 'Basic' }, body: 'who?' });
      },
    };
    await withApplication({ over, route: refusing }, async (application) => {
      const raw = await application.dial();
      raw.write(handshake(), early);
      const { head, body } = await readRefusal(raw);
      assert.equal(head.status, 401);
      assert.equal(head.get('www-authenticate'), 'Basic');
      assert.equal(body, 'who?');
      await application.expectEvents('upgrade');
    });
  },
);

testOverHttp1(
  'fault 18: CR or LF in a header of a refusal throws, and nothing of it is sent',
  async (over) => {
    for (const value of ['a\r\nSet-Cookie: b=c', 'a\nb', 'a\rb', 'a\0b', '\u{10d}\u{10a}b']) {
      for (const headers of [{ 'X-Reason': value }, { [value]: 'x' }]) {
        assert.throws(
          () => new RejectUpgrade(403, { headers }),
          (error) => error instanceof ApertoError && error.code === 'INVALID_HEADER',
        );
      }
      const route = {
        upgrade(): undefined {
          throw new RejectUpgrade(403, { headers: { 'X-Reason': value } });
        },
      };
      await withApplication({ over, route }, async (application) => {
        const raw = await application.dial();
        raw.write(handshake());
        const { head } = await readRefusal(raw);
        assert.equal(head.status, 500);
        assert.equal(head.get('x-reason'), undefined);
        assert.equal(head.get('set-cookie'), undefined);
        const [error] = application.errors.splice(0);
        assert.ok(error instanceof ApertoError);
        assert.equal(error.code, 'INVALID_HEADER');
        await application.expectEvents('upgrade');
      });
    }
  },
);

testOverHttp1(
  'fault 18: a refusal that was changed after it was made, or is malformed, ends in 500 and not the process',
  async (over) => {
    const spoilt = new RejectUpgrade(403, { headers: { 'X-Reason': 'fine' } });
    Object.assign(spoilt.headers, { 'X-Reason': 'a\r\nb: c' });
    const bodiless = new RejectUpgrade(403);
    Object.defineProperty(bodiless, 'body', { value: { not: 'text' } });
    for (const refusal of [spoilt, bodiless]) {
      const route = {
        upgrade(): undefined {
          throw refusal;
        },
      };
      await withApplication({ over, route }, async (application) => {
        const raw = await application.dial();
        raw.write(handshake());
        const { head } = await readRefusal(raw);
        assert.equal(head.status, 500);
        assert.equal(application.errors.splice(0).length, 1);
      });
    }
  },
);

testOverHttp1(
  'fault 19: FIN or RST while upgrade decides: no 101 follows, open is not called, nothing leaks',
  async (over) => {
    for (const leave of ['fin', 'reset', 'fin behind frames'] as const) {
      const upgrading = gate();
      const route = { upgrade: async () => upgrading.passed as Promise<undefined> };
      await withApplication({ over, route }, async (application) => {
        const raw = await application.dial();
        raw.write(handshake());
        await application.expectEvents('upgrade');
        if (leave === 'reset') raw.reset();
        else {
          if (leave === 'fin behind frames') raw.write(early);
          raw.end();
          // Noticed while upgrade still decides: nobody waits for who has left.
          assert.notEqual(await raw.drain(), undefined);
        }
        await delay(20);
        upgrading.open();
        await delay(20);
        await application.expectEvents('upgrade');
        assert.equal(application.server.peers.size, 0);
      });
    }
  },
);

testOverHttp1(
  'fault 19: the server closes while upgrade decides, or never decides',
  async (over) => {
    const route = { upgrade: () => new Promise<undefined>(() => {}) };
    const server = await serve({ routes: { '/': route } });
    const raw = await dial(server.port, false);
    raw.write(handshake());
    await delay(20);
    await within('server.close()', server.close({ timeoutMs: 50 }));
    assert.notEqual(await raw.ending(), undefined);

    const limits = { handshakeTimeoutMs: 50 };
    await withApplication({ over, route, limits }, async (application) => {
      const waiting = await application.dial();
      waiting.write(handshake(), early);
      const { head } = await readRefusal(waiting);
      assert.equal(head.status, 503);
      await application.expectEvents('upgrade');
    });
  },
);
