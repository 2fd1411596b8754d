import { AsyncResource } from 'node:async_hooks';
import type { InflateRaw } from 'node:zlib';
import { CORRUPT, TOO_LONG } from '../../protocol/extensions/compression.ts';
import { type Job, jobs } from './job-queue.ts';
import { MAX_WINDOW_BITS, openInflater } from './kept-context.ts';
import { CLOSING_TAIL, endsAllowed, isWhole, SYNC_TAIL, wholeLimit } from './payload-end.ts';
import { grownLength } from './shared-output.ts';

/**
 * Payloads longer than this are better inflated on another thread. On the calling thread each 64 KiB of
 * output cost 40 us, 250 us for a payload of 64 KiB of JSON; the way through another thread, which goes back
 * and forth for each 64 KiB of output, costs the calling thread some 100 us and 35 us for each of these.
 */
export const INFLATE_LATER_ABOVE = 131_072;

export type Inflated = Uint8Array | typeof CORRUPT | typeof TOO_LONG;

/** Whose streams a job inflates with. */
export interface InflateContext {
  readonly tail: Uint8Array;
  /** The stream for a message, asked for when its turn has come. */
  begin(): InflateRaw;
  /** A stream without history, for what follows a final block; the job has destroyed the one before. */
  renew(): InflateRaw;
  /**
   * Called once for each `begin`, before the receiver is. The last stream is to be destroyed, but where it is
   * to be kept and there is a `result`: from `since` on that is its history.
   */
  end(stream: InflateRaw, result: Uint8Array | undefined, since: number): void;
}

/** Of messages that refer to none before. A new stream takes 20 us. */
export const singleMessages: InflateContext = {
  tail: CLOSING_TAIL,
  begin: () => openInflater(MAX_WINDOW_BITS),
  renew: () => openInflater(MAX_WINDOW_BITS),
  end: (stream) => stream.destroy(),
};

/** One message inflated on another thread, by a public stream. */
export class InflateJob implements Job {
  readonly #context: InflateContext;
  #bytes: Uint8Array;
  readonly #maxBytes: number;
  #done: ((inflated: Inflated) => void) | undefined;
  #stream: InflateRaw | undefined;
  /** How much the stream had taken before this job. */
  #takenBefore = 0;
  /** What is before that is inflated; the streams before ended there. */
  #at = 0;
  #ends = 0;
  /** The output of the streams before is before that. */
  #since = 0;
  #filledBeforeTail = 0;
  #output: Uint8Array = new Uint8Array(0);
  #filled = 0;

  constructor(
    context: InflateContext,
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Inflated) => void,
  ) {
    this.#context = context;
    this.#bytes = bytes;
    this.#maxBytes = wholeLimit(maxBytes);
    // A stream calls from where it was made, which may be another connection's context.
    this.#done = AsyncResource.bind(done);
    jobs.add(this);
  }

  /** From now on `done` is not called. Returns whether a thread may be at work: then it ends later. */
  cancel(): boolean {
    this.#done = undefined;
    if (!jobs.remove(this)) return this.#stream !== undefined;
    this.#bytes = this.#output;
    return false;
  }

  /** Who does not want it cancels it. */
  isWanted(): boolean {
    return true;
  }

  start(): void {
    this.#begin(this.#context.begin());
  }

  #begin(stream: InflateRaw): void {
    this.#stream = stream;
    this.#takenBefore = stream.bytesWritten;
    stream.on('data', this.#onData).on('error', this.#onError);
    if (this.#bytes.length === 0) {
      // As `inflate` has it: no payload is no output, and changes nothing.
      setImmediate(this.#onNothing);
      return;
    }
    stream.write(this.#bytes.subarray(this.#at), this.#onPayload);
    stream.write(this.#context.tail, this.#onTail);
  }

  readonly #onData = (chunk: Uint8Array): void => {
    const filled = this.#filled + chunk.length;
    if (this.#done === undefined) this.#end(CORRUPT);
    else if (filled > this.#maxBytes) this.#end(TOO_LONG);
    else this.#append(chunk, filled);
  };

  readonly #onError = (): void => {
    this.#end(CORRUPT);
  };

  readonly #onNothing = (): void => {
    this.#end(this.#result());
  };

  readonly #onPayload = (): void => {
    this.#filledBeforeTail = this.#filled;
  };

  readonly #onTail = (): void => {
    const stream = this.#stream;
    // It was destroyed, and with it what it had still to do.
    if (stream === undefined) return;
    const taken = stream.bytesWritten - this.#takenBefore;
    const used = taken - (this.#bytes.length - this.#at);
    const { tail } = this.#context;
    if (used >= 0) {
      const whole = isWhole(used) && this.#filled === this.#filledBeforeTail;
      // The stream has ended, though there are messages to come.
      if (whole && tail === SYNC_TAIL && used < tail.length) this.#stream = this.#renew(stream);
      this.#end(whole ? this.#result() : CORRUPT);
    } else if (this.#done === undefined || ++this.#ends > endsAllowed(this.#bytes.length)) {
      this.#end(CORRUPT);
    } else {
      // RFC 7692 7.2.3.4: blocks may be final, and others may follow.
      this.#at += taken;
      this.#begin(this.#renew(stream));
    }
  };

  #renew(stream: InflateRaw): InflateRaw {
    this.#release(stream);
    stream.destroy();
    this.#since = this.#filled;
    return this.#context.renew();
  }

  #append(chunk: Uint8Array, filled: number): void {
    if (this.#filled === 0) {
      this.#output = chunk;
    } else {
      if (filled > this.#output.length) {
        const larger = Buffer.allocUnsafeSlow(grownLength(this.#output.length, this.#maxBytes));
        larger.set(this.#output.subarray(0, this.#filled));
        this.#output = larger;
      }
      this.#output.set(chunk, this.#filled);
    }
    this.#filled = filled;
  }

  #result(): Uint8Array {
    const inflated = this.#output.subarray(0, this.#filled);
    // What may be kept for long is not to keep much more with it.
    return 2 * this.#filled < inflated.buffer.byteLength ? new Uint8Array(inflated) : inflated;
  }

  #release(stream: InflateRaw): void {
    stream.off('data', this.#onData).off('error', this.#onError);
    this.#stream = undefined;
  }

  #end(inflated: Inflated): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#release(stream);
    const kept = typeof inflated === 'number' || this.#done === undefined ? undefined : inflated;
    this.#context.end(stream, kept, this.#since);
    jobs.ended();
    this.#done?.(inflated);
  }
}
