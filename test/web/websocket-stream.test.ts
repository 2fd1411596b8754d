/** Our WebSocketStream over Node's sockets: by the specification, and what it does beyond. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { after, before, suite, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { ApertoError, WebSocketError, WebSocketStream } from '../../dist/index.js';
import { CLOSE, closePayload, serverFrame } from '../faults/raw-frames.ts';
import { switching, withRawServer } from '../faults/raw-server.ts';
import { within } from '../faults/raw-socket.ts';
import { startServer } from '../node/connections.ts';
import { ConformanceServer } from './conformance-server.ts';
import type { Surroundings } from './stream-case.ts';
import { observe, streamCases } from './stream-cases.ts';

suite('the specification', () => {
  let server: ConformanceServer;
  before(async () => {
    server = await ConformanceServer.start();
  });
  after(() => server[Symbol.asyncDispose]());

  for (const { name, expected } of streamCases) {
    test(name, async () => {
      // Cases hand them what their types do not allow.
      const untyped = { WebSocketStream, WebSocketError } as unknown as Surroundings;
      const surroundings = { ...untyped, server: `http://${server.host}` };
      const seen = await observe(surroundings, (one) => one === name);
      assert.deepEqual(seen[name], expected);
    });
  }
});

async function rejection(promise: Promise<unknown>): Promise<WebSocketError> {
  const error = await within(
    'a rejection',
    promise.then(
      () => assert.fail('it did not reject'),
      (reason: unknown) => reason,
    ),
  );
  assert.ok(error instanceof WebSocketError, `${String(error)} is no WebSocketError`);
  return error;
}

/** Where a stream opens, closed with the test. */
async function openTo(
  t: TestContext,
  url: string,
  options: ConstructorParameters<typeof WebSocketStream>[1] = {},
) {
  const stream = new WebSocketStream(url, options);
  t.after(() => stream.close());
  const { readable, writable, ...rest } = await within('the connection', stream.opened);
  return { stream, reader: readable.getReader(), writer: writable.getWriter(), ...rest };
}

suite('why', () => {
  test('the cause of a failed connection is known', async (t) => {
    const server = await startServer(t, { routes: {} });
    const stream = new WebSocketStream(server.url);
    for (const promise of [stream.opened, stream.closed]) {
      const { cause, message } = await rejection(promise);
      assert.ok(cause instanceof ApertoError);
      assert.equal(cause.code, 'STATUS_NOT_101');
      assert.equal(cause.response?.status, 404);
      assert.ok(message.includes(cause.message), message);
    }
  });

  test('the cause of a broken one is, too', async (t) => {
    const server = await startServer(t, {
      routes: { '/': { open: (peer) => void peer.send('x'.repeat(11)) } },
    });
    const { stream } = await openTo(t, server.url, { limits: { maxMessageBytes: 10 } });
    const { cause, closeCode } = await rejection(stream.closed);
    assert.ok(cause instanceof ApertoError);
    assert.equal(cause.code, 'MESSAGE_TOO_BIG');
    assert.equal(closeCode, 1006);
  });

  test('a close that is our own has none', async () => {
    const stream = new WebSocketStream('ws://127.0.0.1:9');
    stream.close();
    assert.ok(!('cause' in (await rejection(stream.opened))));
  });

  test('nobody has to look at it', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', onUnhandled);
    const stream = new WebSocketStream('ws://127.0.0.1:9');
    await assert.rejects(stream.opened);
    new WebSocketStream('ws://127.0.0.1:9', { signal: AbortSignal.abort() });
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off('unhandledRejection', onUnhandled);
    assert.deepEqual(unhandled, []);
  });
});

suite('the options', () => {
  test('headers are sent', async (t) => {
    const seen: unknown[] = [];
    const server = await startServer(t, {
      routes: { '/': { upgrade: ({ headers }) => void seen.push(headers['x-room']) } },
    });
    await openTo(t, server.url, { headers: { 'X-Room': 'lobby' } });
    assert.deepEqual(seen, ['lobby']);
  });

  test('what they must not have throws at once', () => {
    const isOf =
      (code: string) =>
      (error: unknown): boolean =>
        error instanceof ApertoError && error.code === code;
    const url = 'ws://127.0.0.1:9';
    assert.throws(
      () => new WebSocketStream(url, { headers: { 'a b': '' } }),
      isOf('INVALID_HEADER'),
    );
    assert.throws(
      () => new WebSocketStream(url, { limits: { maxMessageBytes: 0 } }),
      isOf('INVALID_OPTION'),
    );
  });

  test('the signal is left alone once the connection is open, refused or given up', async (t) => {
    const server = await startServer(t, { routes: { '/': {} } });
    const { signal } = new AbortController();
    await openTo(t, server.url, { signal });
    await rejection(new WebSocketStream(`${server.url}/nowhere`, { signal }).opened);
    assert.equal(getEventListeners(signal, 'abort').length, 0);
    const controller = new AbortController();
    const stream = new WebSocketStream(server.url, { signal: controller.signal });
    controller.abort();
    await assert.rejects(stream.opened, { name: 'AbortError' });
    assert.equal(getEventListeners(controller.signal, 'abort').length, 0);
  });
});

