import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { attach } from '../../dist/index.js';
import { trySharedReads } from '../../dist/node/shared-read-buffer.js';
import { shown, withApplication } from './application.ts';
import { ACCEPT, dial, handshake } from './raw-client.ts';
import {
  BINARY,
  CLOSE,
  CONTINUED,
  clientFrame,
  closePayload,
  FINISHED,
  hex,
  PING,
  TEXT,
  TEXT_BEGUN,
} from './raw-frames.ts';
import { type RawSocket, within } from './raw-socket.ts';
import { testOverAll, testOverHttp1 } from './transport.ts';

/** Scripts of few bytes that between them have every kind of header, and a close. */
const scripts: readonly Buffer[] = [
  Buffer.concat([
    clientFrame(TEXT, 'Hé€𝄞'),
    clientFrame(PING, 'p'),
    clientFrame(BINARY, Uint8Array.of(0, 1, 2, 3, 4)),
    clientFrame(CLOSE, closePayload(1000, 'bye')),
  ]),
  Buffer.concat([
    clientFrame(TEXT_BEGUN, Buffer.from('é€').subarray(0, 3)),
    clientFrame(PING),
    clientFrame(CONTINUED),
    clientFrame(CONTINUED, Buffer.from('é€').subarray(3)),
    clientFrame(FINISHED, '!'),
    clientFrame(TEXT),
    clientFrame(CLOSE),
  ]),
  Buffer.concat([
    clientFrame(BINARY, Buffer.alloc(126, 5)),
    clientFrame(CLOSE, closePayload(4999)),
  ]),
  Buffer.concat([clientFrame(TEXT, 'x'), hex('83 80 m')]),
  Buffer.concat([clientFrame(TEXT_BEGUN, 'x'), clientFrame(FINISHED, hex('ff'))]),
];

/** Sends the pieces, each only when the server has read the one before; returns all that came back. */
async function play(
  raw: RawSocket,
  pieces: readonly Uint8Array[],
  hasRead: (bytes: number) => boolean,
): Promise<string> {
  let sent = Buffer.byteLength(handshake());
  for (const piece of pieces) {
    sent += piece.length;
    raw.write(piece);
    await within(
      'the server to read',
      (async () => {
        while (!hasRead(sent)) await turn();
      })(),
    );
  }
  const answer = await raw.drainText();
  raw.end();
  return answer;
}

/** Bytes read so far from a socket's connection, also where that has been moved to another socket. */
function countReads(socket: Socket): () => number {
  const handle: unknown = Reflect.get(socket, '_handle');
  assert.ok(typeof handle === 'object' && handle !== null);
  return () => Number(Reflect.get(handle, 'bytesRead'));
}

async function splitEverywhere(sharedReadBuffer: boolean): Promise<void> {
  const http = createServer();
  const byPort = new Map<number | undefined, () => number>();
  http.on('connection', (socket) => byPort.set(socket.remotePort, countReads(socket)));
  const events = new Map<number | undefined, string[]>();
  const closed: Promise<unknown>[] = [];
  const server = attach<{ seen: string[] }>(http, {
    sharedReadBuffer,
    routes: {
      '/': {
        upgrade: () => ({ seen: [] }),
        open(peer) {
          closed.push(peer.closed);
        },
        message(peer, message) {
          peer.data.seen.push(shown(message));
          peer.send(message);
        },
        ping(peer, payload) {
          peer.data.seen.push(`ping ${Buffer.from(payload)}`);
        },
        close(peer, code, reason) {
          peer.data.seen.push(`close ${code} ${reason}`);
          events.set(Number(peer.request.headers['x-at']), peer.data.seen);
        },
      },
    },
  });
  await new Promise<void>((resolve) => {
    http.listen(0, '127.0.0.1', resolve);
  });
  await trySharedReads();

  const run = async (script: Buffer, cuts: readonly number[]): Promise<string> => {
    const raw = await dial(server.port, false);
    const mine = raw.socket.localPort;
    raw.write(handshake({ fields: { 'x-at': String(mine) } }));
    const head = await raw.readHead();
    assert.equal(head.get('sec-websocket-accept'), ACCEPT);
    const bytesRead = byPort.get(mine);
    assert.ok(bytesRead !== undefined);
    const base = bytesRead() - Buffer.byteLength(handshake());
    const bounds = [0, ...cuts, script.length];
    const pieces = bounds.slice(1).map((end, at) => script.subarray(bounds[at], end));
    const answer = await play(
      raw,
      pieces,
      (bytes) => events.has(mine) || bytesRead() - base >= bytes,
    );
    await within(
      'the close event',
      (async () => {
        while (!events.has(mine)) await turn();
      })(),
    );
    return `${Buffer.from(answer, 'latin1').toString('hex')} ${events.get(mine)?.join(', ')}`;
  };

  for (const script of scripts) {
    const whole = await run(script, []);
    const splits = Array.from({ length: script.length - 1 }, (_, at) => [at + 1]);
    const bytewise = splits.flat();
    const outcomes = await Promise.all([...splits, bytewise].map((cuts) => run(script, cuts)));
    for (const [at, outcome] of outcomes.entries()) {
      assert.equal(outcome, whole, `split at ${at + 1} of ${script.length}`);
    }
  }
  await server.close();
  await new Promise((resolve) => {
    http.close(resolve);
  });
}

