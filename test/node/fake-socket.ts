import { Socket } from 'node:net';
import { readFrame } from '../faults/raw-frames.ts';

interface PendingWrite {
  readonly chunks: readonly Buffer[];
  readonly done: () => void;
}

/**
 * A socket without a connection, whose other side the test plays. What is written counts as taken when
 * its callback runs, and is read only then: a buffer that was used again too early shows. It is a
 * `Socket`, since only for those the outbox uses buffers again.
 */
export class FakeSocket extends Socket {
  /** What the other side has taken, one entry a write. */
  readonly writes: Buffer[] = [];
  takenBytes = 0;
  /** Whether a write is taken at once. */
  atOnce = true;
  #pending: PendingWrite | undefined = undefined;

  constructor() {
    super({ allowHalfOpen: true });
  }

  override _read(): void {}

  // A socket that is not connected would wait until it is.
  override _final(done: () => void): void {
    done();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#offer({ chunks: [chunk], done });
  }

  override _writev(entries: { chunk: Buffer }[], done: () => void): void {
    this.#offer({ chunks: entries.map(({ chunk }) => chunk), done });
  }

  #offer(write: PendingWrite): void {
    // A write of nothing waits only for those before it.
    if (write.chunks.every(({ length }) => length === 0)) write.done();
    else if (this.atOnce) this.#finish(write);
    else this.#pending = write;
  }

  #finish({ chunks, done }: PendingWrite): void {
    const bytes = Buffer.concat(chunks);
    this.writes.push(bytes);
    this.takenBytes += bytes.length;
    done();
  }

  /** Takes the write that waits, and lets Node's stream tell of it. False where none does. */
  async accept(): Promise<boolean> {
    const pending = this.#pending;
    if (pending === undefined) return false;
    this.#pending = undefined;
    this.#finish(pending);
    await new Promise<void>((resolve) => process.nextTick(resolve));
    return true;
  }

  /** Takes all there is, and from here on at once. */
  async takeAll(): Promise<void> {
    this.atOnce = true;
    while (await this.accept());
  }

  get received(): Buffer {
    return Buffer.concat(this.writes);
  }

  /** The frames that were taken; throws where they do not end with the last byte. */
  frames(): { first: number; payload: Buffer }[] {
    const frames: { first: number; payload: Buffer }[] = [];
    let rest = this.received;
    while (rest.length > 0) {
      const frame = readFrame(rest);
      if (frame === undefined) throw new Error(`${rest.length} bytes are no whole frame`);
      frames.push({ first: frame.first, payload: frame.payload });
      rest = rest.subarray(frame.size);
    }
    return frames;
  }
}