suite('messages', () => {
  const echo = {
    '/': {
      message: (peer: { send(data: string | Uint8Array): unknown }, data: string | Uint8Array) =>
        void peer.send(data),
    },
  };

  for (const compression of [true, false]) {
    test(`of every size come back, ${compression ? 'compressed' : 'not compressed'}`, async (t) => {
      const limits = {
        maxMessageBytes: 5_000_000,
        maxBufferedBytes: 10_000_000,
        maxInflationRatio: 10_000,
      };
      const server = await startServer(t, { compression, limits, routes: echo });
      const { reader, writer, extensions } = await openTo(t, server.url, { compression, limits });
      assert.equal(extensions !== '', compression);
      for (const size of [0, 1, 125, 126, 65_535, 65_536, 300_000, 3_000_000]) {
        const bytes = new Uint8Array(size).map((_, at) => at * 7);
        const text = 'a\u00e9'.repeat(size / 2);
        const written = Promise.all([writer.write(bytes), writer.write(text)]);
        const { value } = await within('bytes', reader.read());
        assert.ok(isDeepStrictEqual(value, bytes), `${size} bytes`);
        const { value: again } = await within('text', reader.read());
        assert.ok(again === text, `${size} characters`);
        await within('the writes', written);
      }
    });
  }

  test('binary ones are plain', async (t) => {
    const server = await startServer(t, { routes: echo });
    const { reader, writer } = await openTo(t, server.url);
    await writer.write(new Uint8Array(3));
    const { value } = await within('bytes', reader.read());
    assert.ok(value instanceof Uint8Array);
    assert.equal(value.constructor, Uint8Array);
  });

  test('may be changed once they are written', async (t) => {
    const server = await startServer(t, { routes: echo });
    const { reader, writer } = await openTo(t, server.url);
    const bytes = new Uint8Array(300_000).fill(1);
    const written = writer.write(bytes);
    await Promise.resolve();
    bytes.fill(2);
    await within('the write', written);
    const { value } = await within('bytes', reader.read());
    assert.ok(isDeepStrictEqual(value, new Uint8Array(300_000).fill(1)));
  });

  test('many small ones in a row need no pause, with any high-water mark', async (t) => {
    let received = 0;
    const server = await startServer(t, {
      routes: {
        '/': {
          message() {
            received++;
          },
        },
      },
    });
    for (const highWaterMarkBytes of [1, 5_000, 65_536, 1_000_000]) {
      const { stream, writer } = await openTo(t, server.url, { limits: { highWaterMarkBytes } });
      received = 0;
      const writeAll = async (): Promise<void> => {
        for (let at = 0; at < 3_000; at++) await writer.write('x'.repeat(100));
        await writer.close();
      };
      await within(`the writes with ${highWaterMarkBytes}`, writeAll());
      assert.deepEqual(await stream.closed, { closeCode: 1005, reason: '' });
      assert.equal(received, 3_000);
    }
  });

  test('a pipe carries them there and back', async (t) => {
    const server = await startServer(t, { routes: echo });
    const stream = new WebSocketStream(server.url);
    const { readable, writable } = await within('the connection', stream.opened);
    const sent = Array.from({ length: 200 }, (_, at) => `${at} ${'x'.repeat(at * 100)}`);
    const piped = new ReadableStream<string>({
      start(controller) {
        for (const message of sent) controller.enqueue(message);
        controller.close();
      },
    }).pipeTo(writable, { preventClose: true });
    const received: unknown[] = [];
    for await (const message of readable) {
      received.push(message);
      // It is cancelled, which closes the connection.
      if (received.length === sent.length) break;
    }
    await within('the pipe', piped);
    assert.deepEqual(received, sent);
    assert.deepEqual(await within('the end', stream.closed), { closeCode: 1005, reason: '' });
  });
});

suite('the end', () => {
  test('a write that has to wait until the end makes it unclean, with the code that came', async () => {
    const LARGE = 16 * 1024 * 1024;
    await withRawServer(
      {
        async answer(raw, request) {
          raw.write(Buffer.from(switching(request)));
          // It has seen a part of the message, so that the client has not only begun to connect.
          await raw.readBytes(100_000);
          raw.write(serverFrame(CLOSE, closePayload(4567, 'enough')));
          raw.socket.pause();
        },
      },
      async (url) => {
        const stream = new WebSocketStream(url, {
          compression: false,
          limits: { closeTimeoutMs: 100 },
        });
        const { writable, readable } = await within('the connection', stream.opened);
        const written = writable.getWriter().write(new Uint8Array(LARGE));
        const writeOutcome = written.catch((error: unknown) => error);
        const { closeCode, reason } = await rejection(stream.closed);
        assert.deepEqual([closeCode, reason], [4567, 'enough']);
        const error = await within('the write', writeOutcome);
        assert.ok(error instanceof DOMException);
        assert.deepEqual(await readable.getReader().read(), { done: true, value: undefined });
      },
    );
  });

  test('what came before the connection was lost is discarded, as Streams have it', async (t) => {
    const server = await startServer(t, {
      routes: {
        '/': {
          open(peer) {
            peer.send('unread');
            peer.terminate();
          },
        },
      },
    });
    const { stream, reader } = await openTo(t, server.url);
    const error = await rejection(stream.closed);
    assert.equal(error.closeCode, 1006);
    await assert.rejects(reader.read(), (reason) => reason === error);
  });

  test('the other side closes while a reader waits', async (t) => {
    const server = await startServer(t, {
      routes: { '/': { message: (peer) => peer.close(4000, 'enough') } },
    });
    const { stream, reader, writer } = await openTo(t, server.url);
    const reading = reader.read();
    await writer.write('please');
    assert.deepEqual(await within('the end', reading), { done: true, value: undefined });
    assert.deepEqual(await stream.closed, { closeCode: 4000, reason: 'enough' });
    await assert.rejects(writer.closed, { name: 'InvalidStateError' });
  });
});
