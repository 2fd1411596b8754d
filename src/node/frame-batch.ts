import type { Writable } from 'node:stream';
import { LARGE_BUFFER, returnBuffer, SMALL_BUFFER, takeBuffer } from './buffer-pool.ts';

/** Appended bytes shorter than this are copied to the others' buffer instead of written by themselves. */
const COPY_BELOW = 4 * 1024;
/** Batches that are nobody's, so that an idle outbox needs none. */
const KEPT = 64;

const free: FrameBatch[] = [];

export function takeBatch(): FrameBatch {
  return free.pop() ?? new FrameBatch();
}

/** Frames that leave together: the parts, then fill[fillStart, position). */
export class FrameBatch {
  /** Where the next frame goes in the buffer that `reserve` gave. */
  position = 0;
  /** What is still to be written. */
  bytes = 0;
  /** Data messages among it. */
  messages = 0;

  #fill: Buffer | undefined = undefined;
  #fillStart = 0;
  #parts: Uint8Array[] = NONE;
  /** The parts before it are written. */
  #partsAt = 0;
  /** Buffers of the pool that parts lie in. */
  #owned: Buffer[] = NONE;

  /** Whether all of it lies in one buffer. */
  get isOneBuffer(): boolean {
    return this.#parts === NONE;
  }

  // --- Gathering

  /** A buffer with room for `size` bytes from `position` on. */
  reserve(size: number): Uint8Array {
    const fill = this.#fill;
    if (fill === undefined) {
      this.#fill = takeBuffer(size);
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
    this.#own(fill);
    this.#fill = takeBuffer(size);
    this.#fillStart = 0;
    this.position = 0;
    return this.#fill;
  }

  commit(end: number): void {
    this.bytes += end - this.position;
    this.position = end;
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
    this.#addPart(bytes);
    this.bytes += length;
  }

  #addPart(bytes: Uint8Array): void {
    if (this.#parts === NONE) this.#parts = [bytes];
    else this.#parts.push(bytes);
  }

  #own(buffer: Buffer): void {
    if (this.#owned === NONE) this.#owned = [buffer];
    else this.#owned.push(buffer);
  }

  #fillToParts(fill: Buffer): void {
    if (this.position === this.#fillStart) return;
    this.#addPart(fill.subarray(this.#fillStart, this.position));
    this.#fillStart = this.position;
  }

  // --- Writing

  /** All of it, where `isOneBuffer`. */
  takeBytes(): Uint8Array {
    const fill = this.#fill as Buffer;
    this.bytes = 0;
    return fill.subarray(0, this.position);
  }

  /**
   * Hands the stream as many parts as make a piece; returns their size.
   * @param onTaken is called when it has taken the last.
   */
  writePiece(stream: Writable, pieceSize: number, onTaken?: WriteCallback): number {
    if (this.#fill !== undefined) this.#fillToParts(this.#fill);
    let size = 0;
    stream.cork();
    while (size < pieceSize && this.#partsAt < this.#parts.length) {
      const part = this.#parts[this.#partsAt] as Uint8Array;
      const fits = part.length <= pieceSize - size;
      const bytes = fits ? part : part.subarray(0, pieceSize - size);
      size += bytes.length;
      const isLast = size === pieceSize || (fits && this.#partsAt + 1 === this.#parts.length);
      if (isLast && onTaken !== undefined) stream.write(bytes, onTaken);
      else stream.write(bytes);
      if (fits) this.#partsAt++;
      else this.#parts[this.#partsAt] = part.subarray(bytes.length);
    }
    stream.uncork();
    this.bytes -= size;
    return size;
  }

  /**
   * Ends the batch, whose memory goes back to the pool.
   * @param reusesBuffers whether nobody reads its buffers any more.
   */
  release(reusesBuffers: boolean): void {
    if (reusesBuffers) {
      if (this.#fill !== undefined) returnBuffer(this.#fill);
      for (const buffer of this.#owned) returnBuffer(buffer);
    }
    this.#fill = undefined;
    this.#fillStart = 0;
    this.#parts = NONE;
    this.#partsAt = 0;
    this.#owned = NONE;
    this.position = 0;
    this.bytes = 0;
    this.messages = 0;
    if (free.length < KEPT) free.push(this);
  }
}

/** How a stream tells that it has taken a write, or failed. */
export type WriteCallback = (error: Error | null | undefined) => void;

/** Shared by all batches that have none; never added to. */
const NONE: never[] = [];
