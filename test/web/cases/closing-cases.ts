import {
  type Case,
  history,
  type Json,
  next,
  outcome,
  type Socket,
  type Stage,
  sleep,
  told,
} from '../conformance-case.ts';

/** A close with these arguments: what the server gets, and the event that its answer brings. */
function closes(
  name: string,
  given: () => readonly unknown[],
  frame: string,
  event: readonly [code: number, reason: string],
): Case {
  return {
    name: `close: ${name}`,
    expected: { frame: `88 ${frame}`.trim(), event: ['close', ...event, true] },
    run: async (stage) => {
      const socket = await stage.open();
      socket.close(...given());
      const event = told(await next(socket, 'close'));
      return { frame: (await stage.frames())[0] ?? null, event };
    },
  };
}

/** A close with these arguments throws, and changes nothing. */
function throws(name: string, given: () => readonly unknown[], expected: string): Case {
  return {
    name: `close: ${name}`,
    expected: [expected, 1, ['81 61', '88 03e8']],
    run: async (stage) => {
      const socket = await stage.open();
      const thrown = outcome(() => socket.close(...given()));
      const { readyState } = socket;
      socket.send('a');
      socket.close(1000);
      return [thrown, readyState, await stage.frames()];
    },
  };
}

const INVALID_ACCESS = 'throws DOMException InvalidAccessError';
const SYNTAX_ERROR = 'throws DOMException SyntaxError';

const codes: readonly Case[] = [
  closes('without a code', () => [], '', [1005, '']),
  closes('undefined is no code', () => [undefined], '', [1005, '']),
  closes('1000', () => [1000], '03e8', [1000, '']),
  closes('3000', () => [3000], '0bb8', [3000, '']),
  closes('4999', () => [4999], '1387', [4999, '']),
  closes("'1000'", () => ['1000'], '03e8', [1000, '']),
  closes('an object that is 3000', () => [{ valueOf: () => 3000 }], '0bb8', [3000, '']),
  closes('1000.4 is rounded', () => [1000.4], '03e8', [1000, '']),
  closes('1000.5 is rounded to the even', () => [1000.5], '03e8', [1000, '']),
  closes('999.5 is rounded to the even', () => [999.5], '03e8', [1000, '']),
  closes('2999.5 is rounded to the even', () => [2999.5], '0bb8', [3000, '']),
  throws('4999.5 is rounded to the even', () => [4999.5], INVALID_ACCESS),
  ...[0, 1, 999, 1001, 1002, 1003, 1005, 1006, 1015, 2999, 5000, 65_535].map((code) =>
    throws(String(code), () => [code], INVALID_ACCESS),
  ),
  throws('-1', () => [-1], INVALID_ACCESS),
  throws('70000', () => [70_000], INVALID_ACCESS),
  throws('66536, which is 1000 modulo 65536', () => [66_536], INVALID_ACCESS),
  throws('NaN', () => [Number.NaN], INVALID_ACCESS),
  throws('Infinity', () => [Number.POSITIVE_INFINITY], INVALID_ACCESS),
  throws('null', () => [null], INVALID_ACCESS),
  throws("''", () => [''], INVALID_ACCESS),
  throws("'text'", () => ['text'], INVALID_ACCESS),
  throws('true', () => [true], INVALID_ACCESS),
  throws('a symbol', () => [Symbol('code')], 'throws TypeError'),
  throws('a bigint', () => [1000n], 'throws TypeError'),
];

const longest = 'r'.repeat(123);

