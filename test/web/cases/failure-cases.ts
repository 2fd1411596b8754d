import type { Step } from '../conformance-behaviour.ts';
import {
  type Case,
  ended,
  history,
  type Json,
  next,
  type Stage,
  told,
} from '../conformance-case.ts';

const abnormal: Json = ['close', 1006, '', false];

/** What comes behind them is heard where they do not fail the connection. */
const rest: readonly Step[] = [{ text: 'the rest' }, { close: [1000] }];

/** Frames that fail the connection. */
function fails(name: string, bytes: string): Case {
  return {
    name: `failure: ${name}`,
    expected: ['open', 'error', abnormal],
    run: (stage) => provoked(stage, [{ bytes }, ...rest]),
  };
}

/** The server does it when the socket is open and says so. */
function provoked(stage: Stage, steps: readonly Step[]): Promise<Json> {
  const socket = stage.dial({ steps: ['read', ...steps] });
  socket.onopen = () => socket.send('now');
  return history(socket);
}

const frames: readonly Case[] = [
  fails('text that is not UTF-8', '8101ff'),
  fails('a surrogate in UTF-8', '8103eda080'),
  fails('text that ends within a character', '8102e282'),
  fails('a reserved bit', 'c10161'),
  fails('a reserved opcode', '8300'),
  fails('a masked frame', '8181m56'),
  fails('a continuation of nothing', '800161'),
  fails('a message within another', '010161 810162'),
  fails('a ping in fragments', '090161'),
  fails('a ping of 126 bytes', `897e007e${'61'.repeat(126)}`),
  fails('a close frame of one byte', '880103'),
  fails('a close frame with 1005', '880203ed'),
  fails('a close frame with 1006', '880203ee'),
  fails('a close frame with 1015', '880203f7'),
  fails('a close frame with 999', '880203e7'),
  fails('a close frame whose reason is not UTF-8', '880303e8ff'),
  fails('a length that could be shorter', '817e000161'),
  fails('a length with its highest bit', '827f8000000000000001'),
];

/** The code that the server gets for such a frame. */
function answered(name: string, bytes: string, code: string): Case {
  return {
    name: `failure: the close frame for ${name}`,
    expected: `88 ${code}`,
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', { bytes }] });
      socket.send('now');
      await ended(socket);
      const close = (await stage.frames()).find((frame) => frame.startsWith('88'));
      return close?.slice(0, 7) ?? null;
    },
  };
}

const answers: readonly Case[] = [
  answered('text that is not UTF-8', '8101ff', '03ef'),
  answered('a reserved opcode', '8300', '03ea'),
  answered('a close frame of one byte', '880103', '03ea'),
];

/** Codes that nobody may use yet (RFC 6455 7.4.2): nothing says that a client must mind. */
const reserved: readonly Case[] = [1004, 1016, 2000, 2999, 5000].map((code) => ({
  name: `closed: ${code}, which is reserved`,
  expected: ['open', ['close', code, '', true]],
  run: (stage) => history(stage.dial({ steps: [{ close: [code] }] })),
}));

function ends(name: string, steps: readonly Step[], expected: Json): Case {
  return {
    name: `failure: ${name}`,
    expected,
    run: (stage) => provoked(stage, steps),
  };
}

const transports: readonly Case[] = [
  ends('the TCP connection ends', ['end'], ['open', 'error', abnormal]),
  ends('the TCP connection is reset', ['reset'], ['open', 'error', abnormal]),
  ends(
    'the TCP connection ends within a message',
    [{ bytes: '01036162' }, 'end'],
    ['open', 'error', abnormal],
  ),
  ends(
    'messages before the end are heard',
    [{ text: 'a' }, { text: 'b' }, 'end'],
    ['open', ['message', 'a'], ['message', 'b'], 'error', abnormal],
  ),
  {
    name: 'failure: the TCP connection ends instead of an answer to close()',
    expected: ['open', 'error', abnormal],
    run: (stage) => {
      const socket = stage.dial({ steps: ['mute', 'read', 'end'] });
      socket.onopen = () => socket.close(1000);
      return history(socket);
    },
  },
  {
    name: 'failure: nobody listens at the port',
    expected: ['error', abnormal],
    run: (stage) => history(stage.construct('ws://127.0.0.1:1/')),
  },
  {
    name: 'failure: TLS with a server that does not speak it',
    expected: ['error', abnormal],
    run: (stage) => history(stage.construct(`wss://${stage.host}/`)),
  },
  {
    name: 'failure: the messages before it are heard',
    expected: ['open', ['message', 'a'], 'error', abnormal],
    run: (stage) => provoked(stage, [{ text: 'a' }, { bytes: '8300' }, { text: 'b' }]),
  },
  {
    name: 'failure: after close() it was called',
    expected: abnormal,
    run: async (stage) => {
      const socket = await stage.open({ steps: ['mute', 'read', { bytes: '8300' }, 'end'] });
      socket.close(1000);
      return told(await next(socket, 'close'));
    },
  },
  {
    name: 'failure: the error event does not say why',
    expected: [],
    run: async (stage) => {
      const event = await next(stage.dial({ status: 403 }), 'error');
      return ['error', 'message'].filter((name) => name in event);
    },
  },
];

export const failureCases: readonly Case[] = [...frames, ...answers, ...reserved, ...transports];
