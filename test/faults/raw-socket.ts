import assert from 'node:assert/strict';
import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { CLOSE, closeCodeOf, type RawFrame, readFrame } from './raw-frames.ts';

/** Nothing in these tests takes longer unless it hangs. */
const DEADLINE_MS = 10_000;

/** Rejects, with what was awaited, where `promise` has not settled in time. */
export async function within<T>(
  what: string | (() => string),
  promise: Promise<T>,
  ms: number = DEADLINE_MS,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`waited in vain for ${typeof what === 'string' ? what : what()}`));
    }, ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** The head of a request or a response. */
export class Head {
  readonly startLine: string;
  readonly fields: readonly (readonly [name: string, value: string])[];

  constructor(text: string) {
    const [startLine = '', ...lines] = text.split('\r\n');
    this.startLine = startLine;
    this.fields = lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
  }

  /** The status of a response. */
  get status(): number {
    assert.match(this.startLine, /^HTTP\/(1\.1|2) \d{3} /);
    return Number(this.startLine.split(' ')[1]);
  }

  /** The values of a field, joined; undefined where it is absent. */
  get(name: string): string | undefined {
    const values = this.fields.filter(([field]) => field === name).map(([, value]) => value);
    return values.length === 0 ? undefined : values.join(', ');
  }
}

/** What has arrived and was not read. It grows by doubling: a large frame costs no more a byte than a small one. */
class Unread {
  #store: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;

  get bytes(): Buffer {
    return this.#store.subarray(this.#start, this.#end);
  }

