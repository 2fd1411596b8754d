import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import type { SlowPeerPolicy } from '../../dist/index.js';
import { BINARY, CLOSE, clientFrame, closeCodeOf, PING, PONG, TEXT } from '../faults/raw-frames.ts';
import { within } from '../faults/raw-socket.ts';
import { fakeSession } from './fake-session.ts';

const small = { highWaterMarkBytes: 1_000, maxBufferedBytes: 10_000 };

describe('a peer that takes nothing', () => {
  test('close: it is closed with 1013, and what it was sent before goes first', async () => {
    const closes: [number, string][] = [];
    const { socket, peer, closed } = fakeSession({
      limits: small,
      handlers: { close: (_, code, reason) => void closes.push([code, reason]) },
    });
    socket.atOnce = false;
    let sent = 0;
    while (peer.state === 'open') {
      peer.send(Buffer.alloc(500, sent));
      sent++;
    }
    assert.ok(peer.bufferedAmount <= 10_200, `${peer.bufferedAmount}`);
    assert.equal(peer.send('more'), false);
    await socket.takeAll();
    const frames = socket.frames();
    const last = frames.pop();
    assert.equal(last?.first, CLOSE);
    assert.equal(closeCodeOf(last.payload), 1013);
    assert.deepEqual(
      frames.map(({ payload }) => payload[0]),
      [...Array(sent - 1).keys()],
    );
    assert.ok(socket.writableEnded, 'the close frame is the last');
    socket.push(null);
    const info = await within('the end', closed);
    assert.equal(info.code, 1013);
    assert.equal(info.error?.code, 'SEND_BUFFER_FULL');
    assert.deepEqual(
      closes.map(([code]) => code),
      [1013],
    );
  });

  test('drop: the new message is dropped and counted, and drain follows', async () => {
    let drains = 0;
    const { socket, peer, dropped } = fakeSession({
      limits: small,
      slowPeers: 'drop',
      handlers: {
        drain() {
          drains++;
        },
      },
    });
    socket.atOnce = false;
    const results = Array.from({ length: 100 }, (_, at) => peer.send(Buffer.alloc(500, at)));
    assert.equal(peer.state, 'open');
    assert.ok(peer.dropped > 0);
    assert.equal(dropped(), peer.dropped);
    assert.equal(results.at(-1), false);
    assert.equal(drains, 0);
    await socket.takeAll();
    assert.equal(drains, 1);
    const delivered = socket.frames().map(({ payload }) => payload[0]);
    assert.deepEqual(delivered, [...Array(100 - peer.dropped).keys()]);
    assert.equal(peer.send('again'), true);
  });

  test('latest: what waits is dropped for the new message', async () => {
    const { socket, peer, dropped } = fakeSession({ limits: small, slowPeers: 'latest' });
    socket.atOnce = false;
    for (let at = 0; at < 100; at++) {
      peer.send(Buffer.alloc(500, at));
      assert.ok(peer.bufferedAmount <= 11_000, `${peer.bufferedAmount}`);
    }
    await socket.takeAll();
    const delivered = socket.frames().map(({ payload }) => payload[0]);
    assert.equal(delivered.at(-1), 99);
    assert.equal(delivered.length + peer.dropped, 100);
    assert.equal(dropped(), peer.dropped);
  });

  test('a message larger than the limit goes out where nothing waits', async () => {
    const { socket, peer } = fakeSession({ limits: small });
    peer.send(Buffer.alloc(50_000));
    assert.equal(peer.state, 'open');
    assert.equal(socket.frames().length, 1);
  });

  for (const slowPeers of ['drop', 'latest'] satisfies SlowPeerPolicy[]) {
    test(`${slowPeers}: whole frames only, in order, and each message is sent or counted`, async () => {
      const sizes = fc.oneof(
        fc.integer({ min: 4, max: 2_000 }),
        fc.integer({ min: 10_000, max: 80_000 }),
        fc.integer({ min: 80_000, max: 400_000 }),
      );
      const steps = fc.array(fc.oneof(sizes, fc.constantFrom('accept', 'turn', 'ping')), {
        maxLength: 60,
      });
      await fc.assert(
        fc.asyncProperty(steps, async (program) => {
          const { socket, peer } = fakeSession({
            limits: { highWaterMarkBytes: 70_000, maxBufferedBytes: 300_000 },
            slowPeers,
          });
          socket.atOnce = false;
          let sent = 0;
          for (const now of program) {
            if (now === 'accept') await socket.accept();
            else if (now === 'turn') await nextTurn();
            else if (now === 'ping') peer.ping();
            else {
              const message = Buffer.alloc(now as number);
              message.writeUInt32BE(sent++);
              peer.send(message);
            }
          }
          await nextTurn();
          await socket.takeAll();
          await nextTurn();
          await socket.takeAll();
          assert.equal(peer.bufferedAmount, 0);
          const delivered = socket
            .frames()
            .filter(({ first }) => first === BINARY)
            .map(({ payload }) => payload.readUInt32BE());
          assert.deepEqual(
            delivered,
            [...delivered].sort((a, b) => a - b),
          );
          assert.equal(delivered.length + peer.dropped, sent);
          if (slowPeers === 'latest' && sent > 0) assert.equal(delivered.at(-1), sent - 1);
          peer.terminate();
        }),
        { numRuns: 100 },
      );
    });
  }
});

