import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectOptions, connect, type Message } from '../../dist/index.js';
import { dialTo, expectFailureCode, Mailbox, startServer } from '../node/connections.ts';
import { withApplication } from './application.ts';
import {
  compressing,
  NO_TAKEOVER,
  OFFER,
  offer,
  takingOver,
  withCompressing,
} from './compressed.ts';
import { deflated, RSV1 } from './deflated.ts';
import { checkSwitched, handshake } from './raw-client.ts';
import { clientFrame, serverFrame, TEXT } from './raw-frames.ts';
import { switching, withRawServer } from './raw-server.ts';
import { testOverAll } from './transport.ts';

/** A client of ours is answered with these extensions, and must fail and send nothing. */
async function expectRefused(
  extensions: string | string[],
  options: ConnectOptions,
): Promise<void> {
  await withRawServer(
    {
      async answer(raw, request) {
        raw.write(switching(request, { 'sec-websocket-extensions': extensions }));
        await raw.ending();
      },
    },
    async (url) => {
      await expectFailureCode(connect(url, options), 'RESPONSE_EXTENSION');
    },
  );
}

/** What neither an offer nor a response may hold. */
const malformed = [
  'permessage-deflate; unknown',
  'permessage-deflate; unknown=1',
  'permessage-deflate; constructor',
  'permessage-deflate; __proto__=15',
  ...['server', 'client'].flatMap((side) => [
    `permessage-deflate; ${side}_no_context_takeover; ${side}_no_context_takeover`,
    `permessage-deflate; ${side}_no_context_takeover=true`,
    `permessage-deflate; ${side}_no_context_takeover=""`,
    `permessage-deflate; ${side}_max_window_bits=10; ${side}_max_window_bits=10`,
    `permessage-deflate; ${side}_max_window_bits=10; ${side}_max_window_bits=11`,
    ...['7', '16', '08', '1e1', '0xa', '-9', '10.0', '""', '" 10"', '99999999999999999999'].map(
      (bits) => `permessage-deflate; ${side}_max_window_bits=${bits}`,
    ),
  ]),
  'permessage-deflate; server_max_window_bits',
];

testOverAll('fault 65: the server declines malformed parameters', async (over) => {
  await withApplication({ ...compressing, over }, async (application) => {
    for (const offered of malformed) {
      application.forget();
      const raw = await application.dial();
      raw.write(handshake({ fields: { 'sec-websocket-extensions': offered } }));
      const head = await raw.readHead();
      // What is no list of extensions at all is refused, see fault 12.
      if (/""|" /.test(offered)) {
        assert.equal(head.status, 400, offered);
        raw.destroy();
        continue;
      }
      checkSwitched(head);
      // Nothing is compressed then, in either direction.
      const long = 'a'.repeat(5_000);
      raw.write(clientFrame(TEXT, long));
      await raw.expectFrame(TEXT, long);
      raw.write(clientFrame(TEXT | RSV1, deflated('a')));
      await raw.expectClose(1002);
      raw.destroy();
      await application.until('its end', () => application.events.includes('close 1002'));
    }
  });
});

test('fault 65: the client fails on malformed parameters', async () => {
  for (const accepted of malformed) {
    await expectRefused(accepted, { compression: { takeover: true } });
  }
  await expectRefused('permessage-deflate; client_max_window_bits', {
    compression: { takeover: true },
  });
  await expectRefused([NO_TAKEOVER, NO_TAKEOVER], {});
  await expectRefused(`${NO_TAKEOVER}, ${NO_TAKEOVER}`, {});
  await expectRefused(`${NO_TAKEOVER}, x-other`, {});
  await expectRefused(`x-other, ${NO_TAKEOVER}`, {});
});

test('fault 66: the client fails on what it did not offer', async () => {
  for (const accepted of [
    'permessage-deflate',
    NO_TAKEOVER,
    `${NO_TAKEOVER}; client_max_window_bits=15`,
    'x-webkit-deflate-frame',
  ]) {
    await expectRefused(accepted, { compression: false });
  }
  // More than the value that it offered.
  for (const bits of [11, 15]) {
    await expectRefused(`${NO_TAKEOVER}; client_max_window_bits=${bits}`, {
      compression: { windowBits: 10 },
    });
  }
  // Less than it asked for: the parameter absent or the value larger.
  await expectRefused('permessage-deflate; client_no_context_takeover', {});
  await expectRefused(NO_TAKEOVER, { compression: { peerWindowBits: 10 } });
  await expectRefused(`${NO_TAKEOVER}; server_max_window_bits=11`, {
    compression: { peerWindowBits: 10 },
  });
});

