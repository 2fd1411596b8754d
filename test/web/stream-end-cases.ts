import { readAll, type Stage, type Stream, type StreamCase, settlesWithin } from './stream-case.ts';

/** More than sockets take of who does not read. */
const LARGE = 16 * 1024 * 1024;

/** How connections end that are closed in each of these ways. */
async function closings(
  stage: Stage,
  ways: readonly ((stream: Awaited<ReturnType<Stage['open']>>) => unknown)[],
) {
  const streams = await Promise.all(ways.map(() => stage.open()));
  for (const [at, stream] of streams.entries()) ways[at]?.(stream);
  return Promise.all(streams.map(({ closed }) => stage.settled(closed)));
}

const closeCases: readonly StreamCase[] = [
  {
    name: 'close says what it is given, and closed what the other side answers',
    expected: [
      { closeCode: 4000, reason: 'bye' },
      { closeCode: 4001, reason: '' },
      { closeCode: 1000, reason: 'alone' },
      { closeCode: 1005, reason: '' },
      { closeCode: 1005, reason: '' },
      { closeCode: 1005, reason: '' },
      { closeCode: 1005, reason: '' },
      { closeCode: 3000, reason: '\ufffd' },
    ],
    run: (stage) =>
      closings(
        stage,
        [
          [{ closeCode: 4000, reason: 'bye' }],
          [{ closeCode: 4001 }],
          [{ reason: 'alone' }],
          [{ reason: '' }],
          [{}],
          [],
          [null],
          [{ closeCode: '3000', reason: '\udead' }],
        ].map((values) => (stream) => stream.close(...values)),
      ),
  },
  {
    name: 'close without a code sends no body',
    expected: ['88'],
    async run(stage) {
      const stream = await stage.open();
      stream.close();
      return stage.frames();
    },
  },
  {
    name: 'close of what is not legal throws, and closes nothing',
    expected: [
      'TypeError',
      'TypeError',
      'TypeError',
      'DOMException InvalidAccessError',
      'DOMException InvalidAccessError',
      'DOMException SyntaxError',
      'still open',
    ],
    async run(stage) {
      const stream = await stage.open({ steps: ['echo'] });
      const outcomes = [
        true,
        { closeCode: Number.NaN },
        { closeCode: 65_536 },
        { closeCode: 1001 },
        { closeCode: 5000 },
        { reason: 'x'.repeat(124) },
      ].map((value) => stage.outcome(() => stream.close(value)));
      await stream.writable.getWriter().write('still open');
      const { value } = await stream.readable.getReader().read();
      return [...outcomes, value as string];
    },
  },
  {
    name: 'only the first close counts',
    expected: [{ closeCode: 4000, reason: '' }, 'undefined'],
    async run(stage) {
      const stream = await stage.open();
      stream.close({ closeCode: 4000 });
      stream.close({ closeCode: 4001 });
      const closed = await stage.settled(stream.closed);
      return [closed, stage.outcome(() => stream.close({ closeCode: 4002 }))];
    },
  },
  {
    name: 'close during the handshake rejects both',
    expected: [
      ['WebSocketError', null, ''],
      ['WebSocketError', 1006, ''],
    ],
    async run(stage) {
      const stream = stage.dial({ delayed: true });
      stream.close({ closeCode: 4000 });
      return [await stage.settled(stream.opened), await stage.settled(stream.closed)];
    },
  },
  {
    name: 'the other side is asked first: its code and reason count',
    expected: { closeCode: 4222, reason: 'remote' },
    async run(stage) {
      const stream = await stage.open({ steps: [{ close: [4222, 'remote'] }] });
      stream.close({ closeCode: 4111, reason: 'local' });
      return stage.settled(stream.closed);
    },
  },
];