for (const sharedReadBuffer of [true, false]) {
  const way = sharedReadBuffer ? 'shared buffer' : "'data'";
  test(`fault 39: every split point, and one byte a packet: the same events and answers (${way})`, () =>
    splitEverywhere(sharedReadBuffer));
}

testOverAll(
  'fault 39: a byte at a time, and all at once, with the next frame behind',
  async (over) => {
    await withApplication({ over }, async (application) => {
      for (const script of scripts.slice(0, 2)) {
        const outcomes: string[] = [];
        for (const size of [1, 2, 3, script.length]) {
          application.forget();
          const raw = await application.open();
          for (let at = 0; at < script.length; at += size) {
            raw.write(script.subarray(at, at + size));
            await turn();
            await turn();
          }
          const answer = await raw.drainText();
          raw.end();
          await application.until('close', () => /^close/.test(application.events.at(-1) ?? ''));
          outcomes.push(`${Buffer.from(answer, 'latin1').toString('hex')} ${application.events}`);
        }
        assert.deepEqual(new Set(outcomes).size, 1, outcomes.join('\n'));
      }
    });
  },
);

/** A frame many times over, in one buffer. */
function repeated(frame: Buffer, times: number): Buffer {
  return Buffer.alloc(frame.length * times, frame);
}

testOverHttp1(
  'fault 40: a million frames of one byte leave the event loop its turns',
  async (over) => {
    const count = 1_000_000;
    let messages = 0;
    let turns = 0;
    let isCounting = false;
    const countTurns = (): void => {
      if (!isCounting) return;
      turns++;
      setImmediate(countTurns);
    };
    const route = {
      message(): void {
        if (messages++ === 0) {
          isCounting = true;
          countTurns();
        }
        if (messages === count) isCounting = false;
      },
    };
    await withApplication({ over, route }, async (application) => {
      const raw = await application.open();
      raw.write(repeated(clientFrame(BINARY, 'A'), count), clientFrame(CLOSE, closePayload(1000)));
      await raw.expectClose(1000);
      await raw.expectEnd();
      raw.end();
      assert.equal(messages, count);
      // A read has at most 64 KiB, over 9,000 frames: without turns within a read it would be about 110.
      assert.ok(turns > 300, `${turns} turns`);
      await application.expectEvents('upgrade', 'open', 'close 1000');
    });
  },
);

testOverHttp1('fault 40: others are served while one peer sends a million frames', async (over) => {
  const route = { message(): void {} };
  await withApplication({ over, route }, async (application) => {
    const raw = await application.open();
    const other = await application.open({ path: '/alive' });
    raw.write(
      repeated(clientFrame(BINARY, 'A'), 1_000_000),
      clientFrame(CLOSE, closePayload(1000)),
    );
    let isDone = false;
    const done = raw.expectClose(1000).then(() => {
      isDone = true;
    });
    let echoes = 0;
    while (!isDone) {
      other.write(clientFrame(TEXT, 'echo'));
      await other.expectFrame(TEXT, 'echo');
      echoes++;
    }
    await done;
    assert.ok(echoes > 10, `${echoes} echoes`);
    raw.destroy();
  });
});
