import {
  constants,
  type DeflateRaw,
  type InflateRaw,
  inflateRawSync,
  type ZlibOptions,
} from 'node:zlib';
import { CHUNK, isHandle, KeptContext } from './kept-context.ts';

export interface ZlibStreams {
  createDeflateRaw(options: ZlibOptions): DeflateRaw;
  createInflateRaw(options: ZlibOptions): InflateRaw;
}

const OPTIONS: ZlibOptions = { chunkSize: CHUNK };

/**
 * Whether zlib's streams are made on this runtime as `KeptContext` needs it. Never throws. The native calls
 * end the process where their arguments are wrong: so none is made before Node was seen making the same.
 */
export function keptContextsWork(zlib: ZlibStreams): boolean {
  const opened: (DeflateRaw | InflateRaw)[] = [];
  const open = <Stream extends DeflateRaw | InflateRaw>(stream: Stream): Stream => {
    // A call that failed may be told later, too.
    stream.on('error', () => {});
    opened.push(stream);
    return stream;
  };
  try {
    const text = Buffer.from('hello');
    const compressed = callsAsExpected(open(zlib.createDeflateRaw(OPTIONS)), text);
    if (compressed === undefined) return false;
    const back = callsAsExpected(open(zlib.createInflateRaw(OPTIONS)), compressed);
    if (back === undefined || !back.equals(text)) return false;
    return behave(
      new KeptContext(open(zlib.createDeflateRaw(OPTIONS))),
      new KeptContext(open(zlib.createInflateRaw(OPTIONS))),
    );
  } catch {
    return false;
  } finally {
    for (const stream of opened) stream.destroy();
  }
}

/** Lets Node work on `input` at once; returns its output where it makes the call that we would make. */
function callsAsExpected(stream: DeflateRaw | InflateRaw, input: Buffer): Buffer | undefined {
  const handle: unknown = Reflect.get(stream, '_handle');
  const process: unknown = Reflect.get(stream, '_processChunk');
  const buffer: unknown = Reflect.get(stream, '_outBuffer');
  if (!isHandle(handle) || typeof process !== 'function') return undefined;
  if (!Buffer.isBuffer(buffer) || buffer.length !== CHUNK) return undefined;
  const expected: readonly unknown[] = [
    constants.Z_SYNC_FLUSH,
    input,
    0,
    input.length,
    buffer,
    0,
    CHUNK,
  ];
  let calls = 0;
  const writeSync: unknown = handle.writeSync;
  if (typeof writeSync !== 'function') return undefined;
  const observe = (...args: readonly unknown[]): unknown => {
    calls++;
    if (args.length !== expected.length || args.some((arg, k) => arg !== expected[k])) {
      throw new TypeError('zlib is called otherwise');
    }
    return Reflect.apply(writeSync, handle, args);
  };
  if (!Reflect.set(handle, 'writeSync', observe)) return undefined;
  const output: unknown = Reflect.apply(process, stream, [input, constants.Z_SYNC_FLUSH]);
  return calls === 1 && Buffer.isBuffer(output) ? output : undefined;
}

/** Whether contexts keep what was before, forget it, and recover. */
function behave(deflater: KeptContext, inflater: KeptContext): boolean {
  const text = Buffer.from('what is said twice is shorter, what is said twice is shorter');
  const first = run(deflater, text);
  if (!inflateRawSync(first, { finishFlush: constants.Z_SYNC_FLUSH }).equals(text)) return false;
  const second = run(deflater, text);
  if (second.length >= first.length) return false;
  deflater.reset();
  if (!run(deflater, text).equals(first)) return false;
  if (!run(inflater, first).equals(text) || !run(inflater, second).equals(text)) return false;

  // Without the first, the second is corrupt.
  inflater.reset();
  run(inflater, second);
  if (!inflater.failed) return false;
  inflater.reset();
  // Little room: it takes several calls.
  if (inflater.failed || !run(inflater, first, 7).equals(text) || inflater.failed) return false;

  // What is behind the end is not taken.
  inflater.reset();
  const ended = Buffer.from([0x4b, 0x04, 0x00, 0x01, 0x02]);
  const output = Buffer.alloc(8);
  inflater.write(ended, 0, ended.length, output, 0, output.length);
  return inflater.inputLeft === 2 && inflater.roomLeft === 7 && output[0] === 0x61;
}

/** What `context` makes of `input`, given so much room at a time. */
function run(context: KeptContext, input: Buffer, room = 256): Buffer {
  const output = Buffer.alloc(256);
  let at = 0;
  let filled = 0;
  do {
    context.write(input, at, input.length - at, output, filled, room);
    at = input.length - context.inputLeft;
    filled += room - context.roomLeft;
  } while (!context.failed && context.roomLeft === 0 && filled + room <= output.length);
  return output.subarray(0, filled);
}
