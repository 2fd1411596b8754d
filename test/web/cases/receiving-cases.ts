import type { Step } from '../conformance-behaviour.ts';
import {
  type Case,
  history,
  type Json,
  next,
  outcome,
  type SocketEvent,
  type Stage,
  told,
} from '../conformance-case.ts';

/** The messages that come of these steps. */
function received(
  name: string,
  steps: readonly Step[],
  expected: readonly Json[],
  binaryType = 'arraybuffer',
): Case {
  return {
    name: `message: ${name}`,
    expected: ['open', ...expected.map((data) => ['message', data]), ['close', 1000, '', true]],
    run: (stage) => {
      const socket = stage.dial({ steps: [...steps, { close: [1000] }] });
      socket.binaryType = binaryType;
      return history(socket);
    },
  };
}

const kinds: readonly Case[] = [
  received('text', [{ text: 'Hello' }], ['Hello']),
  received('text that is not ASCII', [{ text: 'é€😀' }], ['é€😀']),
  received('text with U+0000', [{ text: 'a\u0000b' }], ['a\u0000b']),
  received('text keeps its byte order mark', [{ text: '\ufeffa' }], ['\ufeffa']),
  received('empty text', [{ text: '' }], ['']),
  received('bytes as an ArrayBuffer', [{ binary: [0, 1, 255] }], [{ ArrayBuffer: [0, 1, 255] }]),
  received('no bytes as an ArrayBuffer', [{ binary: [] }], [{ ArrayBuffer: [] }]),
  received('bytes as a Blob', [{ binary: [0, 1, 255] }], [{ Blob: 3 }], 'blob'),
  received('no bytes as a Blob', [{ binary: [] }], [{ Blob: 0 }], 'blob'),
  received(
    'many of one packet',
    [{ text: 'a' }, { binary: [1] }, { text: '' }, { binary: [2, 3] }, { text: 'b' }],
    ['a', { ArrayBuffer: [1] }, '', { ArrayBuffer: [2, 3] }, 'b'],
  ),
  // RFC 6455 5.7, and a ping between the fragments.
  received('in fragments', [{ bytes: '010348656c 89026162 80026c6f' }], ['Hello']),
  received('text that is split within a character', [{ bytes: '0101e2 000182 8001ac' }], ['€']),
  received(
    'bytes in fragments, some empty',
    [{ bytes: '020101 0000 80020203' }],
    [{ ArrayBuffer: [1, 2, 3] }],
  ),
  received('a pong that nobody asked for is no message', [{ bytes: '8a0161' }], []),
];

const blobs: readonly Case[] = [
  {
    name: 'message: what a Blob has',
    expected: { type: '', size: 3, bytes: [0, 1, 255], isBlob: true },
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ binary: [0, 1, 255] }] });
      const { data } = await next(socket, 'message');
      if (!(data instanceof Blob)) return 'no Blob';
      const bytes = [...new Uint8Array(await data.arrayBuffer())];
      return { type: data.type, size: data.size, bytes, isBlob: data.constructor === Blob };
    },
  },
  {
    name: 'message: what an ArrayBuffer has',
    expected: { isArrayBuffer: true, resizable: false, first: [1, 2], second: [9, 2] },
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ binary: [1, 2] }, { binary: [1, 2] }] });
      socket.binaryType = 'arraybuffer';
      const events = await twoMessages(socket);
      const [first, second] = events.map(({ data }) => data as ArrayBuffer);
      if (first === undefined || second === undefined) return 'no messages';
      // What is written into one is not in the other.
      new Uint8Array(second)[0] = 9;
      return {
        isArrayBuffer: first.constructor === ArrayBuffer,
        resizable: Reflect.get(first, 'resizable') === true,
        first: [...new Uint8Array(first)],
        second: [...new Uint8Array(second)],
      };
    },
  },
  {
    name: 'message: an ArrayBuffer can be transferred and holds nothing else',
    expected: [2, 0],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ binary: [1, 2] }] });
      socket.binaryType = 'arraybuffer';
      const { data } = await next(socket, 'message');
      const moved = structuredClone(data, { transfer: [data as ArrayBuffer] }) as ArrayBuffer;
      return [moved.byteLength, (data as ArrayBuffer).byteLength];
    },
  },
  {
    name: 'message: `data` is the same each time, and cannot be assigned',
    expected: [true, 'throws TypeError'],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ binary: [1, 2] }] });
      const event = await next(socket, 'message');
      const { data } = event;
      const same = event.data === data;
      const assigned = outcome(() => {
        (event as { data: unknown }).data = 1;
      });
      return [same, assigned];
    },
  },
  {
    name: 'message: binaryType counts when the task runs',
    expected: [
      ['message', { Blob: 1 }],
      ['message', { ArrayBuffer: [2] }],
    ],
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ binary: [1] }, { binary: [2] }] });
      socket.addEventListener('message', () => {
        socket.binaryType = 'arraybuffer';
      });
      return (await twoMessages(socket)).map(told);
    },
  },
  {
    name: 'message: binaryType can be set at any time',
    expected: ['blob', 'arraybuffer', 'blob', 'arraybuffer'],
    run: async (stage) => {
      const seen: Json[] = [];
      const socket = stage.dial();
      const note = (value: string): void => {
        seen.push(socket.binaryType as string);
        socket.binaryType = value;
      };
      note('arraybuffer');
      await next(socket, 'open');
      note('blob');
      socket.close();
      note('arraybuffer');
      await next(socket, 'close');
      note('blob');
      return seen;
    },
  },
];

