import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { type Limits, prepareMessage, type SlowPeerPolicy } from '../../dist/index.js';
import { ClientPeer } from '../../dist/node/peer.js';
import { PeerSession } from '../../dist/node/peer-session.js';
import { numbered, Receiver } from './compressed-peer.ts';
import { compressingSettings, untilThreadsAreDone } from './compressing-session.ts';
import { FakeSocket } from './fake-socket.ts';

/** A server's session on a socket whose other side the test plays. */
function slowSession(
  slowPeers: SlowPeerPolicy,
  limits: Partial<Limits>,
  takeover: boolean,
): { socket: FakeSocket; peer: ClientPeer } {
  const socket = new FakeSocket();
  const settings = { ...compressingSettings({ takeover, threshold: 16, limits }), slowPeers };
  const session = new PeerSession<ClientPeer>(socket, '', settings, (made) => new ClientPeer(made));
  session.open(Buffer.alloc(0), Buffer.alloc(0), undefined);
  return { socket, peer: session.peer };
}

const NO_TAKEOVER = 'server_no_context_takeover';

for (const slowPeers of ['drop', 'latest'] satisfies SlowPeerPolicy[]) {
  for (const takeover of [false, true]) {
    test(`${slowPeers}: what a slow peer gets inflates, in order, takeover ${takeover}`, async () => {
      const sizes = fc.oneof(
        fc.integer({ min: 4, max: 3_000 }),
        fc.integer({ min: 10_000, max: 60_000 }),
        fc.integer({ min: 65_000, max: 200_000 }),
      );
      const messages = fc.record({
        size: sizes,
        kind: fc.constantFrom('text', 'bytes', 'noise', 'prepared', 'plain'),
      });
      const steps = fc.array(fc.oneof(messages, fc.constantFrom('accept', 'turn', 'threads')), {
        maxLength: 50,
      });
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const { socket, peer } = slowSession(
            slowPeers,
            { highWaterMarkBytes: 4_000, maxBufferedBytes: 60_000 },
            takeover,
          );
          socket.atOnce = false;
          const sent: Buffer[] = [];
          for (const now of program) {
            if (now === 'accept') await socket.accept();
            else if (now === 'turn') await nextTurn();
            else if (now === 'threads') await untilThreadsAreDone();
            else {
              const { size, kind } = now as { size: number; kind: string };
              const text = numbered(sent.length, size);
              const noise = Buffer.concat([Buffer.from(`${sent.length}:`), randomBytes(size)]);
              const data = kind === 'noise' ? noise : Buffer.from(text);
              sent.push(data);
              if (kind === 'text') peer.send(text);
              else if (kind === 'prepared') peer.send(prepareMessage(data));
              else peer.send(data, { compress: kind !== 'plain' });
            }
          }
          for (let round = 0; round < 3; round++) {
            await untilThreadsAreDone();
            await nextTurn();
            await socket.takeAll();
          }
          assert.equal(peer.bufferedAmount, 0);
          const accepted = takeover ? '' : NO_TAKEOVER;
          const receiver = new Receiver({ readFrame: assert.fail }, accepted);
          const numbers = socket.frames().map((frame) => {
            const { message } = receiver.take(frame);
            const number = Number.parseInt(message.toString('latin1', 0, 10), 10);
            assert.ok(message.equals(sent[number] as Buffer));
            return number;
          });
          assert.deepEqual(
            numbers,
            [...new Set(numbers)].sort((a, b) => a - b),
          );
          assert.equal(numbers.length + peer.dropped, sent.length);
          if (slowPeers === 'latest' && sent.length > 0)
            assert.equal(numbers.at(-1), sent.length - 1);
          peer.terminate();
        }),
        { numRuns: 60 },
      );
    });
  }
}

test('latest with takeover: what was taken back is not referred to', async () => {
  const { socket, peer } = slowSession(
    'latest',
    { highWaterMarkBytes: 100, maxBufferedBytes: 1_000 },
    true,
  );
  const receiver = new Receiver({ readFrame: assert.fail }, '');
  let taken = 0;
  let last = '';
  for (let round = 0; round < 20; round++) {
    socket.atOnce = false;
    for (let at = 0; at < 30; at++) {
      last = numbered(round * 30 + at, 500);
      peer.send(last);
    }
    await socket.takeAll();
    const messages = socket
      .frames()
      .slice(taken)
      .map((frame) => {
        taken++;
        return receiver.take(frame).message.toString();
      });
    assert.equal(messages.at(-1), last);
  }
  assert.ok(peer.dropped > 100, `${peer.dropped}`);
  assert.equal(taken + peer.dropped, 600);
  assert.ok(receiver.compressed > 20, `${receiver.compressed}`);
});
