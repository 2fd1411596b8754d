import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Message } from '../../dist/index.js';
import { dialTo, Mailbox } from '../node/connections.ts';
import { readClose } from './client.ts';
import { NO_TAKEOVER, OFFER, withCompressing } from './compressed.ts';
import type { Report } from './compressing-server.ts';
import { bomb, deflated, RSV1 } from './deflated.ts';
import { dial, handshake } from './raw-client.ts';
import {
  BINARY,
  BINARY_BEGUN,
  CONTINUED,
  clientFrame,
  FINISHED,
  serverFrame,
  TEXT,
} from './raw-frames.ts';
import { type RawSocket, within } from './raw-socket.ts';

const MiB = 1024 * 1024;
const LIMIT = 16 * MiB;

/**
 * Beyond the limit and 64 KiB: the payload itself; the pieces that another thread has put out, which are copied
 * and then garbage, no more of it than the limit; and the runtime's own.
 */
const NOISE = LIMIT + 16 * MiB;

const limits = { maxMessageBytes: LIMIT, maxInflationRatio: 2_000 };

class ServerProcess {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start(t: TestContext, options: object): Promise<ServerProcess> {
    const file = fileURLToPath(new URL('./compressing-server.js', import.meta.url));
    const child = fork(file, [JSON.stringify(options)]);
    t.after(async () => {
      const exited = once(child, 'exit');
      if (child.exitCode === null) child.kill('SIGKILL');
      await exited;
    });
    const [{ port }] = (await within('the server', once(child, 'message'))) as [Report];
    return new ServerProcess(child, port);
  }