const reasons: readonly Case[] = [
  closes('a reason', () => [3000, 'bye'], '0bb8627965', [3000, 'bye']),
  closes('an empty reason', () => [1000, ''], '03e8', [1000, '']),
  closes('a reason of undefined', () => [1000, undefined], '03e8', [1000, '']),
  closes('a reason of null', () => [1000, null], '03e86e756c6c', [1000, 'null']),
  closes('a reason of a number', () => [1000, 5], '03e835', [1000, '5']),
  closes('a reason alone goes with 1000', () => [undefined, 'bye'], '03e8627965', [1000, 'bye']),
  closes('an empty reason alone', () => [undefined, ''], '', [1005, '']),
  closes('a reason of 123 bytes', () => [1000, longest], `03e8${'72'.repeat(123)}`, [
    1000,
    longest,
  ]),
  closes('a reason of 41 euros', () => [1000, '€'.repeat(41)], `03e8${'e282ac'.repeat(41)}`, [
    1000,
    '€'.repeat(41),
  ]),
  closes('an unpaired surrogate', () => [1000, 'a\ud800'], '03e861efbfbd', [1000, 'a\ufffd']),
  closes(
    '41 unpaired surrogates',
    () => [1000, '\udc00'.repeat(41)],
    `03e8${'efbfbd'.repeat(41)}`,
    [1000, '\ufffd'.repeat(41)],
  ),
  throws('a reason of 124 bytes', () => [1000, `${longest}r`], SYNTAX_ERROR),
  throws('a reason of 62 characters and 124 bytes', () => [1000, 'é'.repeat(62)], SYNTAX_ERROR),
  throws('42 unpaired surrogates', () => [1000, '\ud800'.repeat(42)], SYNTAX_ERROR),
  throws('a reason of 124 bytes alone', () => [undefined, `${longest}r`], SYNTAX_ERROR),
  throws('a reason that is a symbol', () => [1000, Symbol('bye')], 'throws TypeError'),
  throws('the code is judged before the reason', () => [1, `${longest}r`], INVALID_ACCESS),
  throws(
    'the reason is converted before the code is judged',
    () => [1, Symbol('r')],
    'throws TypeError',
  ),
];

/** One that never gets an answer until it is released. */
function connecting(stage: Stage): Socket {
  return stage.dial({ delayed: true });
}

const states: readonly Case[] = [
  {
    name: 'close: while connecting',
    expected: { atOnce: [0, 2], events: ['error', ['close', 1006, '', false]] },
    run: async (stage) => {
      const socket = connecting(stage);
      const events = history(socket);
      const before = socket.readyState;
      socket.close(3000, 'bye');
      return { atOnce: [before, socket.readyState], events: await events };
    },
  },
  {
    name: 'close: while the request waits for its answer',
    expected: { atOnce: [0, 2], events: ['error', ['close', 1006, '', false]] },
    run: async (stage) => {
      const socket = connecting(stage);
      const events = history(socket);
      await sleep(30);
      const before = socket.readyState;
      socket.close();
      const after = socket.readyState;
      const all = await events;
      await stage.release();
      return { atOnce: [before, after], events: all };
    },
  },
  {
    name: 'close: while connecting, its events come in a later task',
    expected: [],
    run: async (stage) => {
      const seen: Json[] = [];
      const socket = connecting(stage);
      socket.onerror = () => seen.push('error');
      socket.onclose = () => seen.push('close');
      socket.close();
      for (let round = 0; round < 50; round++) await undefined;
      return [...seen];
    },
  },
  {
    name: 'close: while connecting, wrong arguments throw',
    expected: [INVALID_ACCESS, SYNTAX_ERROR, 0],
    run: (stage) => {
      const socket = connecting(stage);
      return [
        outcome(() => socket.close(1001)),
        outcome(() => socket.close(1000, `${longest}r`)),
        socket.readyState,
      ];
    },
  },
  {
    name: 'close: after the end, wrong arguments throw and right ones do nothing',
    expected: [INVALID_ACCESS, SYNTAX_ERROR, 'returned undefined', 3],
    run: async (stage) => {
      const socket = await stage.open();
      socket.close();
      await next(socket, 'close');
      return [
        outcome(() => socket.close(1001)),
        outcome(() => socket.close(1000, `${longest}r`)),
        outcome(() => socket.close(1000)),
        socket.readyState,
      ];
    },
  },
  {
    name: 'close: twice, the first counts',
    expected: { frames: ['88 0bb8'], events: [['close', 3000, '', true]] },
    run: async (stage) => {
      const socket = await stage.open();
      const events = history(socket);
      socket.close(3000);
      socket.close(4000, 'again');
      return { events: await events, frames: await stage.frames() };
    },
  },
  {
    name: 'close: readyState is CLOSING at once, and until the event',
    expected: [1, 2, 2, 3],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', 'hold', { close: [1000] }] });
      const seen: Json[] = [socket.readyState];
      socket.close();
      seen.push(socket.readyState);
      await sleep(20);
      seen.push(socket.readyState);
      const closed = next(socket, 'close');
      await stage.release();
      await closed;
      return [...seen, socket.readyState];
    },
  },
  {
    name: 'close: in the handler of `open`',
    expected: ['open', ['close', 1000, '', true]],
    run: (stage) => {
      const socket = stage.dial({ together: true, steps: [{ text: 'unheard' }] });
      socket.onopen = () => socket.close(1000);
      return history(socket);
    },
  },
  {
    name: 'close: in the handler of `message`, the rest of the packet is not heard',
    expected: ['open', ['message', 'a'], ['close', 1000, '', true]],
    run: (stage) => {
      const socket = stage.dial({ steps: [{ text: 'a' }, { text: 'b' }, { text: 'c' }] });
      socket.onmessage = () => socket.close(1000);
      return history(socket);
    },
  },
  {
    name: 'close: messages that come afterwards are not heard',
    expected: ['open', ['close', 1000, 'late', true]],
    run: (stage) => {
      const socket = stage.dial({
        steps: [
          'hold',
          { text: 'a' },
          { binary: [1] },
          'read',
          { text: 'b' },
          { close: [1000, 'late'] },
        ],
      });
      socket.onopen = () => {
        socket.close(1000);
        void stage.release();
      };
      return history(socket);
    },
  },
  {
    name: 'close: in the handler of `error` and of `close` it does nothing',
    expected: ['error', ['close', 1006, '', false]],
    run: (stage) => {
      const socket = stage.dial({ status: 403 });
      const close = (): void => void socket.close();
      socket.addEventListener('error', close, { once: true });
      socket.addEventListener('close', close);
      return history(socket);
    },
  },
  {
    name: 'close: a server that never answers',
    expected: [2, 'nothing happened'],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['mute'] });
      let seen = 'nothing happened';
      socket.onclose = () => {
        seen = 'it was closed';
      };
      socket.close(1000);
      await sleep(100);
      return [socket.readyState, seen];
    },
  },
];

