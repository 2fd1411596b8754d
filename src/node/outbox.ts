import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import type { FramePlace, FrameSink } from '../protocol/frames/frame-sender.ts';
import { LARGE_BUFFER } from './buffer-pool.ts';
import { type FrameBatch, takeBatch, type WriteCallback } from './frame-batch.ts';

/** What an outbox tells its owner. */
export interface OutboxOwner {
  /** The stream has taken so many bytes. */
  onTaken(bytes: number): void;
  /** The stream has not taken a write at once. */
  onBlocked(): void;
  /** The stream has taken a write that had to wait; `bufferedAmount` has gone down. */
  onProgress(): void;
  /** What was still being made is there, and has been written as far as the stream takes it. */
  onPlaceFilled(): void;
}

/** Messages are written out from here on without waiting for the end of the batch. */
const FLUSH_AT = LARGE_BUFFER;
/** The most that is handed to the stream at once, so that progress shows while a slow peer takes it. */
const PIECE = 256 * 1024;

/** Where frames will be that are still being made. Behind it others wait. */
class Place implements FramePlace {
  /** As it was estimated. */
  readonly size: number;
  messages = 0;
  isKept = true;
  batch: FrameBatch | undefined = undefined;
  readonly #outbox: Outbox;

  constructor(outbox: Outbox, size: number) {
    this.#outbox = outbox;
    this.size = size;
  }

  fill(frames: Uint8Array): void {
    this.#outbox.fill(this, frames);
  }
}

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
 *     reserve, commit, append --> next --- flush ---> leaving --- one write at a time ---> stream
 *                                  '- can still be discarded        '- whole frames, must go out
 *
 * What is sent behind a place for frames that are still being made is gathered as `next`; the place, and what
 * was gathered before it and could not leave yet, stand in `before`.
 *
 * A buffer that a socket has taken at once (`writableLength` is 0 after the write) is free again at once.
 * Any other stream may keep what it was given, as an in-memory pair does, so its buffers are not used again.
 */
export class Outbox implements FrameSink {
  /** Whether a batch is being gathered, whose end flushes. */
  corked = false;
  /** Bytes that the stream has not taken, frame headers included. */
  bufferedAmount = 0;
  /** Bytes that the stream has taken since the beginning. */
  bytesTaken = 0;

  #stream: Duplex;
  readonly #owner: OutboxOwner;
  #closed = false;
  /** Whether this one is among those that wait for the end of the tick. */
  #waiting = false;

  // An idle outbox holds none of these.
  #next: FrameBatch | undefined = undefined;
  #before: (FrameBatch | Place)[] | undefined = undefined;
  #leaving: FrameBatch | undefined = undefined;
  /** Bytes of the one write that the stream has not taken yet. */
  #inFlight = 0;

  constructor(stream: Duplex, owner: OutboxOwner) {
    this.#stream = stream;
    this.#owner = owner;
  }

  /** Whether the stream is behind: what is sent now has to wait. */
  get blocked(): boolean {
    return this.#inFlight > 0;
  }

  /** Whether the stream is gone: what is sent goes nowhere. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Goes on with another stream, in place of one that has nothing left to take. */
  moveTo(stream: Duplex): void {
    this.#stream = stream;
  }

  // --- The sink of the frame sender

  reserve(size: number): Uint8Array {
    this.#next ??= takeBatch();
    return this.#next.reserve(size);
  }

  get position(): number {
    return this.#next?.position ?? 0;
  }

  commit(end: number): void {
    const next = this.#next;
    if (next === undefined) return;
    this.bufferedAmount += end - next.position;
    next.commit(end);
    this.#flushSoon();
  }

  append(bytes: Uint8Array): void {
    this.#next ??= takeBatch();
    this.#next.append(bytes);
    this.bufferedAmount += bytes.length;
    this.#flushSoon();
  }

  keepPlace(size: number): FramePlace {
    // What has been gathered needs not wait for it.
    if (!this.corked) this.flush();
    const place = new Place(this, size);
    this.#before ??= [];
    if (this.#next !== undefined) this.#before.push(this.#next);
    this.#next = undefined;
    this.#before.push(place);
    this.bufferedAmount += size;
    return place;
  }

  fill(place: Place, frames: Uint8Array): void {
    if (!place.isKept) return;
    const batch = takeBatch();
    batch.append(frames);
    batch.messages = place.messages;
    place.batch = batch;
    this.bufferedAmount += frames.length - place.size;
    this.flush();
    this.#owner.onPlaceFilled();
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
    const next = this.#next;
    if (next !== undefined) {
      next.messages += messages;
      if (next.bytes >= FLUSH_AT) this.flush();
      return;
    }
    const last = this.#before?.at(-1);
    if (last !== undefined) last.messages += messages;
  }

  /** Drops what has not begun to go out. Returns how many data messages that were. */
  discard(): number {
    let dropped = this.#dropNext();
    const before = this.#before;
    if (before === undefined) return dropped;
    this.#before = undefined;
    for (const waiting of before) {
      dropped += waiting.messages;
      const batch = waiting instanceof Place ? waiting.batch : waiting;
      if (batch !== undefined) {
        this.bufferedAmount -= batch.bytes;
        batch.release(true);
      } else if (waiting instanceof Place) {
        this.bufferedAmount -= waiting.size;
        waiting.isKept = false;
      }
    }
    return dropped;
  }

  #dropNext(): number {
    const next = this.#next;
    if (next === undefined) return 0;
    const { messages } = next;
    this.#next = undefined;
    this.bufferedAmount -= next.bytes;
    next.release(true);
    return messages;
  }

