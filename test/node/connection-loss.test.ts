import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { suite, type TestContext, test } from 'node:test';
import { TLSSocket } from 'node:tls';
import {
  type CloseInfo,
  connect,
  type ErrorCode,
  type Limits,
  type Peer,
  type ServeOptions,
  type Server,
  WebSocket,
} from '../../dist/index.js';
import { describeLoss } from '../../dist/node/connection-loss.js';
import { localCertificate } from '../faults/certificate.ts';
import {
  dialWire,
  END_STREAM,
  extendedConnect,
  HEADERS,
  RST_STREAM,
  uint32,
} from '../faults/http2-frames.ts';
import { dial, handshake } from '../faults/raw-client.ts';
import { CLOSE, clientFrame, TEXT } from '../faults/raw-frames.ts';
import { type RawServerOptions, switching, withRawServer } from '../faults/raw-server.ts';
import { within } from '../faults/raw-socket.ts';
import { Mailbox, startServer } from './connections.ts';

const { NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;

suite('what is known of it', () => {
  const failed = (code: string): Error => Object.assign(new Error('it failed'), { code });
  const cases: readonly (readonly [string, Error | undefined, number, number, string])[] = [
    ['a FIN', undefined, 1_234, 0, 'it was ended, 1.2 s after something had come last'],
    ['at once', undefined, 0, 0, 'it was ended, 0.0 s after something had come last'],
    ['a RST', failed('ECONNRESET'), 12_345, 0, 'it was reset, 12 s after something had come last'],
    ['a broken pipe', failed('EPIPE'), 0, 0, 'it was ended while something was being sent, 0.0 s'],
    ['a timeout', failed('ETIMEDOUT'), 9_949, 0, 'the network gave up (ETIMEDOUT), 9.9 s'],
    ['no host', failed('EHOSTUNREACH'), 0, 0, 'the network gave up (EHOSTUNREACH), '],
    ['no network', failed('ENETUNREACH'), 0, 0, 'the network gave up (ENETUNREACH), '],
    [
      'TLS',
      failed('ERR_SSL_WRONG_VERSION_NUMBER'),
      0,
      0,
      'it failed (ERR_SSL_WRONG_VERSION_NUMBER), ',
    ],
    ['something without a code', new Error('odd'), 0, 0, 'it failed (odd), '],
    ['a stream that was cancelled', undefined, 0, NGHTTP2_CANCEL, 'it was reset, '],
    [
      'one with an error of its own',
      failed('ERR_HTTP2_STREAM_ERROR'),
      0,
      11,
      'it was reset (HTTP/2 error 11), ',
    ],
  ];
  for (const [name, failure, silentMs, resetCode, expected] of cases) {
    test(name, () => {
      const text = describeLoss({ at: 5_000 + silentMs, failure, resetCode }, 5_000);
      assert.ok(text.startsWith(expected), text);
      assert.doesNotMatch(text, /proxy/);
    });
  }

  for (const [ms, seconds] of [
    [28_500, 30],
    [30_000, 30],
    [31_500, 30],
    [51_000, 50],
    [54_900, 55],
    [59_000, 60],
    [60_012, 60],
    [61_500, 60],
    [100_000, 100],
    [350_900, 350],
    [3_600_000, 3_600],
  ] as const) {
    test(`${ms} ms of silence: a proxy that waits for ${seconds} s`, () => {
      for (const failure of [undefined, failed('ECONNRESET')]) {
        assert.match(
          describeLoss({ at: ms, failure, resetCode: 0 }, 0),
          new RegExp(`; a proxy on the way may end what is silent for ${seconds} s$`),
        );
      }
    });
  }

  for (const ms of [0, 1_000, 20_000, 28_499, 31_501, 45_000, 58_499, 61_501, 70_000, 3_602_000]) {
    test(`${ms} ms of silence: nobody's`, () => {
      assert.doesNotMatch(describeLoss({ at: ms, failure: undefined, resetCode: 0 }, 0), /proxy/);
    });
  }
});

test('what came before the end may be taken in after it', () => {
  const loss = { at: 1_000, failure: undefined, resetCode: 0 };
  assert.match(describeLoss(loss, 2_000), /^it was ended, 0\.0 s after/);
});

interface Setting {
  readonly server: Server;
  readonly opened: Mailbox<Peer>;
}

async function setUp(
  t: TestContext,
  limits: Partial<Limits> = {},
  more: Partial<ServeOptions<undefined>> = {},
): Promise<Setting> {
  const opened = new Mailbox<Peer>();
  const server = await startServer(t, {
    limits,
    routes: { '/': { open: opened.put, slowPeers: 'drop' } },
    ...more,
  });
  return { server, opened };
}

async function openRaw(t: TestContext, { server, opened }: Setting, tls: boolean) {
  const raw = await dial(server.port, tls);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  return { raw, peer: await opened.next() };
}

function check(info: CloseInfo, code: ErrorCode, message: RegExp): void {
  assert.equal(info.code, 1006);
  assert.equal(info.error?.code, code);
  assert.match(info.error.message, message);
}

async function expectLoss(peer: Peer, code: ErrorCode, message: RegExp): Promise<CloseInfo> {
  const info = await within('the end', peer.closed);
  check(info, code, message);
  return info;
}

for (const tls of [false, true]) {
  suite(`a server's peer over ${tls ? 'TLS' : 'TCP'}`, () => {
    const way = async () => (tls ? { tls: await localCertificate() } : {});

    test('that leaves without a close frame', async (t) => {
      const { raw, peer } = await openRaw(t, await setUp(t, {}, await way()), tls);
      raw.write(clientFrame(TEXT, 'x'));
      raw.end();
      const { error } = await expectLoss(
        peer,
        'CONNECTION_LOST',
        /^the connection ended without a close frame: it was ended, \d\.\d s after something had come last/,
      );
      assert.equal(error?.cause, undefined);
    });

    test('that resets the connection', async (t) => {
      const { raw, peer } = await openRaw(t, await setUp(t, {}, await way()), tls);
      if (raw.socket instanceof TLSSocket) {
        // Only the connection below can be reset; what is not read when it closes has the kernel do that.
        raw.socket.pause();
        peer.send('unread');
        await new Promise(setImmediate);
        raw.socket.destroy();
      } else raw.socket.resetAndDestroy();
      const { error } = await expectLoss(peer, 'CONNECTION_LOST', /: it was reset, /);
      assert.ok(error?.cause instanceof Error && 'code' in error.cause);
      assert.equal(error.cause.code, 'ECONNRESET');
    });

    test('that says nothing to a ping', async (t) => {
      const limits = { pingAfterMs: 40, pingTimeoutMs: 40 };
      const { raw, peer } = await openRaw(t, await setUp(t, limits, await way()), tls);
      raw.socket.pause();
      await expectLoss(peer, 'PING_TIMEOUT', /^the peer was silent for too long/);
    });

    test('that takes nothing any more', async (t) => {
      const limits = { stallTimeoutMs: 100, maxBufferedBytes: 2 ** 30 };
      const { raw, peer } = await openRaw(t, await setUp(t, limits, await way()), tls);
      raw.socket.pause();
      const message = 'x'.repeat(2 ** 20);
      for (let i = 0; i < 16; i++) peer.send(message);
      await expectLoss(peer, 'SEND_STALLED', /^the peer stopped taking data/);
    });

    test('that never answers our close frame', async (t) => {
      const limits = { closeTimeoutMs: 50 };
      const { raw, peer } = await openRaw(t, await setUp(t, limits, await way()), tls);
      peer.close(1000);
      await raw.expectClose(1000);
      await expectLoss(peer, 'CLOSE_TIMEOUT', /^the closing handshake was not finished in time/);
    });

    test('that we ended ourselves', async (t) => {
      const { peer } = await openRaw(t, await setUp(t, {}, await way()), tls);
      peer.terminate();
      await expectLoss(peer, 'TERMINATED', /^the application ended the connection at once/);
    });
  });
}

for (const [name, code, expected] of [
  ['cancelled', NGHTTP2_CANCEL, /: it was reset, /],
  ['reset with an error', NGHTTP2_ENHANCE_YOUR_CALM, /: it was reset \(HTTP\/2 error 11\), /],
] as const) {
  test(`a stream that was ${name}`, async (t) => {
    const setting = await setUp(t, {}, { http2: true });
    const wire = await dialWire(t, setting.server.port, false);
    wire.sendHeaders(1, extendedConnect);
    await wire.next(HEADERS);
    wire.send(RST_STREAM, 0, 1, uint32(code));
    await expectLoss(await setting.opened.next(), 'CONNECTION_LOST', expected);
  });
}

test('a stream that was ended', async (t) => {
  const setting = await setUp(t, {}, { http2: true });
  const wire = await dialWire(t, setting.server.port, false);
  wire.sendHeaders(1, extendedConnect);
  await wire.next(HEADERS);
  wire.send(0, END_STREAM, 1, Buffer.alloc(0));
  await expectLoss(await setting.opened.next(), 'CONNECTION_LOST', /: it was ended, /);
});

test('the silence counts to the end, and not to when that was taken in', async (t) => {
  const { server, opened } = await setUp(t, { closeTimeoutMs: 1_000, maxBufferedBytes: 2 ** 30 });
  const raw = await dial(server.port, false);
  t.after(() => raw.destroy());
  raw.write(handshake());
  await raw.readHead();
  const peer = await opened.next();
  // What is on its way to the peer keeps the connection when the peer has ended its direction.
  raw.socket.pause();
  for (let i = 0; i < 16; i++) peer.send('x'.repeat(2 ** 20));
  raw.write(clientFrame(TEXT, 'x'));
  raw.end();
  const before = performance.now();
  const { error } = await within('the end', peer.closed);
  assert.ok(performance.now() - before > 900, 'it was waited for');
  assert.match(error?.message ?? '', /it was ended, 0\.[0-6] s after/);
});

/** Resets the connection once a frame has come. */
const resetting: RawServerOptions = {
  async answer(raw, request) {
    raw.write(switching(request));
    // A reset that comes together with bytes libuv tells as an end.
    await raw.readFrame();
    raw.socket.resetAndDestroy();
  },
};

suite('a client', () => {
  test('of a server that resets', async () => {
    await withRawServer(resetting, async (url) => {
      const peer = await connect(url);
      peer.send('here');
      check(await within('the end', peer.closed), 'CONNECTION_LOST', /: it was reset, /);
    });
  });

  test('of a server that leaves, though it knows of close frames', async () => {
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(switching(request), Buffer.of(CLOSE));
          raw.end();
          await raw.expectEnd();
        },
      },
      async (url) => {
        const peer = await connect(url);
        check(await within('the end', peer.closed), 'CONNECTION_LOST', /: it was ended, /);
      },
    );
  });

  test('that is a WebSocket hears of it as well, in its error event', async () => {
    await withRawServer(resetting, async (url) => {
      const socket = new WebSocket(url);
      socket.onopen = () => socket.send('here');
      const message = await within(
        'an error',
        new Promise<string>((resolve) => {
          socket.onerror = (event) => resolve(String((event as { error?: unknown }).error));
        }),
      );
      assert.match(message, /ended without a close frame: it was reset, /);
    });
  });
});
