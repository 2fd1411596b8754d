import type { ErrorCode } from '../errors.ts';
import { CORRUPT, type InflateJob, type Inflater } from '../extensions/compression.ts';
import { type CompressionCount, count } from '../extensions/compression-counters.ts';
import type { Limits } from '../limits.ts';
import type { Platform } from '../platform.ts';
import { type Message, wholeMessage } from './message-assembler.ts';

/** What is the same for all who inflate alike. */
export interface InflateSettings {
  readonly platform: Platform;
  readonly limits: Limits;
  readonly counter: CompressionCount;
}

/** How far a message may be inflated whatever its ratio. */
const FREE_BYTES = 64 * 1024;

/** A message, or why there is none. */
export type Inflated = { readonly message: Message } | { readonly error: ErrorCode };

/** Makes messages of compressed payloads (RFC 7692 7.2.2), within the limits. */
export class MessageInflater {
  readonly #settings: InflateSettings;
  readonly #inflater: Inflater;
  readonly #isOwn: boolean;

  /** @param isOwn whether the inflater is one connection's (context takeover). */
  constructor(settings: InflateSettings, inflater: Inflater, isOwn: boolean) {
    this.#settings = settings;
    this.#inflater = inflater;
    this.#isOwn = isOwn;
  }

  /** Whether a payload of that size is for `inflateLater`. */
  isLarge(size: number): boolean {
    return size > this.#inflater.laterAbove;
  }

  inflate(isText: boolean, bytes: Uint8Array, start: number, end: number): Inflated {
    const { platform, counter } = this.#settings;
    const inflater = this.#inflater;
    const startedAt = platform.clock();
    const length = inflater.inflate(bytes, start, end, this.#most(end - start));
    if (length < 0) return this.#failed(length, end - start);
    count(counter, end - start, length, platform.clock() - startedAt);
    return this.#message(isText, inflater.output, length, true);
  }

  /** On another thread. `payload` must not change until `done` is called, which it is not once cancelled. */
  inflateLater(
    isText: boolean,
    payload: Uint8Array,
    done: (inflated: Inflated) => void,
  ): InflateJob {
    const { platform, counter } = this.#settings;
    const startedAt = platform.clock();
    const size = payload.length;
    return this.#inflater.inflateLater(payload, this.#most(size), (result) => {
      if (typeof result === 'number') {
        done(this.#failed(result, size));
        return;
      }
      count(counter, size, result.length, platform.clock() - startedAt);
      done(this.#message(isText, result, result.length, false));
    });
  }

  #most(size: number): number {
    const { maxMessageBytes, maxInflationRatio } = this.#settings.limits;
    return Math.min(maxMessageBytes, Math.max(FREE_BYTES, Math.max(size, 1) * maxInflationRatio));
  }

  #failed(result: number, size: number): Inflated {
    // RFC 7692 7.2.2: what cannot be inflated is no message; RFC 6455 7.4.1: 1007 is for such data.
    if (result === CORRUPT) return { error: 'INFLATE_CORRUPT' };
    const isWholeLimit = this.#most(size) === this.#settings.limits.maxMessageBytes;
    return { error: isWholeLimit ? 'MESSAGE_TOO_BIG' : 'INFLATION_RATIO' };
  }

  #message(isText: boolean, bytes: Uint8Array, length: number, borrowed: boolean): Inflated {
    const { platform } = this.#settings;
    // RFC 6455 8.1: text must be UTF-8, which is judged once it is inflated (RFC 7692 6.2).
    const message = wholeMessage(platform, isText, bytes, 0, length, borrowed);
    return message === undefined ? { error: 'INVALID_UTF8' } : { message };
  }

  /** Gives back what is one connection's. */
  close(): void {
    if (this.#isOwn) this.#inflater.close();
  }
}
