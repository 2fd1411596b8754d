import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { maxCompressedBytes } from '../../dist/protocol/limits.js';
import { PreparedMessage } from '../../dist/protocol/messages/prepared-message.js';
import { concatBytes, type FrameFields } from '../reference-codec.ts';
import { CLOSE, closePayload, Harness, PING, PONG } from './connection-harness.ts';
import { copies, waysOfSplitting } from './splitting.ts';
import {
  compressionSettings,
  deflateOnce,
  inflateOnce,
  mirrored,
  NO_TAKEOVER,
  TAKEOVER,
} from './test-compression.ts';
import { testPlatform } from './test-platform.ts';

const RSV1 = 4;

function compressed(data: string | Uint8Array): FrameFields {
  const opcode = typeof data === 'string' ? 1 : 2;
  return { opcode, reserved: RSV1, payload: deflateOnce(data) };
}

function fragments({ payload = [], ...fields }: FrameFields, ...cuts: number[]): FrameFields[] {
  const places = [0, ...cuts, payload.length];
  return places.slice(1).map((to, i) => ({
    fin: i === cuts.length,
    ...(i === 0 ? fields : { opcode: 0 }),
    payload: payload.slice(places[i], to),
  }));
}

function failedWith(harness: Harness, code: number, error: string): void {
  const sent = harness.sent();
  assert.deepEqual(sent.at(-1)?.opcode, CLOSE);
  assert.deepEqual(sent.at(-1)?.payload.slice(0, 2), closePayload(code));
  harness.connection.transportClosed();
  const last = harness.heard().at(-1);
  assert.ok(last && 'end' in last);
  assert.deepEqual([last.end.code, last.end.error], [code, error]);
}

describe('compressed messages that arrive', () => {
  for (const isServer of [true, false]) {
    test(`at a ${isServer ? 'server' : 'client'}, among others, whole and in fragments, at every split point`, () => {
      const data = ['hello, hello, häh', 'not compressed', Uint8Array.from(Buffer.alloc(40, 7))];
      const [text = '', plain, bytes = text] = data;
      const script = [
        compressed(text),
        { opcode: 1, payload: Buffer.from('not compressed') },
        ...fragments(compressed(text), 0, 3, 3, 9),
        compressed(bytes),
        ...fragments({ opcode: 1, payload: Buffer.from('not compressed') }, 5),
        ...fragments(compressed(bytes), 1),
        compressed(''),
        ...fragments({ opcode: 1, reserved: RSV1, payload: [0] }, 1),
        { opcode: 1, reserved: RSV1, payload: [] },
      ];
      const expected = [text, plain, text, bytes, plain, bytes, '', '', ''];
      const frames = (harness: Harness) => script.map((frame) => harness.frame(frame));
      const stream = concatBytes(...frames(new Harness(isServer)));
      for (const pieces of waysOfSplitting(stream)) {
        for (const borrowed of [true, false]) {
          const harness = new Harness(isServer, {}, compressionSettings());
          for (const piece of copies(pieces)) {
            harness.chunk(piece, 0, borrowed);
            if (borrowed) piece.fill(0xee);
          }
          assert.deepEqual(
            harness.heard(),
            expected.map((message) => ({ message })),
          );
          assert.equal(harness.connection.state, 0);
        }
      }
    });
  }

  test('a fragmented one with pings in between, cut anywhere', () => {
    const whole = compressed('hello, hello, hello');
    for (let cut = 0; cut <= (whole.payload?.length ?? 0); cut++) {
      const harness = new Harness(true, {}, compressionSettings());
      const [first = whole, last = whole] = fragments(whole, cut);
      harness.receive(first, { opcode: PING, payload: [1] }, last);
      assert.deepEqual(harness.heard(), [{ ping: [1] }, { message: 'hello, hello, hello' }]);
      assert.deepEqual(harness.sent(), [{ opcode: PONG, payload: [1] }]);
    }
  });

  test('refer to those before, where that was agreed on', () => {
    const settings = compressionSettings(TAKEOVER);
    const deflater = settings.port.ownDeflater({ windowBits: 15, level: 1, memLevel: 8 });
    const harness = new Harness(true, {}, settings);
    const bytes = Buffer.from('something to refer to');
    for (let i = 0; i < 3; i++) {
      const length = deflater.deflate(bytes, 0, bytes.length, false);
      const payload = deflater.output.slice(0, length);
      harness.receive({ opcode: 1, reserved: RSV1, payload }, { opcode: 1, payload: [65] });
    }
    assert.deepEqual(
      harness.heard(),
      ['A', 'A', 'A'].flatMap((message) => [{ message: String(bytes) }, { message }]),
    );
  });

  test('need not be of a window that we could compress with', () => {
    const harness = new Harness(
      false,
      {},
      compressionSettings({ ...TAKEOVER, deflateWindowBits: 8 }),
    );
    harness.receive(compressed('hello, hello'));
    assert.deepEqual(harness.heard(), [{ message: 'hello, hello' }]);
    harness.connection.sendText('hello, hello, hello, hello', true);
    assert.equal(harness.sent()[0]?.compressed, undefined);
  });
});