const writerCases: readonly StreamCase[] = [
  {
    name: 'closing the writer closes the connection, and settles when that is closed',
    expected: [false, 'undefined', { closeCode: 1005, reason: '' }, ['81 6c617374', '88']],
    async run(stage) {
      const { writable, closed } = await stage.open({ steps: ['hold'] });
      const writer = writable.getWriter();
      void writer.write('last');
      const closing = writer.close();
      const isEarly = await settlesWithin(50, closing);
      await stage.release();
      return [
        isEarly,
        await stage.settled(closing),
        await stage.settled(closed),
        await stage.frames(),
      ];
    },
  },
  {
    name: 'closing the writer fails where the connection is lost',
    expected: ['WebSocketError', 1006, ''],
    async run(stage) {
      const { writable } = await stage.open({ steps: ['mute', 'read', 'reset'] });
      return stage.settled(writable.getWriter().close());
    },
  },
  {
    name: 'aborting the writer and cancelling the reader take code and reason of a WebSocketError alone',
    expected: Array(2)
      .fill([
        { closeCode: 4000, reason: 'why' },
        { closeCode: 1000, reason: 'why' },
        { closeCode: 1005, reason: '' },
        { closeCode: 1005, reason: '' },
        { closeCode: 1005, reason: '' },
        { closeCode: 1005, reason: '' },
      ])
      .flat(),
    run(stage) {
      const reasons: unknown[] = [
        new stage.WebSocketError('', { closeCode: 4000, reason: 'why' }),
        new stage.WebSocketError('', { reason: 'why' }),
        new stage.WebSocketError('no code'),
        { closeCode: 4000, reason: 'why' },
        new DOMException('why', 'DataCloneError'),
        undefined,
      ];
      return closings(stage, [
        ...reasons.map((reason) => ({ writable }: { writable: WritableStream }) => {
          void writable.abort(reason);
        }),
        ...reasons.map((reason) => ({ readable }: { readable: ReadableStream }) => {
          void readable.cancel(reason);
        }),
      ]);
    },
  },
  {
    name: 'a reason with a code that only a connection has is left out',
    expected: { closeCode: 1005, reason: '' },
    async run(stage) {
      const lost = stage.dial({ status: 403 });
      const reason: unknown = await lost.closed.catch((error: unknown) => error);
      const [end] = await closings(stage, [({ writable }) => void writable.abort(reason)]);
      return end ?? null;
    },
  },
  {
    name: 'cancelling what waits to be read closes cleanly',
    expected: { closeCode: 1005, reason: '' },
    async run(stage) {
      const stream = await stage.open({ steps: ['a', 'b', 'c', 'd'].map((text) => ({ text })) });
      const reader = stream.readable.getReader();
      await reader.read();
      await reader.cancel();
      return stage.settled(stream.closed);
    },
  },
  {
    name: 'a write waits for who does not read, and goes on with them',
    expected: [false, 'undefined', { closeCode: 1005, reason: '' }],
    async run(stage) {
      const stream = await stage.open({ steps: ['hold'] });
      const written = stream.writable.getWriter().write(new Uint8Array(LARGE));
      const isEarly = await settlesWithin(100, written);
      await stage.release();
      const outcome = await stage.settled(written);
      stream.close();
      return [isEarly, outcome, await stage.settled(stream.closed)];
    },
  },
  {
    name: 'a writer can be aborted while a write waits',
    expected: ['not an error: why', 'undefined', { closeCode: 1005, reason: '' }],
    async run(stage) {
      const { writable, closed } = await stage.open({ steps: ['hold'] });
      const writer = writable.getWriter();
      const written = writer.write(new Uint8Array(LARGE));
      written.catch(() => {});
      const hasAborted = writer.abort('why');
      await settlesWithin(100, hasAborted);
      await stage.release();
      return [
        await stage.settled(written),
        await stage.settled(hasAborted),
        await stage.settled(closed),
      ];
    },
  },
  {
    name: 'a write after close is refused, and spoils nothing',
    expected: ['DOMException InvalidStateError', { closeCode: 4000, reason: '' }, ['88 0fa0']],
    async run(stage) {
      const { writable, closed, close } = await stage.open();
      close({ closeCode: 4000 });
      const written = await stage.settled(writable.getWriter().write('late'));
      return [written, await stage.settled(closed), await stage.frames()];
    },
  },
];

/** What there is to see after the end, which comes once the server has read a message where it waits for one. */
async function afterwards(stage: Stage, { opened, closed }: Stream) {
  const { readable, writable } = await opened;
  const writer = writable.getWriter();
  // The other side may have closed already.
  await writer.write('go on').catch(() => {});
  const end = await stage.settled(closed);
  const read = await stage.settled(readAll(readable));
  const outcomes = [writer.write('late'), writer.closed, writer.ready].map((one) =>
    stage.settled(one),
  );
  return [end, read, ...(await Promise.all(outcomes))];
}

const endCases: readonly StreamCase[] = [
  {
    name: 'after the other side has closed the streams are over',
    expected: [
      { closeCode: 1000, reason: '' },
      [],
      ...Array(3).fill('DOMException InvalidStateError'),
    ],
    run: (stage) => afterwards(stage, stage.dial({ steps: [{ close: [1000] }] })),
  },
  {
    name: 'a close frame without a body is 1005',
    expected: { closeCode: 1005, reason: '' },
    run: (stage) => stage.settled(stage.dial({ steps: [{ close: [] }] }).closed),
  },
  {
    name: 'a reason is told',
    expected: { closeCode: 4000, reason: '\u30ed\u30dc\u30c3\u30c8' },
    run: (stage) =>
      stage.settled(stage.dial({ steps: [{ close: [4000, '\u30ed\u30dc\u30c3\u30c8'] }] }).closed),
  },
  {
    name: 'a lost connection is 1006',
    expected: Array(5).fill(['WebSocketError', 1006, '']),
    run: (stage) => afterwards(stage, stage.dial({ steps: ['read', 'reset'] })),
  },
  {
    name: 'a connection that ends without a close frame is 1006',
    expected: Array(5).fill(['WebSocketError', 1006, '']),
    run: (stage) => afterwards(stage, stage.dial({ steps: ['read', 'end'] })),
  },
  {
    name: 'a connection on which the other side breaks the protocol is 1006',
    expected: Array(5).fill(['WebSocketError', 1006, '']),
    run: (stage) => afterwards(stage, stage.dial({ steps: ['read', { bytes: '83 00' }] })),
  },
  {
    name: 'it is one error',
    expected: [true, true],
    async run(stage) {
      const { readable, writable, closed } = await stage.open({ steps: ['read', 'reset'] });
      const writer = writable.getWriter();
      await writer.write('go on');
      const error: unknown = await closed.catch((reason: unknown) => reason);
      const others = [readable.getReader().read(), writer.ready];
      return Promise.all(
        others.map((other) => other.catch((reason: unknown) => reason === error)),
      ).then((same) => same.map((one) => one === true));
    },
  },
];

export const streamEndCases: readonly StreamCase[] = [...closeCases, ...writerCases, ...endCases];
