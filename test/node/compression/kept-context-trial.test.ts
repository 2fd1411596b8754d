import assert from 'node:assert/strict';
import { suite, type TestContext, test } from 'node:test';
import zlib, { type DeflateRaw, type InflateRaw, type ZlibOptions } from 'node:zlib';
import { keptCompression } from '../../../dist/node/compression/kept-compression.js';
import { KeptContext } from '../../../dist/node/compression/kept-context.js';
import {
  keptContextsWork,
  type ZlibStreams,
} from '../../../dist/node/compression/kept-context-trial.js';
import {
  chooseCompression,
  nodeCompression,
} from '../../../dist/node/compression/node-compression.js';
import { publicCompression } from '../../../dist/node/compression/public-compression.js';
import { deflate, inflate, json, textOf, USUAL } from './both.ts';
import { trackStreams } from './tracked-streams.ts';

type Stream = DeflateRaw | InflateRaw;

test('kept contexts work on this runtime, and are chosen', (t) => {
  const streams = trackStreams(t);
  assert.equal(keptContextsWork(zlib), true);
  assert.ok(streams.length >= 4);
  assert.ok(streams.every((stream) => stream.destroyed));
  assert.equal(chooseCompression(zlib), keptCompression);
  assert.equal(nodeCompression.sharedInflater(), keptCompression.sharedInflater());
  assert.equal(nodeCompression.sharedDeflater(USUAL), keptCompression.sharedDeflater(USUAL));
  const deflater = nodeCompression.ownDeflater(USUAL);
  const inflater = nodeCompression.ownInflater(15);
  assert.deepEqual(inflate(inflater, deflate(deflater, json(99), false)), json(99));
  deflater.close();
  inflater.close();
});

test('one deflater for all with the same parameters', () => {
  const deflater = keptCompression.sharedDeflater(USUAL);
  assert.equal(keptCompression.sharedDeflater({ ...USUAL }), deflater);
  assert.notEqual(keptCompression.sharedDeflater({ ...USUAL, windowBits: 9 }), deflater);
  deflater.close();
});

function handleOf(stream: Stream): object {
  const handle: unknown = Reflect.get(stream, '_handle');
  assert.ok(typeof handle === 'object' && handle !== null);
  return handle;
}

function functionOf(target: object, name: string): (...args: readonly unknown[]) => unknown {
  const method: unknown = Reflect.get(target, name);
  assert.ok(typeof method === 'function');
  return (...args) => Reflect.apply(method, target, args);
}

function set(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true });
}

/** Lets Node call zlib with other arguments. */
function callOtherwise(
  stream: Stream,
  change: (args: readonly unknown[]) => readonly unknown[],
): void {
  const handle = handleOf(stream);
  set(stream, '_processChunk', (input: Uint8Array, flush: unknown) => {
    const output = Reflect.get(stream, '_outBuffer');
    const args = [flush, input, 0, input.length, output, 0, 65_536];
    functionOf(handle, 'writeSync')(...change(args));
    return Buffer.from('hello');
  });
}

/** zlib writes to it, but does not keep it itself. */
const writeStates: unknown[] = [];

function setWriteState(stream: Stream, value: unknown): void {
  writeStates.push(Reflect.get(stream, '_writeState'));
  set(stream, '_writeState', value);
}

/** What may be otherwise in a stream one day. */
const OTHERWISE: readonly (readonly [name: string, change: (stream: Stream) => void])[] = [
  ['no handle', (stream) => set(stream, '_handle', undefined)],
  ['a handle that is none', (stream) => set(stream, '_handle', 5)],
  ['no writeSync', (stream) => set(handleOf(stream), 'writeSync', undefined)],
  ['no reset', (stream) => set(handleOf(stream), 'reset', undefined)],
  ['no onerror', (stream) => set(handleOf(stream), 'onerror', undefined)],
  [
    'a handle that cannot be observed',
    (stream) => set(stream, '_handle', Object.freeze(handleOf(stream))),
  ],
  ['no _processChunk', (stream) => set(stream, '_processChunk', undefined)],
  [
    'a _processChunk that does nothing',
    (stream) => set(stream, '_processChunk', () => Buffer.from('hello')),
  ],
  [
    'a _processChunk that throws',
    (stream) =>
      set(stream, '_processChunk', () => {
        throw new Error('Not any more');
      }),
  ],
  ['no _writeState', (stream) => setWriteState(stream, undefined)],
  ['a longer _writeState', (stream) => setWriteState(stream, new Uint32Array(3))],
  ['another _writeState', (stream) => setWriteState(stream, new Float64Array(2))],
  ['a _writeState that nobody writes to', (stream) => setWriteState(stream, new Uint32Array(2))],
  ['no _outBuffer', (stream) => Reflect.deleteProperty(stream, '_outBuffer')],
  ['a shorter _outBuffer', (stream) => set(stream, '_outBuffer', Buffer.alloc(1_000))],
  [
    'an _outBuffer that is no Buffer',
    (stream) => set(stream, '_outBuffer', new Uint8Array(65_536)),
  ],
  [
    'an _outBuffer that is not its own',
    (stream) => {
      const buffer: unknown = Reflect.get(stream, '_outBuffer');
      Reflect.deleteProperty(stream, '_outBuffer');
      const between: object = Object.create(Object.getPrototypeOf(stream), {
        _outBuffer: { value: buffer },
      });
      Object.setPrototypeOf(stream, between);
    },
  ],
  ['one argument more', (stream) => callOtherwise(stream, (args) => [...args, 0])],
  ['one argument less', (stream) => callOtherwise(stream, (args) => args.slice(0, -1))],
  ['arguments in another order', (stream) => callOtherwise(stream, (args) => args.toReversed())],
  ['another flush', (stream) => callOtherwise(stream, ([, ...args]) => [0, ...args])],
  [
    'two calls',
    (stream) => {
      const call = functionOf(stream, '_processChunk');
      const handle = handleOf(stream);
      set(stream, '_processChunk', (input: Uint8Array, flush: unknown) => {
        const output = Reflect.get(stream, '_outBuffer');
        functionOf(handle, 'writeSync')(flush, input, 0, input.length, output, 0, 65_536);
        functionOf(handle, 'reset')();
        return call(input, flush);
      });
    },
  ],
  ['a reset that does nothing', (stream) => set(handleOf(stream), 'reset', () => {})],
  [
    'a reset that throws',
    (stream) =>
      set(handleOf(stream), 'reset', () => {
        throw new Error('Not now');
      }),
  ],
  [
    'output that is wrong',
    (stream) => {
      const handle = handleOf(stream);
      const write = functionOf(handle, 'writeSync');
      set(handle, 'writeSync', (...args: readonly unknown[]) => {
        write(...args);
        const output = args[4];
        if (output instanceof Uint8Array) output[2] = (output[2] ?? 0) ^ 1;
      });
    },
  ],
];