test('fault 66: a server does not ask for what the client did not offer', async () => {
  await withApplication(
    { route: { compression: { takeover: true, peerWindowBits: 9 } } },
    async (application) => {
      for (const [offered, accepted] of [
        ['permessage-deflate', 'permessage-deflate'],
        [
          'permessage-deflate; client_max_window_bits',
          'permessage-deflate; client_max_window_bits=9',
        ],
        [
          'permessage-deflate; client_max_window_bits=8',
          'permessage-deflate; client_max_window_bits=8',
        ],
        [
          'permessage-deflate; client_max_window_bits=12',
          'permessage-deflate; client_max_window_bits=9',
        ],
      ] as const) {
        const opened = await offer(application, offered);
        assert.equal(opened.accepted, accepted);
        opened.raw.destroy();
      }
    },
  );
});

testOverAll('fault 67: server_max_window_bits=8 is declined', async (over) => {
  await withApplication({ ...compressing, over }, async (application) => {
    const alone = await offer(application, 'permessage-deflate; server_max_window_bits=8');
    assert.equal(alone.accepted, undefined);
    const long = 'a'.repeat(5_000);
    alone.raw.write(clientFrame(TEXT, long));
    await alone.raw.expectFrame(TEXT, long);
    alone.raw.destroy();
    const before = await offer(application, 'permessage-deflate; server_max_window_bits=8', OFFER);
    assert.equal(before.accepted, NO_TAKEOVER);
    before.raw.destroy();
    const nine = await offer(application, 'permessage-deflate; server_max_window_bits=9');
    assert.equal(nine.accepted, `${NO_TAKEOVER}; server_max_window_bits=9`);
    nine.raw.destroy();
  });
});

test('fault 67: our client may ask for it, and goes on without compression', async (t) => {
  const inbox = new Mailbox<Message>();
  const server = await startServer(t, {
    compression: true,
    routes: { '/': { message: (peer, message) => void peer.send(message) } },
  });
  const peer = await dialTo(t, server.url, {
    compression: { peerWindowBits: 8 },
    message: (_, message) => inbox.put(message),
  });
  assert.equal(peer.extensions, '');
  peer.send('a'.repeat(5_000));
  assert.equal(await inbox.next(), 'a'.repeat(5_000));
  assert.equal(peer.compression.deflated.messages, 0);
  assert.equal(server.compression.deflated.messages, 0);
});

test('fault 67: a client that is asked for a window of 8 sends uncompressed, and inflates', async () => {
  const long = 'a'.repeat(5_000);
  const { messages } = await withCompressing(
    `${NO_TAKEOVER}; client_max_window_bits=8`,
    async (raw) => {
      raw.write(serverFrame(TEXT | RSV1, deflated(long)));
      const frame = await raw.readFrame();
      assert.equal(frame.first, TEXT);
      assert.equal(frame.payload.toString(), long);
      raw.end();
      await raw.expectEnd();
    },
    {},
    (peer) => void peer.send(long),
  );
  assert.deepEqual(messages, ['text (5000)']);
});

testOverAll('fault 68: of several offers the first acceptable one is taken', async (over) => {
  await withApplication({ ...takingOver, over }, async (application) => {
    for (const [offers, accepted] of [
      [['permessage-deflate; unknown, permessage-deflate'], 'permessage-deflate'],
      [['permessage-deflate; unknown', 'permessage-deflate'], 'permessage-deflate'],
      [
        [
          'permessage-deflate; server_max_window_bits=16',
          'x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8',
          'permessage-deflate; client_max_window_bits=11, permessage-deflate',
        ],
        'permessage-deflate; client_max_window_bits=11',
      ],
      [
        ['permessage-deflate; server_no_context_takeover, permessage-deflate'],
        'permessage-deflate; server_no_context_takeover',
      ],
      [
        ['permessage-deflate, permessage-deflate; server_no_context_takeover'],
        'permessage-deflate',
      ],
      [['x-webkit-deflate-frame, Permessage-Deflate, permessage-deflate2'], undefined],
      [malformed.filter((offered) => !offered.includes('"')), undefined],
    ] as const) {
      const opened = await offer(application, ...offers);
      assert.equal(opened.accepted, accepted, offers.join('\n'));
      opened.raw.destroy();
    }
  });
});
