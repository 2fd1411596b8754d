import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { FrameSink } from '../protocol/frames/frame-sender.ts';
import { LARGE_BUFFER, returnBuffer, SMALL_BUFFER, takeBuffer } from './buffer-pool.ts';

/** What an outbox tells its owner. */
export interface OutboxOwner {
  /** The stream has not taken a write at once. */
  onBlocked(): void;
  /** The stream has taken a write that had to wait; `bufferedAmount` has gone down. */
  onProgress(): void;
}

/** Appended bytes shorter than this are copied to the others' buffer instead of written by themselves. */
const COPY_BELOW = 4 * 1024;
/** Messages are written out from here on without waiting for the end of the batch. */
const FLUSH_AT = LARGE_BUFFER;
/** The most that is handed to the stream at once, so that progress shows while a slow peer takes it. */
const PIECE = 256 * 1024;

/** Outboxes with frames that were written outside of a batch, flushed together when the tick ends. */
let waiting: Outbox[] = [];

function flushWaiting(): void {
  const now = waiting;
  waiting = [];
  for (const outbox of now) outbox.flush();
}

/**
 * Gathers frames and writes them to a stream in as few writes as can be.
 *
 *     reserve, commit, append --> next --- flush ---> batch --- one write at a time ---> stream
 *                                  '- can still be discarded      '- whole frames, must go out
 *
 * A buffer that a socket has taken at once (`writableLength` is 0 after the write) is free again at once.
 * Any other stream may keep what it was given, as an in-memory pair does, so its buffers are not used again.
 */
export class Outbox implements FrameSink {
  /** Whether a batch is being gathered, whose end flushes. */
  corked = false;
  /** Data messages in `next`: what `discard` would drop. */
  queuedMessages = 0;
  /** Where the next frame goes in the buffer that `reserve` gave. */
  position = 0;

  readonly #stream: Duplex;
  readonly #owner: OutboxOwner;
  readonly #reuses: boolean;
  #waiting = false;
  #closed = false;

  // next: the parts, then fill[fillStart, position).
  #fill: Buffer | undefined = undefined;
  #fillStart = 0;
  #parts: Uint8Array[] | undefined = undefined;
  #owned: Buffer[] | undefined = undefined;
  #nextBytes = 0;

  // batch: what must go out before next.
  #batch: Uint8Array[] = NO_PARTS;
  #batchAt = 0;
  #batchOwned: Buffer[] | undefined = undefined;
  #batchBytes = 0;

  // The one write that the stream has not taken yet.
  #inFlight = 0;
  #writes = 0;
  #writesDone = 0;
  readonly #onWritten: (error?: Error | null) => void;

  constructor(stream: Duplex, owner: OutboxOwner) {
    this.#stream = stream;
    this.#owner = owner;
    this.#reuses = stream instanceof Socket;
    this.#onWritten = (error) => this.#written(error);
  }

  /** Bytes that the stream has not taken, frame headers included. */
  get bufferedAmount(): number {
    return this.#nextBytes + this.#batchBytes + this.#inFlight;
  }

  /** Whether the stream is behind: what is sent now has to wait. */
  get blocked(): boolean {
    return this.#inFlight > 0;
  }

  /** Whether the stream is gone: what is sent goes nowhere. */
  get closed(): boolean {
    return this.#closed;
  }

  // --- The sink of the frame sender

  reserve(size: number): Uint8Array {
    const fill = this.#fill;
    if (fill === undefined) {
      this.#fill = takeBuffer(size);
      this.#fillStart = 0;
      this.position = 0;
      return this.#fill;
    }
    if (fill.length - this.position >= size) return fill;
    return this.#anotherBuffer(fill, size);
  }