test('drain follows each time that send returned false', async () => {
  let drains = 0;
  const { socket, peer } = fakeSession({
    limits: { highWaterMarkBytes: 1_000, maxBufferedBytes: 100_000 },
    handlers: {
      drain(drained) {
        drains++;
        assert.ok(drained.bufferedAmount <= 500);
      },
    },
  });
  for (let cycle = 1; cycle <= 300; cycle++) {
    socket.atOnce = false;
    const size = 1 + ((cycle * 37) % 700);
    while (peer.send(Buffer.alloc(size)));
    // Sometimes more, although it was told to wait.
    for (let more = cycle % 3; more > 0; more--) peer.send(Buffer.alloc(size));
    if (cycle % 2 === 0) await nextTurn();
    assert.equal(drains, cycle - 1);
    await socket.takeAll();
    await nextTurn();
    assert.equal(drains, cycle, `cycle ${cycle}`);
    assert.equal(peer.bufferedAmount, 0);
  }
});

test('what drain sends goes out, and drain comes again', async () => {
  let left = 50;
  let drains = 0;
  const { socket, peer } = fakeSession({
    limits: small,
    handlers: {
      drain(drained) {
        drains++;
        while (left > 0 && drained.send(Buffer.alloc(400, left--)));
      },
    },
  });
  socket.atOnce = false;
  while (left > 0 && peer.send(Buffer.alloc(400, left--)));
  while (await socket.accept()) await nextTurn();
  assert.equal(left, 0);
  assert.ok(drains > 10, `${drains}`);
  assert.equal(socket.frames().length, 50);
});

describe('pings and a peer that takes data slowly', () => {
  test('the pong of the latest ping follows when the socket is free', async () => {
    const { socket, peer } = fakeSession({});
    socket.atOnce = false;
    peer.send('first');
    await nextTurn();
    for (const payload of ['a', 'b', 'c']) socket.push(clientFrame(PING, payload));
    await nextTurn();
    await socket.takeAll();
    const frames = socket.frames().map(({ first, payload }) => [first, String(payload)]);
    assert.deepEqual(frames, [
      [TEXT, 'first'],
      [PONG, 'c'],
    ]);
  });
});

describe('time', () => {
  let clock = 0;

  beforeEach(() => {
    clock = 1_000_000;
    mock.method(performance, 'now', () => clock);
  });

  afterEach(() => mock.restoreAll());

  const limits = { pingAfterMs: 10_000, pingTimeoutMs: 10_000, stallTimeoutMs: 30_000 };

  test('a peer that takes a piece every few seconds is alive, though it never says a word', async () => {
    const { socket, session, peer } = fakeSession({
      limits: { ...limits, maxBufferedBytes: 50_000_000 },
    });
    socket.atOnce = false;
    peer.send(Buffer.alloc(20_000_000));
    for (let second = 0; second < 150; second++) {
      clock += 1_000;
      if (second % 3 === 0) assert.ok(await socket.accept());
      session.wake(clock);
    }
    assert.equal(peer.state, 'open');
    peer.terminate();
  });

  test('a peer whose pings are dropped for newer messages is not held dead', async () => {
    const { socket, session, peer } = fakeSession({
      limits: { ...limits, ...small },
      slowPeers: 'latest',
    });
    socket.atOnce = false;
    for (let tick = 0; tick < 1_000; tick++) {
      clock += 100;
      for (let at = 0; at < 30; at++) peer.send(Buffer.alloc(500));
      await socket.accept();
      session.wake(clock);
      for (let at = 0; at < 30; at++) peer.send(Buffer.alloc(500));
    }
    assert.equal(peer.state, 'open');
    peer.terminate();
  });

  test('a peer that takes nothing at all is cut off', async () => {
    const { socket, session, peer, closed } = fakeSession({
      limits: { ...limits, pingAfterMs: 1_000_000 },
    });
    socket.atOnce = false;
    peer.send('never taken');
    await nextTurn();
    clock += 29_000;
    session.wake(clock);
    assert.equal(peer.state, 'open');
    clock += 2_000;
    session.wake(clock);
    const info = await within('the end', closed);
    assert.equal(info.code, 1006);
    assert.equal(info.error?.code, 'SEND_STALLED');
  });

  test('a stall is counted from the write that waits, not from the first', async () => {
    const { socket, session, peer } = fakeSession({
      limits: { ...limits, pingAfterMs: 1_000_000 },
    });
    socket.atOnce = false;
    for (let at = 0; at < 10; at++) {
      peer.send('slow');
      await nextTurn();
      clock += 20_000;
      session.wake(clock);
      assert.equal(peer.state, 'open', `write ${at}`);
      await socket.accept();
    }
    peer.terminate();
  });

  test('a silent peer is pinged, then held dead; any byte counts as life', async () => {
    const { socket, session, peer, closed } = fakeSession({ limits });
    clock += 12_500;
    session.wake(clock);
    assert.deepEqual(socket.frames(), [{ first: PING, payload: Buffer.alloc(0) }]);
    clock += 9_000;
    socket.push(clientFrame(TEXT, 'no pong, but here').subarray(0, 1));
    await nextTurn();
    clock += 5_000;
    session.wake(clock);
    assert.equal(peer.state, 'open');
    clock += 8_000;
    session.wake(clock);
    assert.equal(socket.frames().length, 2);
    clock += 10_100;
    session.wake(clock);
    const info = await within('the end', closed);
    assert.equal(info.error?.code, 'PING_TIMEOUT');
    assert.equal(info.code, 1006);
  });
});