describe('RSV1 fails the connection', () => {
  const begun = { opcode: 1, fin: false, payload: [65] };
  const cases: [string, boolean, FrameFields[]][] = [
    ['where nothing was agreed on', false, [compressed('x')]],
    ['on a continuation', true, [begun, { opcode: 0, reserved: RSV1 }]],
    [
      'on the continuation of a compressed message',
      true,
      [...fragments(compressed('hello'), 2).map((frame) => ({ ...frame, reserved: RSV1 }))],
    ],
    ['on a ping', true, [{ opcode: PING, reserved: RSV1 }]],
    ['on a close frame', true, [{ opcode: CLOSE, reserved: RSV1 }]],
  ];
  for (const [name, agreed, frames] of cases) {
    test(`fault 69: ${name}`, () => {
      const harness = new Harness(true, {}, agreed ? compressionSettings() : undefined);
      harness.receive(...frames);
      failedWith(harness, 1002, 'RESERVED_BITS');
    });
  }
});

describe('what is wrong with a compressed message', () => {
  const ways: [string, (frame: FrameFields) => FrameFields[]][] = [
    ['in one frame', (frame) => [frame]],
    ['in fragments', (frame) => fragments(frame, 1, 2)],
  ];
  for (const [name, way] of ways) {
    test(`fault 71: corrupt data: 1007; ${name}`, () => {
      const harness = new Harness(true, {}, compressionSettings());
      const payload = [...deflateOnce('hello, hello, hello')].slice(0, -2);
      harness.receive(...way({ opcode: 1, reserved: RSV1, payload }), { opcode: PING });
      failedWith(harness, 1007, 'INFLATE_CORRUPT');
    });

    test(`fault 71: a reference to a message before without takeover: 1007; ${name}`, () => {
      const settings = compressionSettings(NO_TAKEOVER);
      const deflater = settings.port.ownDeflater({ windowBits: 15, level: 1, memLevel: 8 });
      const harness = new Harness(true, {}, settings);
      const bytes = Buffer.from('something to refer to');
      for (let i = 0; i < 2; i++) {
        const length = deflater.deflate(bytes, 0, bytes.length, false);
        const payload = deflater.output.slice(0, length);
        harness.receive(...way({ opcode: 1, reserved: RSV1, payload }));
      }
      assert.deepEqual(harness.heard()[0], { message: String(bytes) });
      failedWith(harness, 1007, 'INFLATE_CORRUPT');
    });

    test(`text that is not UTF-8: 1007; ${name}`, () => {
      const harness = new Harness(true, {}, compressionSettings());
      const payload = deflateOnce(Uint8Array.of(0x61, 0xc3));
      harness.receive(...way({ opcode: 2, reserved: RSV1, payload }));
      assert.deepEqual(harness.heard(), [{ message: Uint8Array.of(0x61, 0xc3) }]);
      harness.receive(...way({ opcode: 1, reserved: RSV1, payload }));
      failedWith(harness, 1007, 'INVALID_UTF8');
    });

    test(`a message over the limit: 1009; ${name}`, () => {
      const harness = new Harness(true, { maxMessageBytes: 1000 }, compressionSettings());
      harness.receive(...way(compressed('a'.repeat(1000))));
      assert.deepEqual(harness.heard(), [{ message: 'a'.repeat(1000) }]);
      harness.receive(...way(compressed('a'.repeat(1001))));
      failedWith(harness, 1009, 'MESSAGE_TOO_BIG');
    });

    test(`fault 70: a message that inflates too far: 1009; ${name}`, () => {
      const free = 64 * 1024;
      const harness = new Harness(true, {}, compressionSettings());
      harness.receive(...way(compressed(new Uint8Array(free))));
      harness.receive(...way(compressed('a'.repeat(free))));
      assert.equal(harness.heard().length, 2);
      harness.receive(...way(compressed(new Uint8Array(free + 1))));
      failedWith(harness, 1009, 'INFLATION_RATIO');
    });

    test(`it may inflate to any length where there is no limit to that; ${name}`, () => {
      const limits = { maxInflationRatio: Infinity, maxMessageBytes: Infinity };
      const harness = new Harness(true, limits, compressionSettings());
      harness.receive(...way(compressed('a'.repeat(2_000_000))));
      assert.deepEqual(harness.heard(), [{ message: 'a'.repeat(2_000_000) }]);
    });
  }

  test('a failure in the middle of a chunk is the last that is taken from it', () => {
    const harness = new Harness(true, {}, compressionSettings());
    const corrupt = { opcode: 1, reserved: RSV1, payload: [0xff] };
    const { stoppedAt, bytes } = harness.receive(corrupt, compressed('x'), { opcode: PING });
    assert.equal(stoppedAt, bytes.length);
    assert.deepEqual(harness.heard(), [{ transport: 'end' }]);
    harness.receive(compressed('x'));
    assert.deepEqual(harness.heard(), []);
  });
});