  #anotherBuffer(fill: Buffer, size: number): Uint8Array {
    const held = this.position - this.#fillStart;
    if (this.#fillStart === 0 && fill.length === SMALL_BUFFER && held + size <= LARGE_BUFFER) {
      const larger = takeBuffer(LARGE_BUFFER);
      larger.set(fill.subarray(0, held));
      returnBuffer(fill);
      this.#fill = larger;
      return larger;
    }
    this.#fillToParts(fill);
    this.#ownedList().push(fill);
    this.#fill = takeBuffer(size);
    this.#fillStart = 0;
    this.position = 0;
    return this.#fill;
  }

  commit(end: number): void {
    this.#nextBytes += end - this.position;
    this.position = end;
    this.#flushSoon();
  }

  append(bytes: Uint8Array): void {
    const length = bytes.length;
    const fill = this.#fill;
    if (fill !== undefined && this.position > this.#fillStart) {
      if (length < COPY_BELOW) {
        this.reserve(length).set(bytes, this.position);
        this.commit(this.position + length);
        return;
      }
      this.#fillToParts(fill);
    }
    this.#partsList().push(bytes);
    this.#nextBytes += length;
    this.#flushSoon();
  }

  #partsList(): Uint8Array[] {
    this.#parts ??= [];
    return this.#parts;
  }

  #ownedList(): Buffer[] {
    this.#owned ??= [];
    return this.#owned;
  }

  #fillToParts(fill: Buffer): void {
    if (this.position === this.#fillStart) return;
    this.#partsList().push(fill.subarray(this.#fillStart, this.position));
    this.#fillStart = this.position;
  }

  #flushSoon(): void {
    if (this.corked || this.#waiting || this.#inFlight > 0) return;
    this.#waiting = true;
    if (waiting.push(this) === 1) process.nextTick(flushWaiting);
  }

  /**
   * So many data messages are complete. Only here may a batch leave early, or `discard` could cut a frame in
   * two.
   */
  messagesQueued(messages: number): void {
    this.queuedMessages += messages;
    if (this.#nextBytes >= FLUSH_AT) this.flush();
  }

  /** Drops what has not begun to go out. Returns how many data messages that were. */
  discard(): number {
    const dropped = this.queuedMessages;
    this.queuedMessages = 0;
    this.#releaseNext();
    return dropped;
  }

  #releaseNext(): void {
    if (this.#fill !== undefined) returnBuffer(this.#fill);
    this.#returnAll(this.#owned);
    this.#fill = undefined;
    this.#fillStart = 0;
    this.position = 0;
    this.#parts = undefined;
    this.#owned = undefined;
    this.#nextBytes = 0;
  }

  #returnAll(buffers: Buffer[] | undefined): void {
    if (buffers === undefined) return;
    for (const buffer of buffers) returnBuffer(buffer);
  }

  // --- Writing

  /** Writes out what the stream takes; the rest follows by itself. */
  flush(): void {
    this.#waiting = false;
    if (this.#closed) {
      this.#releaseNext();
      return;
    }
    while (this.#inFlight === 0 && this.#nextBytes > 0) {
      const fill = this.#fill;
      if (fill !== undefined && this.#parts === undefined && this.#nextBytes <= PIECE) {
        this.#writeFill(fill);
      } else {
        this.#nextToBatch();
        this.#writeBatch();
      }
    }
  }

  /** What nearly always is to be written: one buffer's frames, which the stream takes at once. */
  #writeFill(fill: Buffer): void {
    const size = this.position;
    this.#fill = undefined;
    this.position = 0;
    this.#nextBytes = 0;
    this.queuedMessages = 0;
    this.#writes++;
    this.#stream.write(fill.subarray(0, size), this.#onWritten);
    if (this.#stream.writableLength === 0) {
      if (this.#reuses) returnBuffer(fill);
      return;
    }
    this.#inFlight = size;
    this.#batchOwned = [fill];
    this.#owner.onBlocked();
  }

  #nextToBatch(): void {
    const fill = this.#fill;
    if (fill !== undefined) {
      this.#fillToParts(fill);
      this.#ownedList().push(fill);
    }
    this.#batch = this.#partsList();
    this.#batchAt = 0;
    this.#batchOwned = this.#owned;
    this.#batchBytes = this.#nextBytes;
    this.#fill = undefined;
    this.#fillStart = 0;
    this.position = 0;
    this.#parts = undefined;
    this.#owned = undefined;
    this.#nextBytes = 0;
    this.queuedMessages = 0;
  }

  #writeBatch(): void {
    while (this.#batchAt < this.#batch.length) {
      const size = this.#writePiece();
      this.#batchBytes -= size;
      if (this.#stream.writableLength > 0) {
        this.#inFlight = size;
        this.#owner.onBlocked();
        return;
      }
    }
    if (this.#reuses) this.#returnAll(this.#batchOwned);
    this.#batch = NO_PARTS;
    this.#batchOwned = undefined;
  }

  /** Hands the stream as many parts as make a piece; returns their size. */
  #writePiece(): number {
    const stream = this.#stream;
    this.#writes++;
    const first = this.#batch[this.#batchAt] as Uint8Array;
    if (first.length >= PIECE || this.#batchAt + 1 === this.#batch.length) {
      return this.#writePart(first, PIECE);
    }
    let size = 0;
    stream.cork();
    for (;;) {
      const part = this.#batch[this.#batchAt] as Uint8Array;
      const isLast = this.#batchAt + 1 === this.#batch.length || size + part.length >= PIECE;
      if (isLast) {
        size += this.#writePart(part, PIECE - size);
        break;
      }
      stream.write(part);
      size += part.length;
      this.#batchAt++;
    }
    stream.uncork();
    return size;
  }

  /** Hands over the last part of a piece, or as much of it as fits. */
  #writePart(part: Uint8Array, room: number): number {
    if (part.length <= room) {
      this.#batchAt++;
      this.#stream.write(part, this.#onWritten);
      return part.length;
    }
    this.#batch[this.#batchAt] = part.subarray(room);
    this.#stream.write(part.subarray(0, room), this.#onWritten);
    return room;
  }

  #written(error: Error | null | undefined): void {
    // The stream has failed, and closes.
    if (error) return;
    this.#writesDone++;
    // The callbacks of writes that were taken at once come late, and tell nothing new.
    if (this.#inFlight === 0 || this.#writesDone !== this.#writes || this.#closed) return;
    this.#inFlight = 0;
    this.#writeBatch();
    this.flush();
    this.#owner.onProgress();
  }

  /** Forgets all that was not written: the stream is gone. */
  close(): void {
    this.#closed = true;
    this.#releaseNext();
    this.#batch = NO_PARTS;
    this.#batchOwned = undefined;
    this.#batchBytes = 0;
    this.#inFlight = 0;
    this.queuedMessages = 0;
  }
}

/** Shared by all outboxes that have nothing to write. */
const NO_PARTS: Uint8Array[] = [];
