import { Duplex } from 'node:stream';

/** A connection in memory: a chunk goes in with `push`, and what the library writes is only counted. */
export class MemorySocket extends Duplex {
  bytesWritten = 0;
  /** Libraries ask it of a TCP socket. */
  readonly remoteAddress = '127.0.0.1';

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, taken: () => void): void {
    this.bytesWritten += chunk.length;
    taken();
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], taken: () => void): void {
    for (const { chunk } of chunks) this.bytesWritten += chunk.length;
    taken();
  }

  // What else a TCP socket has that libraries set.
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
}