describe('a payload longer than the limit for messages', () => {
  const maxMessageBytes = 80;
  const limits = { maxMessageBytes };
  const most = maxCompressedBytes(maxMessageBytes);

  test('is taken where it is of a message that cannot be compressed', () => {
    // Blocks that are stored, of a byte each, and then of all the rest.
    const message = Buffer.alloc(maxMessageBytes, 'x');
    const stored = (bytes: Uint8Array) => [0, bytes.length, 0, ~bytes.length, 0xff, ...bytes];
    const parts = [...message.subarray(0, 9)].map((byte) => stored(Uint8Array.of(byte)));
    const payload = [...parts.flat(), ...stored(message.subarray(9)), 0].map((byte) => byte & 0xff);
    assert.ok(payload.length > maxMessageBytes && payload.length <= most);
    for (const frames of [
      [{ opcode: 1, reserved: RSV1, payload }],
      fragments({ opcode: 1, reserved: RSV1, payload }, 70, 100),
    ]) {
      const harness = new Harness(true, limits, compressionSettings());
      harness.receive(...frames);
      assert.deepEqual(harness.heard(), [{ message: String(message) }]);
    }
  });

  test('is refused where no such message can have it, before it has come', () => {
    const announced = { opcode: 1, reserved: RSV1, announced: most + 1 };
    const begun = { opcode: 1, reserved: RSV1, fin: false, payload: new Uint8Array(most) };
    const whole = { opcode: 1, reserved: RSV1, payload: new Uint8Array(most + 1) };
    for (const frames of [[announced], [begun, { opcode: 0, announced: 1 }], [whole]]) {
      const settings = compressionSettings();
      const harness = new Harness(true, limits, settings);
      harness.receive(...frames);
      failedWith(harness, 1009, 'MESSAGE_TOO_BIG');
      assert.deepEqual(
        settings.port.inflaters.flatMap(({ calls }) => calls),
        [],
      );
    }
  });

  test('is looked at where one can', () => {
    const harness = new Harness(true, limits, compressionSettings());
    harness.receive({ opcode: 1, reserved: RSV1, payload: new Uint8Array(most).fill(0xff) });
    failedWith(harness, 1007, 'INFLATE_CORRUPT');
  });

  test('is not for messages that are not compressed', () => {
    for (const frame of [
      { opcode: 1, announced: maxMessageBytes + 1 },
      { opcode: 1, payload: new Uint8Array(maxMessageBytes + 1) },
    ]) {
      const harness = new Harness(true, limits, compressionSettings());
      harness.receive(frame);
      failedWith(harness, 1009, 'MESSAGE_TOO_BIG');
    }
  });
});

test('what arrives after our own close frame is not looked at, nor delivered', () => {
  for (const takeover of [NO_TAKEOVER, TAKEOVER]) {
    const settings = compressionSettings(takeover);
    const harness = new Harness(true, {}, settings);
    harness.connection.close(1000, new Uint8Array(0));
    harness.receive(compressed('x'), ...fragments(compressed('hello'), 3));
    harness.receive({ opcode: 1, reserved: RSV1, payload: [0xff] });
    assert.deepEqual(harness.heard(), []);
    assert.deepEqual(
      settings.port.inflaters.flatMap(({ calls }) => calls),
      [],
    );
    harness.receive({ opcode: CLOSE, payload: closePayload(1000) });
    harness.connection.transportClosed();
    assert.deepEqual(harness.heard(), [
      { transport: 'end' },
      { end: { code: 1000, reason: '', error: undefined } },
    ]);
  }
});

