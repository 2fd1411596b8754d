import { Duplex } from 'node:stream';
import { nextTurn } from './next-turn.ts';

/** What may be on its way to one side before a write to it has to wait: the buffers of a socket. */
const ON_ITS_WAY = 64 * 1024;
/** What a side takes in while nobody reads it. Node's own default is another with each version. */
const TAKEN_IN = 16 * 1024;

/**
 * One of two connected streams, which behave as sockets do: what is written is copied, and arrives in a later
 * turn of the event loop, all of a turn in one piece; what nobody reads makes the writer wait; the other side
 * of one that was destroyed reads what was written before, and then the end. What is written to it after that
 * is lost. Nothing here keeps the process alive but what is on its way.
 */
class MemoryDuplex extends Duplex {
  readonly other: MemoryDuplex;
  #onItsWay: Buffer[] = [];
  #bytesOnTheirWay = 0;
  /** The other side's write that waits for room. */
  #onRoom: (() => void) | undefined = undefined;
  /** Whether the other side writes no more. */
  #isLast = false;
  #wantsMore = false;
  #turnAsked = false;

  constructor(other?: MemoryDuplex) {
    super({ highWaterMark: TAKEN_IN });
    this.other = other ?? new MemoryDuplex(this);
  }

  override _read(): void {
    this.#wantsMore = true;
    if (this.#bytesOnTheirWay > 0) this.#askForTurn();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.other.#take(chunk, done);
  }

  override _final(done: () => void): void {
    this.other.#takeEnd();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#onItsWay = [];
    this.#bytesOnTheirWay = 0;
    this.#askForTurn();
    this.other.#takeEnd();
    done(error);
  }

  #take(chunk: Buffer, done: () => void): void {
    if (this.destroyed || chunk.length === 0) {
      done();
      return;
    }
    this.#onItsWay.push(Buffer.from(chunk));
    this.#bytesOnTheirWay += chunk.length;
    if (this.#bytesOnTheirWay > ON_ITS_WAY) this.#onRoom = done;
    else done();
    this.#askForTurn();
  }

  #takeEnd(): void {
    this.#isLast = true;
    this.#askForTurn();
  }

  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    nextTurn(() => this.#turn());
  }

  #turn(): void {
    this.#turnAsked = false;
    if (this.#bytesOnTheirWay > 0 && this.#wantsMore) {
      const arrived = Buffer.concat(this.#onItsWay);
      this.#onItsWay = [];
      this.#bytesOnTheirWay = 0;
      this.#wantsMore = false;
      this.push(arrived);
    }
    if (this.#bytesOnTheirWay > 0) return;
    const onRoom = this.#onRoom;
    this.#onRoom = undefined;
    onRoom?.();
    // Of what waited for room there may be more.
    if (this.#isLast && this.#bytesOnTheirWay === 0 && !this.destroyed) this.push(null);
  }
}

/** Two streams; what is written to one can be read from the other. */
export function connectedDuplexes(): readonly [Duplex, Duplex] {
  const one = new MemoryDuplex();
  return [one, one.other];
}