/** What only inflating shows. */
const INFLATES_OTHERWISE: typeof OTHERWISE = [
  [
    'an onerror that is not heeded',
    (stream) => {
      const onerror: unknown = Reflect.get(handleOf(stream), 'onerror');
      Object.defineProperty(handleOf(stream), 'onerror', { get: () => onerror, set() {} });
    },
  ],
  [
    'a writeSync that takes all at the end of a stream',
    (stream) => {
      const handle = handleOf(stream);
      const write = functionOf(handle, 'writeSync');
      const state: unknown = Reflect.get(stream, '_writeState');
      assert.ok(state instanceof Uint32Array);
      set(handle, 'writeSync', (...args: readonly unknown[]) => {
        write(...args);
        state[1] = 0;
      });
    },
  ],
];

suite('where something is otherwise, the public calls are used', () => {
  function expectFallback(t: TestContext, other: ZlibStreams, made: readonly Stream[]): void {
    t.after(() => {
      for (const stream of made) stream.destroy();
    });
    assert.equal(keptContextsWork(other), false);
    assert.ok(made.length > 0);
    assert.equal(chooseCompression(other), publicCompression);
  }

  for (const [name, change] of OTHERWISE) {
    test(`${name}, where it deflates`, (t) => {
      const made: Stream[] = [];
      const createDeflateRaw = (options: ZlibOptions): DeflateRaw => {
        const stream = zlib.createDeflateRaw(options);
        made.push(stream);
        change(stream);
        return stream;
      };
      expectFallback(t, { createDeflateRaw, createInflateRaw: zlib.createInflateRaw }, made);
    });
  }

  for (const [name, change] of [...OTHERWISE, ...INFLATES_OTHERWISE]) {
    test(`${name}, where it inflates`, (t) => {
      const made: Stream[] = [];
      const createInflateRaw = (options: ZlibOptions): InflateRaw => {
        const stream = zlib.createInflateRaw(options);
        made.push(stream);
        change(stream);
        return stream;
      };
      expectFallback(t, { createDeflateRaw: zlib.createDeflateRaw, createInflateRaw }, made);
    });
  }

  test('a zlib that throws', () => {
    const fail = (): never => {
      throw new Error('No zlib');
    };
    assert.equal(keptContextsWork({ createDeflateRaw: fail, createInflateRaw: fail }), false);
  });
});

test('a context of a stream that is otherwise is none, and the stream is closed', () => {
  const stream = zlib.createDeflateRaw({ chunkSize: 1_024 });
  assert.throws(() => new KeptContext(stream), TypeError);
  assert.equal(stream.destroyed, true);
});

/** zlib that has no memory for the stream. */
function starve(stream: Stream): void {
  const handle = handleOf(stream);
  set(handle, 'writeSync', () => functionOf(handle, 'onerror')('out of memory', -4, 'Z_MEM_ERROR'));
  set(handle, 'write', () => functionOf(handle, 'onerror')('out of memory', -4, 'Z_MEM_ERROR'));
}

test('without memory for zlib a message leaves uncompressed', async (t) => {
  const text = json(200_000);
  let starving = false;
  const changing = trackStreams(t, (stream) => {
    if (starving) starve(stream);
  });
  const own = keptCompression.ownDeflater(USUAL);
  const first = deflate(own, text, false);
  starving = true;
  const starved = keptCompression.ownDeflater(USUAL);
  for (let k = 0; k < 2; k++) assert.deepEqual(textOf(deflate(starved, text, false)), text);
  // Parameters that nobody else uses: a stream is made for it.
  const later = keptCompression.ownDeflater({ windowBits: 11, level: 7, memLevel: 3 });
  const stored = await new Promise<Uint8Array>((resolve) => later.deflateLater(text, resolve));
  assert.deepEqual(textOf(stored), text);
  starving = false;
  const again = await new Promise<Uint8Array>((resolve) => later.deflateLater(text, resolve));
  assert.ok(again.length < text.length / 2);
  assert.deepEqual(textOf(first, deflate(own, text, false)), Buffer.concat([text, text]));
  own.close();
  assert.deepEqual(textOf(deflate(own, text, false)), text);
  for (const each of [starved, later]) each.close();
  assert.ok(changing.length >= 4);
});