describe('contexts of a connection’s own', () => {
  function opened() {
    const settings = compressionSettings(TAKEOVER);
    const harness = new Harness(true, {}, settings);
    const own = () =>
      [...settings.port.deflaters, ...settings.port.inflaters].filter(({ isOwn }) => isOwn);
    return { harness, own };
  }

  test('are made with the first message that needs them', () => {
    const { harness, own } = opened();
    harness.connection.sendText('hello, hello', false);
    harness.receive({ opcode: 1, payload: [65] }, { opcode: PING });
    assert.equal(own().length, 0);
    harness.connection.sendText('hello, hello', true);
    assert.equal(own().length, 1);
    harness.receive(compressed('x'), compressed('y'));
    harness.connection.sendText('hello, hello', true);
    assert.equal(own().length, 2);
  });

  const ends: Record<string, (harness: Harness) => void> = {
    'the connection fails': ({ connection }) => connection.fail('CONTROL_FLOOD'),
    'the transport is gone': ({ connection }) => connection.transportClosed(),
    'a message is corrupt': (harness) =>
      harness.receive({ opcode: 1, reserved: RSV1, payload: [0xff] }),
  };
  for (const [name, end] of Object.entries(ends)) {
    test(`are given back when ${name}`, () => {
      const { harness, own } = opened();
      harness.connection.sendText('hello, hello', true);
      harness.receive(compressed('x'));
      assert.deepEqual(
        own().map(({ closes }) => closes),
        [0, 0],
      );
      end(harness);
      assert.deepEqual(
        own().map(({ closes }) => closes),
        [1, 1],
      );
      harness.connection.transportClosed();
      assert.deepEqual(
        own().map(({ closes }) => closes),
        [1, 1],
      );
    });
  }

  test('are kept through the closing handshake', () => {
    const { harness, own } = opened();
    harness.connection.sendText('hello, hello', true);
    harness.receive(compressed('x'), { opcode: CLOSE });
    assert.ok(own().every(({ closes }) => closes === 0));
    harness.connection.transportEnded();
    harness.connection.transportClosed();
    assert.ok(own().every(({ closes }) => closes === 1));
  });

  test('what is shared is never given back', () => {
    const harness = new Harness(true, {}, compressionSettings(NO_TAKEOVER));
    harness.connection.sendText('hello, hello', true);
    harness.receive(compressed('x'));
    // The port for tests says if it is.
    harness.connection.fail('CONTROL_FLOOD');
    harness.connection.transportClosed();
  });
});

describe('sending', () => {
  for (const isServer of [true, false]) {
    test(`messages, compressed where they may be, as a ${isServer ? 'server' : 'client'}`, () => {
      const harness = new Harness(isServer, {}, compressionSettings(TAKEOVER, { threshold: 20 }));
      const other = new Harness(!isServer, {}, compressionSettings(mirrored(TAKEOVER)));
      const text = 'compress, compress and compress me';
      const bytes = Uint8Array.from(Buffer.from(text));
      harness.connection.sendText(text, true);
      harness.connection.sendText('short', true);
      harness.connection.sendText(text, false);
      harness.connection.sendBinary(bytes, true);
      harness.connection.sendPrepared(PreparedMessage.encode(text, testPlatform, true), true);
      harness.connection.sendPrepared(PreparedMessage.encode(text, testPlatform, false), true);
      harness.connection.sendBytes(PING, bytes);
      harness.connection.sendText(text, true);
      const written = harness.written();
      other.chunk(Uint8Array.from(written));
      assert.deepEqual(other.heard(), [
        { message: text },
        { message: 'short' },
        { message: text },
        { message: bytes },
        { message: text },
        { message: text },
        { ping: [...bytes] },
        { message: text },
      ]);
      // Read again, byte for byte, by what knows no connection.
      const again = new Harness(isServer, {}, compressionSettings(TAKEOVER));
      again.append(written);
      const sent = again.sent();
      assert.deepEqual(
        sent.map(({ compressed: isCompressed = false }) => isCompressed),
        [true, false, false, true, true, false, false, true],
      );
      assert.equal(String(Buffer.from(inflateOnce(sent[0]?.payload ?? []))), text);
      assert.equal(String(Buffer.from(inflateOnce(sent[4]?.payload ?? []))), text);
    });
  }

  test('a close frame comes behind what is still being compressed', () => {
    const settings = compressionSettings();
    settings.port.deflateLaterAbove = 10;
    const harness = new Harness(true, {}, settings);
    harness.connection.sendText('a'.repeat(100), true);
    harness.connection.fail('CONTROL_FLOOD');
    assert.deepEqual(harness.sent(), []);
    settings.port.finishOne();
    assert.deepEqual(
      harness.sent().map(({ opcode }) => opcode),
      [1, CLOSE],
    );
  });
});
