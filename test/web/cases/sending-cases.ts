import { type Case, type Json, next, outcome, type Stage } from '../conformance-case.ts';

const TEXT = '81';
const BINARY = '82';

/** What the server received for what was sent. */
function sent(name: string, make: () => unknown, expected: string): Case {
  return {
    name: `send: ${name}`,
    expected: expected.trim(),
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', { close: [1000] }] });
      socket.send(make());
      return (await stage.frames())[0] ?? null;
    },
  };
}

function hexOf(text: string): string {
  return [...new TextEncoder().encode(text)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
}

function text(name: string, make: () => unknown, becomes: string): Case {
  return sent(name, make, `${TEXT} ${hexOf(becomes)}`);
}

/** Bytes 0 to 7. */
function eightBytes(): ArrayBuffer {
  return Uint8Array.from([0, 1, 2, 3, 4, 5, 6, 7]).buffer;
}

const texts: readonly Case[] = [
  text('a string', () => 'Hello', 'Hello'),
  text('an empty string', () => '', ''),
  text('a string that is not ASCII', () => 'é€😀', 'é€😀'),
  text('a string with U+0000 and U+FEFF', () => '\ufeffa\u0000', '\ufeffa\u0000'),
  sent('an unpaired high surrogate becomes U+FFFD', () => 'a\ud800b', `${TEXT} 61efbfbd62`),
  sent('an unpaired low surrogate becomes U+FFFD', () => '\udc00', `${TEXT} efbfbd`),
  sent('surrogates the wrong way round', () => '\udc00\ud800', `${TEXT} efbfbdefbfbd`),
  text('a number', () => 1.5, '1.5'),
  text('a bigint', () => 10n, '10'),
  text('a boolean', () => true, 'true'),
  text('null', () => null, 'null'),
  text('undefined', () => undefined, 'undefined'),
  text('an object', () => ({}), '[object Object]'),
  text('an object with toString', () => ({ toString: () => 'told' }), 'told'),
  text('an array', () => [1, [2, 3]], '1,2,3'),
  text('a String object', () => Object('text'), 'text'),
];

/** A view of a buffer whose memory has gone elsewhere. */
function detached(buffer: ArrayBuffer): Uint8Array {
  const view = new Uint8Array(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  return view;
}

const binaries: readonly Case[] = [
  sent('an ArrayBuffer', eightBytes, `${BINARY} 0001020304050607`),
  sent('an empty ArrayBuffer', () => new ArrayBuffer(0), BINARY),
  sent('a Uint8Array', () => new Uint8Array(eightBytes()), `${BINARY} 0001020304050607`),
  sent('a view with an offset', () => new Uint8Array(eightBytes(), 3), `${BINARY} 0304050607`),
  sent('a view with a length', () => new Uint8Array(eightBytes(), 3, 2), `${BINARY} 0304`),
  sent('an empty view', () => new Uint8Array(eightBytes(), 3, 0), BINARY),
  sent('an Int16Array', () => new Int16Array(eightBytes(), 2, 2), `${BINARY} 02030405`),
  sent('a Float64Array', () => new Float64Array(eightBytes()), `${BINARY} 0001020304050607`),
  sent('a Uint8ClampedArray', () => Uint8ClampedArray.of(300, 1), `${BINARY} ff01`),
  sent('a BigInt64Array', () => new BigInt64Array(eightBytes()), `${BINARY} 0001020304050607`),
  sent('a DataView', () => new DataView(eightBytes(), 1, 3), `${BINARY} 010203`),
  sent('a detached ArrayBuffer is empty', () => detached(eightBytes()).buffer, BINARY),
  sent('a view of a detached one is empty', () => detached(eightBytes()), BINARY),
  sent('a Blob', () => new Blob(['He', Uint8Array.of(0, 255)]), `${BINARY} 486500ff`),
  sent('an empty Blob', () => new Blob([]), BINARY),
  sent('a slice of a Blob', () => new Blob(['Hello']).slice(1, 3), `${BINARY} 656c`),
  sent('a Blob with a type', () => new Blob(['a'], { type: 'text/plain' }), `${BINARY} 61`),
];

/** As the newest Web IDL has it: without [AllowShared] and [AllowResizable]. */
const refused: readonly Case[] = [
  {
    name: 'send: nothing',
    expected: 'throws TypeError',
    run: async (stage) => {
      const socket = await stage.open();
      return outcome(() => socket.send());
    },
  },
  ...[
    ['a symbol', () => Symbol('text')],
    ['an object without a prototype', () => Object.create(null) as unknown],
    ['a view of shared memory', () => new Uint8Array(new SharedArrayBuffer(2))],
    ['a DataView of shared memory', () => new DataView(new SharedArrayBuffer(2))],
    ['a buffer that can be resized', () => resizable()],
    ['a view of a buffer that can be resized', () => new Uint8Array(resizable())],
  ].map(
    ([name, make]): Case => ({
      name: `send: ${String(name)} is refused`,
      expected: ['throws TypeError', 0, ['88']],
      run: (stage) => refusal(stage, make as () => unknown),
    }),
  ),
  text(
    'shared memory is no buffer but an object',
    () => new SharedArrayBuffer(2),
    '[object SharedArrayBuffer]',
  ),
];

async function refusal(stage: Stage, make: () => unknown): Promise<Json> {
  const socket = await stage.open();
  const thrown = outcome(() => socket.send(make()));
  const buffered = socket.bufferedAmount;
  socket.close();
  return [thrown, buffered, await stage.frames()];
}

/** The types of ES2023 do not know them. */
function resizable(): ArrayBuffer {
  return Reflect.construct(ArrayBuffer, [2, { maxByteLength: 4 }]) as ArrayBuffer;
}

const timing: readonly Case[] = [
  {
    name: 'send: before `open`',
    expected: ['throws DOMException InvalidStateError', 11, 0],
    run: (stage) => {
      const socket = stage.dial();
      const thrown = outcome(() => socket.send('early'));
      try {
        socket.send('early');
      } catch (error) {
        return [thrown, error instanceof DOMException ? error.code : null, socket.bufferedAmount];
      }
      return [thrown, null, socket.bufferedAmount];
    },
  },
  {
    name: 'send: the argument is converted before the state is looked at',
    expected: ['throws RangeError', 'throws TypeError', 'throws TypeError'],
    run: (stage) => {
      const socket = stage.dial();
      const given = {
        toString() {
          throw new RangeError('not this one');
        },
      };
      return [
        outcome(() => socket.send(given)),
        outcome(() => socket.send(Symbol('text'))),
        outcome(() => socket.send()),
      ];
    },
  },
  {
    name: 'send: in the handler of `open`',
    expected: [`${TEXT} 61`, '88'],
    run: async (stage) => {
      const socket = stage.dial();
      socket.onopen = () => {
        socket.send('a');
        socket.close();
      };
      return await stage.frames();
    },
  },
  {
    name: 'send: after close() nothing is sent, and nothing thrown',
    expected: ['returned undefined', [`${TEXT} 61`, '88']],
    run: async (stage) => {
      const socket = await stage.open();
      socket.send('a');
      socket.close();
      const late = outcome(() => socket.send('b'));
      return [late, await stage.frames()];
    },
  },
  {
    name: 'send: after the end nothing is thrown',
    expected: ['returned undefined', 'returned undefined', 'throws TypeError'],
    run: async (stage) => {
      const socket = await stage.open();
      socket.close();
      await next(socket, 'close');
      return [
        outcome(() => socket.send('a')),
        outcome(() => socket.send(new Blob(['a']))),
        outcome(() => socket.send(Symbol('a'))),
      ];
    },
  },
  {
    name: 'send: bytes that change afterwards were sent as they were',
    expected: [`${BINARY} 0102`, `${BINARY} 0908`, '88'],
    run: async (stage) => {
      const socket = await stage.open();
      const bytes = Uint8Array.of(1, 2);
      socket.send(bytes);
      bytes.set([9, 8]);
      socket.send(bytes.buffer);
      bytes.fill(0);
      socket.close();
      return await stage.frames();
    },
  },
  {
    name: 'send: bytes behind a Blob that change afterwards were sent as they were',
    expected: [`${BINARY} 61`, `${BINARY} 0102`],
    run: async (stage) => {
      const socket = await stage.open({ steps: ['read', 'read', { close: [1000] }] });
      const bytes = Uint8Array.of(1, 2);
      socket.send(new Blob(['a']));
      socket.send(bytes);
      bytes.fill(0);
      return (await stage.frames()).slice(0, 2);
    },
  },
  {
    name: 'send: a Blob keeps its place among strings and bytes',
    expected: [`${TEXT} 31`, `${BINARY} 32`, `${TEXT} 33`, `${BINARY} 34`, `${BINARY} 35`],
    run: async (stage) => {
      const reads = Array<'read'>(5).fill('read');
      const socket = await stage.open({ steps: [...reads, { close: [1000] }] });
      socket.send('1');
      socket.send(new Blob(['2']));
      socket.send('3');
      socket.send(new Blob(['4']));
      socket.send(new TextEncoder().encode('5'));
      return (await stage.frames()).slice(0, 5);
    },
  },
  {
    name: 'send: close() comes behind a large message',
    expected: [`${BINARY} 100000 bytes`, '88 03e8'],
    run: async (stage) => {
      const socket = await stage.open();
      socket.send(new Uint8Array(100_000));
      socket.close(1000);
      return await stage.frames();
    },
  },
  {
    name: 'send: close() comes behind a Blob and what is behind that',
    expected: [`${BINARY} 61`, `${TEXT} 62`, '88 03e8'],
    run: async (stage) => {
      const socket = await stage.open();
      socket.send(new Blob(['a']));
      socket.send('b');
      socket.close(1000);
      return await stage.frames();
    },
  },
  {
    name: 'send: a hundred messages arrive in order',
    expected: true,
    run: async (stage) => {
      const socket = await stage.open();
      const all = Array.from({ length: 100 }, (_each, at) => `message ${at}`);
      for (const message of all) socket.send(message);
      socket.close();
      const frames = await stage.frames();
      const wanted = [...all.map((message) => `${TEXT} ${hexOf(message)}`), '88'];
      return JSON.stringify(frames) === JSON.stringify(wanted);
    },
  },
];

export const sendingCases: readonly Case[] = [...texts, ...binaries, ...refused, ...timing];