/** How a close of the server, or none, is told. */
function closed(name: string, close: readonly [code?: number, reason?: string], event: Json): Case {
  return {
    name: `closed: ${name}`,
    expected: ['open', event],
    run: (stage) => history(stage.dial({ steps: [{ close }] })),
  };
}

const wireCodes = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];

const byServer: readonly Case[] = [
  ...wireCodes.map((code) => closed(`${code}`, [code], ['close', code, '', true])),
  closed('without a code', [], ['close', 1005, '', true]),
  closed('with a reason', [4000, 'até logo'], ['close', 4000, 'até logo', true]),
  closed('with a reason of 123 bytes', [1000, longest], ['close', 1000, longest, true]),
  closed('a reason keeps its byte order mark', [1000, '\ufeffa'], ['close', 1000, '\ufeffa', true]),
  {
    name: 'closed: the code goes back',
    expected: ['88 0fa0'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ close: [4000, 'bye'] }] });
      await next(socket, 'close');
      return (await stage.frames()).map((frame) => frame.slice(0, 7));
    },
  },
  {
    name: 'closed: an answer of another code is what counts',
    expected: ['close', 4001, 'other', true],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', { close: [4001, 'other'] }] });
      socket.close(3000, 'mine');
      return told(await next(socket, 'close'));
    },
  },
  {
    name: 'closed: an answer without a code is what counts',
    expected: ['close', 1005, '', true],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', { close: [] }] });
      socket.close(3000, 'mine');
      return told(await next(socket, 'close'));
    },
  },
  {
    name: 'closed: messages before the close of one packet are heard',
    expected: ['open', ['message', 'a'], ['message', 'b'], ['close', 1000, '', true]],
    run: (stage) =>
      history(
        stage.dial({ together: true, steps: [{ text: 'a' }, { text: 'b' }, { close: [1000] }] }),
      ),
  },
  {
    name: 'closed: what comes behind the close frame is not heard',
    expected: ['open', ['close', 1000, '', true]],
    run: (stage) => history(stage.dial({ steps: [{ close: [1000] }, { text: 'late' }] })),
  },
  {
    name: 'closed: both at once',
    expected: ['close', 1000, '', true],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['hold', { close: [1000] }, 'read'] });
      socket.close(1000);
      const closed = next(socket, 'close');
      await stage.release();
      return told(await closed);
    },
  },
];

export const closingCases: readonly Case[] = [...codes, ...reasons, ...states, ...byServer];
