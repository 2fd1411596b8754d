import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Connection } from '../../dist/protocol/connection.js';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import { resolveLimits } from '../../dist/protocol/limits.js';
import { concatBytes } from '../reference-codec.ts';
import { closePayload, Harness, PING, PONG } from './connection-harness.ts';
import { testPlatform } from './test-platform.ts';

/** Hands frames over as Node does, in a Buffer, out of memory that is used again at once. */
function receiveBorrowed(harness: Harness, bytes: Uint8Array): void {
  const memory = Buffer.from(bytes);
  harness.chunk(memory, 0, true);
  memory.fill(0xee);
}

/** A harness that keeps the payloads themselves, as an application may. */
class KeepingHarness extends Harness {
  readonly kept: Uint8Array[] = [];

  override onPing(payload: Uint8Array): void {
    this.kept.push(payload);
  }
  override onPong(payload: Uint8Array): void {
    this.kept.push(payload);
  }
}

describe('payloads of control frames', () => {
  test('stay valid when the memory they came in is used again', () => {
    const harness = new KeepingHarness();
    const ping = harness.frame({ opcode: PING, payload: [1, 2, 3] });
    const pong = harness.frame({ opcode: PONG, payload: [4, 5] });
    receiveBorrowed(harness, concatBytes(ping, pong));
    for (const byte of ping) receiveBorrowed(harness, Uint8Array.of(byte));
    assert.deepEqual(
      harness.kept.map((payload) => [...payload]),
      [
        [1, 2, 3],
        [4, 5],
        [1, 2, 3],
      ],
    );
  });

  test('pin no chunk, and are no Buffer, though the chunk was one', () => {
    const harness = new KeepingHarness();
    const chunk = Buffer.alloc(65_536);
    chunk.set(harness.frame({ opcode: PING, payload: [1] }));
    chunk.set(harness.frame({ opcode: 2, announced: 60_000 }), 7);
    harness.chunk(chunk);
    const [payload] = harness.kept;
    assert.equal(payload?.buffer.byteLength, 1);
    assert.equal(Object.getPrototypeOf(payload), Uint8Array.prototype);
  });

  test('a pong that waits is not changed by what becomes of the ping', () => {
    const harness = new KeepingHarness();
    harness.backlogged = true;
    receiveBorrowed(harness, harness.frame({ opcode: PING, payload: [1, 2, 3] }));
    harness.kept[0]?.fill(9);
    harness.connection.drained();
    assert.deepEqual(harness.sent(), [{ opcode: PONG, payload: [1, 2, 3] }]);
  });

  test('a pong that waits goes out before what is sent after it', () => {
    const harness = new Harness();
    harness.backlogged = true;
    harness.receive({ opcode: PING, payload: [1] });
    harness.backlogged = false;
    harness.connection.drained();
    harness.receive({ opcode: PING, payload: [2] });
    assert.deepEqual(harness.sent(), [
      { opcode: PONG, payload: [1] },
      { opcode: PONG, payload: [2] },
    ]);
  });
});

describe('pausing in a handler of control frames', () => {
  test('holds what stands behind it', () => {
    class Pausing extends Harness {
      override onPing(payload: Uint8Array): void {
        super.onPing(payload);
        this.connection.pause();
      }
    }
    const harness = new Pausing();
    const ping = { opcode: PING, payload: [1] };
    const { stoppedAt, bytes } = harness.receive(ping, { opcode: 1, payload: [65] });
    assert.equal(stoppedAt, harness.frame(ping).length);
    assert.deepEqual(harness.heard(), [{ ping: [1] }]);
    harness.connection.resume();
    assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
    assert.deepEqual(harness.heard(), [{ message: 'A' }]);
  });

  test('to pause and go on at once loses nothing', () => {
    const harness = new Harness();
    harness.onEachMessage = () => {
      harness.connection.pause();
      harness.connection.resume();
    };
    const letter = { opcode: 1, payload: [65] };
    const { stoppedAt, bytes } = harness.receive(letter, letter);
    assert.equal(harness.chunk(bytes, stoppedAt, false), bytes.length);
    assert.deepEqual(harness.heard(), [{ message: 'A' }, { message: 'A' }]);
  });
});

describe('control frames and the time for a message', () => {
  const lenient = { pingAfterMs: 1_000_000, messageTimeoutMs: 3000 };

  test('a peer whose pings are always cut by a chunk is not taken for a slow sender', () => {
    const harness = new Harness(true, lenient);
    const ping = harness.frame({ opcode: PING, payload: [1, 2] });
    harness.chunk(Uint8Array.from(ping.subarray(0, 3)));
    for (let i = 0; i < 10; i++) {
      harness.pass(1000);
      // The rest of one, and the beginning of the next.
      harness.chunk(concatBytes(ping.subarray(3), ping.subarray(0, 3)));
    }
    assert.equal(harness.connection.state, 0);
    assert.equal(harness.heard().length, 10);
    // A single one that is never completed is.
    harness.pass(2999);
    assert.equal(harness.connection.state, 0);
    harness.pass(1);
    assert.deepEqual(harness.sent().at(-1)?.payload.slice(0, 2), closePayload(1008));
  });

  test('nor do they lend the message time that is begun', () => {
    const harness = new Harness(true, lenient);
    const ping = harness.frame({ opcode: PING });
    harness.receive({ opcode: 1, fin: false });
    for (let i = 0; i < 5; i++) {
      harness.pass(500);
      harness.chunk(concatBytes(ping, ping.subarray(0, 2)));
      harness.chunk(Uint8Array.from(ping.subarray(2)));
    }
    harness.pass(499);
    assert.equal(harness.connection.state, 0);
    harness.pass(1);
    assert.deepEqual(harness.sent().at(-1)?.payload.slice(0, 2), closePayload(1008));
  });

  test('a message begun behind a ping that was cut has its time from its own first byte', () => {
    const harness = new Harness(true, lenient);
    const ping = harness.frame({ opcode: PING });
    harness.chunk(Uint8Array.from(ping.subarray(0, 1)));
    harness.pass(2000);
    const fragment = harness.frame({ opcode: 1, fin: false });
    harness.chunk(concatBytes(ping.subarray(1), fragment));
    harness.pass(2999);
    assert.equal(harness.connection.state, 0);
    harness.pass(1);
    assert.deepEqual(harness.sent().at(-1)?.payload.slice(0, 2), closePayload(1008));
  });
});

test('headers alone make nothing grow: 1,000 connections that announce a megabyte each', () => {
  const harness = new Harness();
  const headers = [
    harness.frame({ opcode: 2, announced: 1024 * 1024 }),
    harness.frame({ opcode: 1, announced: 1024 * 1024, payload: [65] }),
  ];
  const settings = connectionSettings(testPlatform, resolveLimits(), true);
  const connections = Array.from(
    { length: 1000 },
    () => new Connection(harness, harness, settings),
  );
  const before = process.memoryUsage().arrayBuffers;
  connections.forEach((connection, i) => {
    const header = Uint8Array.from(headers[i % 2] as Uint8Array);
    connection.receive(header, 0, header.length, false);
  });
  const grown = process.memoryUsage().arrayBuffers - before;
  assert.ok(grown < 1024 * 1024, `${grown} bytes`);
  assert.ok(connections.every(({ state }) => state === 0));
});