function twoMessages(socket: ReturnType<Stage['dial']>): Promise<SocketEvent[]> {
  return new Promise((resolve) => {
    const events: SocketEvent[] = [];
    socket.addEventListener('message', (event) => {
      events.push(event);
      if (events.length === 2) resolve(events);
    });
  });
}

/** Sends a message back and forth; says whether it is the same. */
async function returned(stage: Stage, message: string | Uint8Array): Promise<Json> {
  const socket = await stage.open({ steps: ['echo'] });
  socket.binaryType = 'arraybuffer';
  socket.send(message);
  const { data } = await next(socket, 'message');
  if (typeof message === 'string' || !(data instanceof ArrayBuffer)) return data === message;
  const bytes = new Uint8Array(data);
  return bytes.length === message.length && bytes.every((byte, at) => byte === message[at]);
}

const sizes = [125, 126, 127, 65_535, 65_536, 1024 * 1024];

const lengths: readonly Case[] = [
  ...sizes.map(
    (size): Case => ({
      name: `message: ${size} bytes back and forth`,
      expected: true,
      run: (stage) =>
        returned(
          stage,
          Uint8Array.from({ length: size }, (_each, at) => at),
        ),
    }),
  ),
  {
    name: 'message: 1 MiB of text back and forth',
    expected: true,
    run: (stage) => returned(stage, 'é€'.repeat(1024 * 1024).slice(0, 400_000)),
  },
  {
    name: 'message: 2 MiB',
    expected: ['message', 2 * 1024 * 1024],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['echo'] });
      socket.binaryType = 'arraybuffer';
      const ended = next(socket, 'close').then(told);
      socket.send(new Uint8Array(2 * 1024 * 1024));
      const came = next(socket, 'message').then(
        ({ data }): Json => ['message', (data as ArrayBuffer).byteLength],
      );
      return await Promise.race([came, ended]);
    },
  },
];

/** An answer that is right for each offer: one that asks for this gets it, and another may get it, too. */
const deflate = {
  'sec-websocket-extensions': 'permessage-deflate; server_no_context_takeover',
};

const control: readonly Case[] = [
  {
    name: 'ping: is answered, and no event',
    expected: { events: ['open', ['close', 1000, '', true]], frames: ['8a 7069', '88 03e8'] },
    run: async (stage) => {
      const socket = stage.dial({ steps: [{ bytes: '89027069' }, 'read', { close: [1000] }] });
      const events = await history(socket);
      return { events, frames: await stage.frames() };
    },
  },
  {
    name: 'compressed: a message',
    expected: ['open', ['message', 'Hello'], ['close', 1000, '', true]],
    run: (stage) =>
      history(
        stage.dial({
          fields: deflate,
          // RFC 7692 7.2.3.1
          steps: [{ bytes: 'c107f248cdc9c90700' }, { close: [1000] }],
        }),
      ),
  },
  {
    name: 'compressed: bufferedAmount counts what is not compressed',
    expected: 1000,
    run: async (stage) => {
      const socket = await stage.open({ fields: deflate });
      socket.send('a'.repeat(1000));
      return socket.bufferedAmount;
    },
  },
];

export const receivingCases: readonly Case[] = [...kinds, ...blobs, ...lengths, ...control];
