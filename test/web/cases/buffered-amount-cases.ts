import {
  type Case,
  ended,
  eventually,
  type Json,
  next,
  type Socket,
  sleep,
} from '../conformance-case.ts';

/** More than the buffers of two sockets take. */
const MUCH = 8 * 1024 * 1024;

/** What it is right after each of these was sent. */
function grows(
  name: string,
  messages: () => readonly unknown[],
  expected: readonly number[],
): Case {
  return {
    name: `bufferedAmount: ${name}`,
    expected: { sizes: expected, later: true },
    run: async (stage) => {
      const socket = await stage.open();
      const sizes = messages().map((message) => {
        socket.send(message);
        return socket.bufferedAmount;
      });
      return { sizes, later: await eventually(() => socket.bufferedAmount === 0) };
    },
  };
}

async function pass(microtasks: number): Promise<void> {
  for (let round = 0; round < microtasks; round++) await undefined;
}

export const bufferedAmountCases: readonly Case[] = [
  grows('grows by the bytes of UTF-8', () => ['a', 'é', '€', '😀', ''], [1, 3, 6, 10, 10]),
  grows('an unpaired surrogate has three', () => ['\ud800', 'a\udc00'], [3, 7]),
  grows('what is no string counts as the string', () => [null, 12], [4, 6]),
  grows('grows by the length of a buffer', () => [new ArrayBuffer(5), new ArrayBuffer(0)], [5, 5]),
  grows(
    'grows by the length of a view',
    () => [
      new Uint8Array(new ArrayBuffer(100), 10, 5),
      new Int32Array(2),
      new DataView(new ArrayBuffer(9), 1),
    ],
    [5, 13, 21],
  ),
  grows('grows by the size of a Blob', () => [new Blob(['abc']), new Blob([])], [3, 3]),
  grows('one after another', () => [new Blob(['abc']), 'é', Uint8Array.of(1)], [3, 5, 6]),
  {
    name: 'bufferedAmount: does not fall within a task',
    expected: [5, 5, 8, 8],
    run: async (stage) => {
      const socket = await stage.open();
      return await new Promise<Json>((resolve) => {
        // In a task of its own, in which nothing else has been sent.
        setTimeout(async () => {
          const seen: Json[] = [];
          socket.send('abcde');
          seen.push(socket.bufferedAmount);
          await pass(100);
          seen.push(socket.bufferedAmount);
          socket.send('fgh');
          seen.push(socket.bufferedAmount);
          await pass(100);
          seen.push(socket.bufferedAmount);
          resolve(seen);
        }, 0);
      });
    },
  },
  {
    name: 'bufferedAmount: has no overhead of frames when all waits',
    expected: { atOnce: MUCH + 3, meanwhile: true, afterwards: true },
    run: async (stage) => {
      const socket = await stage.open({ steps: ['hold'] });
      socket.send(new Uint8Array(MUCH));
      socket.send('abc');
      const atOnce = socket.bufferedAmount;
      await sleep(20);
      const waiting = socket.bufferedAmount;
      await stage.release();
      const afterwards = await eventually(() => socket.bufferedAmount === 0);
      return { atOnce, meanwhile: waiting > 3 && waiting <= MUCH + 3, afterwards };
    },
  },
  {
    name: 'bufferedAmount: only grows after close()',
    expected: { closing: [2, 5, 6], closed: [6, 6], more: [8, 9] },
    run: async (stage) => {
      const socket = await stage.open();
      socket.close();
      const closing = sizesOf(socket, ['é', new Blob(['abc']), Uint8Array.of(1)]);
      await next(socket, 'close');
      const closed = [socket.bufferedAmount];
      await sleep(10);
      closed.push(socket.bufferedAmount);
      return { closing, closed, more: sizesOf(socket, ['é', new ArrayBuffer(1)]) };
    },
  },
  {
    name: 'bufferedAmount: only grows after the other side has closed',
    expected: [1, 3, 6, 6],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ close: [1000] }] });
      await next(socket, 'close');
      const sizes = sizesOf(socket, ['a', new Blob(['bc']), '€']);
      await sleep(10);
      return [...sizes, socket.bufferedAmount];
    },
  },
  {
    name: 'bufferedAmount: only grows after a failure',
    expected: [0, 1, 2, 2],
    run: async (stage) => {
      const socket = stage.dial({ status: 403 });
      await ended(socket);
      const sizes = [socket.bufferedAmount, ...sizesOf(socket, ['a', Uint8Array.of(1)])];
      await sleep(10);
      return [...sizes, socket.bufferedAmount];
    },
  },
  {
    name: 'bufferedAmount: what waits when the connection ends stays',
    expected: { waiting: true, kept: true },
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', { text: 'held' }, 'hold', 'reset'] });
      socket.send('hold');
      await next(socket, 'message');
      socket.send(new Uint8Array(MUCH));
      await sleep(10);
      const waiting = socket.bufferedAmount > 0;
      const closed = next(socket, 'close');
      await stage.release();
      await closed;
      const kept = socket.bufferedAmount > 0;
      return { waiting, kept };
    },
  },
];

function sizesOf(socket: Socket, messages: readonly unknown[]): number[] {
  return messages.map((message) => {
    socket.send(message);
    return socket.bufferedAmount;
  });
}