  append(chunk: Buffer): void {
    const unread = this.bytes;
    if (this.#end + chunk.length > this.#store.length) {
      // What was cut stays with those who have it.
      this.#store = Buffer.allocUnsafe(2 * (unread.length + chunk.length));
      unread.copy(this.#store);
      this.#start = 0;
      this.#end = unread.length;
    }
    chunk.copy(this.#store, this.#end);
    this.#end += chunk.length;
  }

  cut(size: number): Buffer {
    const cut = this.bytes.subarray(0, size);
    this.#start += cut.length;
    return cut;
  }
}

/** One end of a connection, or of a stream of HTTP/2, read by hand. Every wait has a deadline and says what it waited for. */
export class RawSocket {
  readonly stream: Duplex;
  readonly #source: Socket | ClientHttp2Stream | ServerHttp2Stream;
  readonly #unread = new Unread();
  /** How the other side has ended. */
  #ending: 'fin' | 'reset' | undefined = undefined;
  #changed: () => void = () => {};

  /** @param socket one with `allowHalfOpen`, so that nothing ends by itself. */
  constructor(socket: Socket | ClientHttp2Stream | ServerHttp2Stream) {
    this.stream = socket;
    this.#source = socket;
    if (socket instanceof Socket) socket.setNoDelay(true);
    this.stream.on('data', (chunk: Buffer) => {
      this.#unread.append(chunk);
      this.#changed();
    });
    this.stream.on('end', () => {
      this.#ending ??= 'fin';
      this.#changed();
    });
    // ECONNRESET, or EPIPE where we were writing.
    this.stream.on('error', () => {
      this.#ending ??= 'reset';
      this.#changed();
    });
    this.stream.on('close', () => {
      this.#ending ??= 'reset';
      this.#changed();
    });
  }

  /** The socket of one that is no stream of HTTP/2. */
  get socket(): Socket {
    assert.ok(this.#source instanceof Socket);
    return this.#source;
  }

  /** Bytes that come alone are not copied. */
  write(...parts: (string | Uint8Array)[]): void {
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part));
    const [first] = bytes;
    this.stream.write(first !== undefined && bytes.length === 1 ? first : Buffer.concat(bytes));
  }

  /** Waits until the kernel has taken all that was written, so that none of it is in our memory. */
  async flushed(): Promise<void> {
    await within(
      'the other side to read',
      new Promise((resolve) => this.stream.write('', resolve)),
    );
  }

  /** Sends FIN, or END_STREAM; goes on reading. */
  end(): void {
    this.stream.end();
  }

  /** Sends RST, or RST_STREAM. */
  reset(): void {
    // What is in TLS cannot be reset by itself: cut off, without a close_notify.
    if (this.#source instanceof TLSSocket) this.#source.destroy();
    else if (this.#source instanceof Socket) this.#source.resetAndDestroy();
    else this.#source.close(constants.NGHTTP2_CANCEL);
  }

  destroy(): void {
    this.stream.destroy();
  }

  #shown(): string {
    const { bytes } = this.#unread;
    const shown = bytes.subarray(0, 200);
    return `${bytes.length} bytes, ${this.#ending ?? 'open'}: ${shown.toString('hex')} ${JSON.stringify(shown.toString('latin1'))}`;
  }

  async #until(what: string, isThere: () => boolean): Promise<void> {
    const arrived = async (): Promise<void> => {
      while (!isThere()) {
        assert.equal(this.#ending, undefined, `ended before ${what}; unread: ${this.#shown()}`);
        await new Promise<void>((resolve) => {
          this.#changed = resolve;
        });
      }
    };
    await within(() => `${what}; unread: ${this.#shown()}`, arrived());
  }

  /** The head of an HTTP message, without its empty line. */
  async readHead(): Promise<Head> {
    await this.#until('the end of a head', () => this.#unread.bytes.includes('\r\n\r\n'));
    const end = this.#unread.bytes.indexOf('\r\n\r\n');
    return new Head(this.#unread.cut(end + 4).toString('latin1', 0, end));
  }

  async readBytes(count: number): Promise<Buffer> {
    await this.#until(`${count} bytes`, () => this.unread >= count);
    return this.#unread.cut(count);
  }

  async readFrame(): Promise<RawFrame> {
    let frame: RawFrame | undefined;
    await this.#until('a frame', () => {
      frame = readFrame(this.#unread.bytes);
      return frame !== undefined;
    });
    const { size } = frame as unknown as RawFrame;
    this.#unread.cut(size);
    return frame as unknown as RawFrame;
  }

  /** The next frame is an unmasked one with this first byte and payload. */
  async expectFrame(first: number, payload: string | Uint8Array = ''): Promise<void> {
    const frame = await this.readFrame();
    assert.equal(frame.first, first);
    assert.equal(frame.isMasked, false, 'a server must not mask');
    assert.deepEqual(frame.payload, Buffer.from(payload));
  }

  /** The next frame is a close frame of a server with this code, undefined for none; the reason is free. */
  async expectClose(code: number | undefined): Promise<void> {
    const frame = await this.readFrame();
    assert.equal(frame.first, CLOSE, `a close frame was due, not ${frame.payload.toString('hex')}`);
    assert.equal(frame.isMasked, false, 'a server must not mask');
    assert.equal(closeCodeOf(frame.payload), code);
    if (code === undefined) assert.equal(frame.payload.length, 0);
  }

  /** The other side ends in order, and all that it sent before was read. */
  async expectEnd(): Promise<void> {
    assert.equal(await this.ending(), 'fin', 'the connection was reset');
  }

  /** Waits for the other side to end, in whatever way; all that it sent must have been read. */
  async ending(): Promise<'fin' | 'reset'> {
    const unread = (): string => `the end; unread: ${this.#shown()}`;
    await this.#until('the end', () => this.#ending !== undefined);
    assert.equal(this.unread, 0, unread());
    return this.#ending as 'fin' | 'reset';
  }

  /** How many bytes are there that were not read. */
  get unread(): number {
    return this.#unread.bytes.length;
  }

  /** Throws away what has arrived and arrives until the end. */
  async drain(): Promise<'fin' | 'reset'> {
    await this.#until('the end', () => this.#ending !== undefined);
    this.#unread.cut(this.unread);
    return this.#ending as 'fin' | 'reset';
  }

  /** All that arrives until the end, as text. */
  async drainText(): Promise<string> {
    await this.#until('the end', () => this.#ending !== undefined);
    return this.#unread.cut(this.unread).toString('latin1');
  }
}