  // --- Writing

  /** Writes out what the stream takes; the rest follows by itself. */
  flush(): void {
    this.#waiting = false;
    if (this.#closed) this.discard();
    while (this.#inFlight === 0) {
      const batch = this.#takeNext();
      if (batch === undefined) return;
      if (batch.bytes === 0) batch.release(true);
      else if (batch.isOneBuffer && batch.bytes <= PIECE) this.#writeBuffer(batch);
      else {
        this.#leaving = batch;
        this.#writeLeaving();
      }
    }
  }

  /** The batch whose turn it is; undefined where there is none, or the next one is still being made. */
  #takeNext(): FrameBatch | undefined {
    const before = this.#before;
    if (before === undefined) {
      const next = this.#next;
      this.#next = undefined;
      return next;
    }
    const first = before[0];
    const batch = first instanceof Place ? first.batch : first;
    if (batch === undefined) return undefined;
    if (before.length === 1) this.#before = undefined;
    else before.shift();
    return batch;
  }

  /** Writes whole frames that nothing has to leave before; false where something has. */
  writeAtOnce(frames: Uint8Array): boolean {
    const isEmpty = this.#next === undefined && this.#before === undefined;
    if (!isEmpty || this.#inFlight > 0 || this.corked) return false;
    if (this.#closed || frames.length > PIECE) return false;
    if (this.#write(frames)) {
      this.bufferedAmount += frames.length;
      this.#waitFor(frames.length);
    } else this.#countTaken(frames.length);
    return true;
  }

  /** What nearly always is to be written: one buffer's frames, which the stream takes at once. */
  #writeBuffer(batch: FrameBatch): void {
    const size = batch.bytes;
    if (this.#write(batch.takeBytes())) {
      this.#leaving = batch;
      this.#waitFor(size);
    } else {
      this.#taken(size);
      batch.release(this.#reuses);
    }
  }

  /** Writes; returns whether that has to be waited for. */
  #write(bytes: Uint8Array): boolean {
    const stream = this.#stream;
    if (this.#neverTakesAtOnce) stream.write(bytes, this.#onWritten);
    else stream.write(bytes);
    return this.#neverTakesAtOnce || stream.writableLength > 0;
  }

  /** What is encrypted first is always waited for, so that each write may as well have the callback. */
  get #neverTakesAtOnce(): boolean {
    return this.#stream instanceof TLSSocket;
  }

  get #onWritten(): WriteCallback {
    return (error) => this.#written(error);
  }

  /** The stream has taken all at once, and keeps nothing of it. */
  get #reuses(): boolean {
    return this.#stream instanceof Socket;
  }

  /**
   * A write has not been taken at once: waits until it is. Only then is there a callback, on a write of
   * nothing behind it, since one on each write would cost a turn of the tick queue each. Deno's TLS fails with a
   * write of nothing.
   */
  #waitFor(size: number): void {
    this.#inFlight = size;
    if (!this.#neverTakesAtOnce) this.#stream.write(NOTHING, this.#onWritten);
    this.#owner.onBlocked();
  }

  /** Writes the batch that is leaving, as far as the stream takes it at once. */
  #writeLeaving(): void {
    const batch = this.#leaving;
    if (batch === undefined) return;
    while (batch.bytes > 0) {
      const waits = this.#neverTakesAtOnce;
      const size = batch.writePiece(this.#stream, PIECE, waits ? this.#onWritten : undefined);
      if (waits || this.#stream.writableLength > 0) {
        this.#waitFor(size);
        return;
      }
      this.#taken(size);
    }
    this.#leaving = undefined;
    batch.release(this.#reuses);
  }

  #taken(size: number): void {
    this.bufferedAmount -= size;
    this.#countTaken(size);
  }

  #countTaken(size: number): void {
    this.bytesTaken += size;
    this.#owner.onTaken(size);
  }

  #written(error: Error | null | undefined): void {
    // The stream has failed, and closes.
    if (error || this.#closed) return;
    this.#taken(this.#inFlight);
    this.#inFlight = 0;
    this.#writeLeaving();
    this.flush();
    this.#owner.onProgress();
  }

  /** Forgets all that was not written: the stream is gone. */
  close(): void {
    this.#closed = true;
    this.discard();
    // What the stream was given it may still hold.
    this.#leaving?.release(false);
    this.#leaving = undefined;
    this.#inFlight = 0;
    this.bufferedAmount = 0;
  }
}

const NOTHING = new Uint8Array(0);