  async report(): Promise<Report> {
    const answer = once(this.#child, 'message');
    this.#child.send('report');
    const [report] = (await within('a report', answer)) as [Report];
    return report;
  }

  /** How its peers ended, once so many have. */
  async ends(count: number): Promise<readonly string[]> {
    const come = async (): Promise<readonly string[]> => {
      let { ends } = await this.report();
      while (ends.length < count) ({ ends } = await this.report());
      return ends;
    };
    return await within(`${count} ends`, come());
  }

  async open(): Promise<RawSocket> {
    const raw = await dial(this.port, false);
    raw.write(handshake({ fields: { 'sec-websocket-extensions': OFFER } }));
    const head = await raw.readHead();
    assert.match(head.get('sec-websocket-extensions') ?? '', /^permessage-deflate/);
    return raw;
  }
}

/** The payload as one message in so many frames. */
function inFrames(payload: Buffer, frames: number): Buffer {
  if (frames === 1) return clientFrame(BINARY | RSV1, payload);
  const size = Math.ceil(payload.length / frames);
  return Buffer.concat(
    Array.from({ length: frames }, (_, at) => {
      const piece = payload.subarray(at * size, (at + 1) * size);
      if (at === 0) return clientFrame(BINARY_BEGUN | RSV1, piece);
      return clientFrame(at === frames - 1 ? FINISHED : CONTINUED, piece);
    }),
  );
}

async function explode(server: ServerProcess, frames: Buffer, code = 1009): Promise<void> {
  const raw = await server.open();
  raw.write(frames);
  await raw.expectClose(code);
  await raw.expectEnd();
  raw.end();
}

/** Runs while another peer talks to the same server, which must go on answering. */
async function besidesAnother(server: ServerProcess, run: () => Promise<void>): Promise<void> {
  const other = await server.open();
  let answers = 0;
  let isDone = false;
  const talk = async (): Promise<void> => {
    while (!isDone) {
      other.write(clientFrame(TEXT | RSV1, deflated('are you there?')));
      await other.expectFrame(TEXT, '14');
      answers++;
    }
  };
  const talked = talk();
  talked.catch(() => {});
  await run();
  isDone = true;
  await talked;
  assert.ok(answers > 0);
  other.destroy();
}

const bombs = [
  // 112 MiB in a payload that is inflated on the calling thread, 1 GiB in one that another thread inflates.
  { what: '112 MiB', payload: bomb(7) },
  { what: '1 GiB', payload: bomb(64) },
] as const;

for (const takeover of [false, true]) {
  for (const { what, payload } of bombs) {
    for (const frames of [1, 1_000]) {
      const name = `${what} in ${frames} frames, takeover ${takeover}`;
      test(`fault 70: a bomb of 1000 to 1, ${name}: 1009, and memory for the limit only`, async (t) => {
        const inflatedBytes = Number.parseInt(what, 10) * (what.endsWith('GiB') ? 1024 * MiB : MiB);
        assert.ok(inflatedBytes / payload.length > 1_000);
        const server = await ServerProcess.start(t, { compression: { takeover }, limits });
        const first = await server.open();
        for (let round = 0; round < 20; round++) {
          first.write(clientFrame(BINARY | RSV1, deflated(Buffer.alloc(40_000, round))));
          await first.expectFrame(TEXT, '40000');
        }
        const { peakBytes: before } = await server.report();
        await besidesAnother(server, () => explode(server, inFrames(payload, frames)));
        const { peakBytes: after } = await server.report();
        const growth = after - before;
        assert.ok(growth <= LIMIT + 64 * 1024 + NOISE, `${(growth / MiB).toFixed(1)} MiB`);
        first.write(clientFrame(TEXT | RSV1, deflated('unharmed')));
        await first.expectFrame(TEXT, '8');
        first.destroy();
      });
    }
  }
}

test('fault 70: bombs that come together, or are larger, take no more', async (t) => {
  const server = await ServerProcess.start(t, { compression: true, limits });
  const gigabyte = inFrames(bomb(64), 1);
  await besidesAnother(server, async () => {
    await Promise.all(Array.from({ length: 10 }, () => explode(server, gigabyte)));
  });
  // The one beside them ended in its own way.
  const ends = (await server.ends(11)).filter((end) => end !== 'CONNECTION_LOST');
  assert.deepEqual(ends, Array(10).fill('MESSAGE_TOO_BIG'));
  const { peakBytes: before } = await server.report();
  // Two threads inflate, and what has failed may wait to be collected.
  assert.ok(before < 256 * MiB, `${before / MiB} MiB`);
  const larger = inFrames(bomb(256), 1_000);
  await besidesAnother(server, async () => {
    for (let at = 0; at < 3; at++) await explode(server, larger);
  });
  const { peakBytes: after } = await server.report();
  assert.ok(after - before < LIMIT + NOISE, `${(after - before) / MiB} MiB`);
});

test('fault 70: above 64 KiB a message may inflate to a multiple of its size only', async (t) => {
  const server = await ServerProcess.start(t, {
    compression: true,
    limits: { maxMessageBytes: LIMIT, maxInflationRatio: 100 },
  });
  const raw = await server.open();
  const answered = async (bytes: Buffer): Promise<void> => {
    raw.write(clientFrame(BINARY | RSV1, deflated(bytes, { level: 9 })));
    await raw.expectFrame(TEXT, `${bytes.length}`);
  };
  // 65,536 zeros are some 80 bytes.
  await answered(Buffer.alloc(65_536));
  await answered(Buffer.concat([randomBytes(6_000), Buffer.alloc(590_000)]));
  // On another thread.
  await answered(Buffer.concat([randomBytes(140_000), Buffer.alloc(13_000_000)]));
  await explode(server, inFrames(deflated(Buffer.alloc(65_537), { level: 9 }), 1));
  await explode(server, inFrames(bomb(1), 1));
  await explode(server, inFrames(bomb(1), 1_000));
  assert.deepEqual(await server.ends(3), Array(3).fill('INFLATION_RATIO'));
  raw.destroy();
});

test('fault 70: who sends a bomb sees 1009', async (t) => {
  const server = await ServerProcess.start(t, { compression: true, limits });
  for (const [bytes, code] of [
    [LIMIT, undefined],
    [LIMIT + 1, 1009],
    [4 * LIMIT, 1009],
  ] as const) {
    const inbox = new Mailbox<Message>();
    const peer = await dialTo(t, `ws://127.0.0.1:${server.port}`, {
      compression: { level: 9 },
      limits: { maxBufferedBytes: Infinity },
      message: (_, message) => inbox.put(message),
    });
    peer.send(Buffer.alloc(bytes));
    if (code === undefined) assert.equal(await inbox.next(), `${bytes}`);
    else assert.equal((await within('the end', peer.closed)).code, code);
  }
});

test('fault 70: a bomb for a client', async () => {
  for (const [times, maxInflationRatio, expected] of [
    [2, 200, 'INFLATION_RATIO'],
    [2, 2_000, 'MESSAGE_TOO_BIG'],
    [16, 2_000, 'MESSAGE_TOO_BIG'],
  ] as const) {
    for (const takeover of [false, true]) {
      const { messages, errorCode } = await withCompressing(
        takeover ? 'permessage-deflate' : NO_TAKEOVER,
        async (raw) => {
          raw.write(serverFrame(BINARY | RSV1, bomb(times)));
          assert.equal(await readClose(raw), 1009);
          await raw.expectEnd();
          raw.end();
        },
        { compression: { takeover }, limits: { maxMessageBytes: LIMIT, maxInflationRatio } },
      );
      assert.deepEqual(messages, []);
      assert.equal(errorCode, expected);
    }
  }
});
