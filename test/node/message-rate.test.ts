import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type Limits } from '../../dist/index.js';
import { expectFailure, withApplication } from '../faults/application.ts';
import { dialHttp2, startHttp2 } from '../faults/http2-peer.ts';
import {
  CLOSE,
  CONTINUED,
  clientFrame,
  closeCodeOf,
  closePayload,
  FINISHED,
  PING,
  PONG,
  serverFrame,
  TEXT,
  TEXT_BEGUN,
} from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { within } from '../faults/raw-socket.ts';
import { testOverHttp1 } from '../faults/transport.ts';
import { dialTo, startServer } from './connections.ts';

/** Nothing comes back within a test. */
const limits: Partial<Limits> = { messagesPerSecond: 1, messageBurst: 1_000_000 };
const burstOf = (messageBurst: number): Partial<Limits> => ({ ...limits, messageBurst });

function texts(count: number): Buffer[] {
  return Array.from({ length: count }, () => clientFrame(TEXT, 'x'));
}

testOverHttp1('as many at once as the burst, and one past it fails with 1008', async (over) => {
  // One a second: on a slow machine one more may have come back.
  await withApplication({ over, limits: burstOf(50) }, async (application) => {
    const raw = await application.open();
    raw.write(...texts(50));
    for (let i = 0; i < 50; i++) await raw.expectFrame(TEXT, 'x');
    raw.write(clientFrame(PING));
    await raw.expectFrame(PONG);
    assert.equal(application.closes.length, 0);
    raw.destroy();
    await application.until('its end', () => application.closes.length === 1);

    application.forget();
    const flood = await application.open();
    flood.write(...texts(1_000));
    let echoed = 0;
    let frame = await flood.readFrame();
    for (; frame.first === TEXT; frame = await flood.readFrame()) echoed++;
    assert.equal(frame.first, CLOSE);
    assert.equal(closeCodeOf(frame.payload), 1008);
    assert.ok(echoed >= 50 && echoed < 60, `${echoed} messages`);
    await flood.expectEnd();
    flood.end();
    await application.until('its end', () => application.closes.length === 2);
    assert.equal(application.closes[1]?.errorCode, 'MESSAGE_FLOOD');
  });
});

test('the fragments of a message are one, and control frames none', async () => {
  await withApplication({ limits: burstOf(1), route: { ping(): void {} } }, async (application) => {
    const message = [clientFrame(TEXT_BEGUN, 'a'), clientFrame(PING), clientFrame(CONTINUED, 'b')];
    const whole = [...message, clientFrame(FINISHED, 'c')];
    const raw = await application.open();
    raw.write(...whole, clientFrame(PING), clientFrame(CLOSE, closePayload(1000)));
    await raw.expectFrame(PONG);
    await raw.expectFrame(TEXT, 'abc');
    await raw.expectFrame(PONG);
    await raw.expectClose(1000);
    raw.end();
    await application.until('its end', () => application.closes.length === 1);
    const twice = Buffer.concat([...texts(1), ...texts(1)]);
    await expectFailure(application, twice, 1008, ['text x']);
  });
});

test('who keeps to the rate goes on for as long as it likes', async () => {
  const steady = { messagesPerSecond: 20, messageBurst: 1 };
  await withApplication({ limits: steady }, async (application) => {
    const raw = await application.open();
    for (let i = 0; i < 10; i++) {
      raw.write(clientFrame(TEXT, 'x'));
      await raw.expectFrame(TEXT, 'x');
      // Twice as long as it has to wait.
      await delay(100);
    }
    await application.expectEvents('upgrade', 'open', ...Array<string>(10).fill('text x'));
  });
});

test('each peer has its own, and a route may have another', async (t) => {
  const route = {
    message(peer: { send(data: string): boolean }): void {
      peer.send('heard');
    },
  };
  const server = await startServer(t, {
    routes: {
      '/': route,
      '/patient': { ...route, limits: { messagesPerSecond: Infinity } },
    },
    limits: burstOf(2),
  });
  const [one, two, patient] = [
    await dialTo(t, server.url),
    await dialTo(t, server.url),
    await dialTo(t, `${server.url}/patient`),
  ];
  for (let i = 0; i < 10; i++) one.send('x');
  for (let i = 0; i < 500; i++) patient.send('x');
  assert.equal((await within('the end', one.closed)).code, 1008);
  two.send('x');
  const reader = two[Symbol.asyncIterator]();
  assert.equal((await reader.next()).value, 'heard');
  let heard = 0;
  for await (const _ of patient) if (++heard === 500) break;
  assert.equal(heard, 500);
});

test('streams of one HTTP/2 session each have their own', async (t) => {
  const server = await startHttp2(t, false, { routes: { '/': {} }, limits: burstOf(2) });
  const session = await dialHttp2(t, server.port, false);
  const [one, two] = [await session.open(), await session.open()];
  two.write(...texts(2), clientFrame(PING));
  await two.expectFrame(PONG);
  one.write(...texts(10));
  await one.expectClose(1008);
  one.end();
  two.write(clientFrame(PING));
  await two.expectFrame(PONG);
});

test('compressed messages count as others do', async (t) => {
  const server = await startServer(t, {
    routes: { '/': {} },
    compression: true,
    limits: burstOf(3),
  });
  const client = await dialTo(t, server.url, { compression: { threshold: 0 } });
  for (let i = 0; i < 10; i++) client.send('some text that is compressed');
  const { code } = await within('the end', client.closed);
  assert.equal(code, 1008);
  assert.ok(server.metrics().messages.received <= 4);
});

test('a client may be as strict with its server', async () => {
  await withRawServer(
    {
      async answer(raw, request) {
        raw.write(switching(request), ...Array<Buffer>(5).fill(serverFrame(TEXT, 'x')));
        const close = await raw.readFrame();
        assert.equal(closeCodeOf(close.payload), 1008);
        raw.end();
        await raw.expectEnd();
      },
    },
    async (url) => {
      let heard = 0;
      const peer = await connect(url, { limits: burstOf(2), message: () => void heard++ });
      const { error } = await within('the end', peer.closed);
      assert.equal(error?.code, 'MESSAGE_FLOOD');
      assert.ok(heard === 2 || heard === 3, `${heard} messages`);
    },
  );
});
