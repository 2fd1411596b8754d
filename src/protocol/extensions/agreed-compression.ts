import type { FrameSender } from '../frames/frame-sender.ts';
import type { Limits } from '../limits.ts';
import { MessageDeflater, SharedDeflate } from '../messages/message-deflater.ts';
import { type InflateSettings, MessageInflater } from '../messages/message-inflater.ts';
import type { Platform } from '../platform.ts';
import type { Compression, DeflateParameters } from './compression.ts';
import type { CompressionCounters } from './compression-counters.ts';
import type { DeflateAgreement, ResolvedCompression } from './permessage-deflate.ts';

/** What zlib can compress with at least; a peer that can take less gets its messages uncompressed. */
const LEAST_WINDOW_BITS = 9;

/** What was agreed on, and what it is done with. */
export interface CompressionSettings {
  readonly agreement: DeflateAgreement;
  readonly options: ResolvedCompression;
  readonly port: Compression;
  readonly counters: CompressionCounters;
}

/** How connections with one agreement compress and inflate. One for all of them that share their settings. */
export class AgreedCompression {
  readonly #agreement: DeflateAgreement;
  readonly #port: Compression;
  readonly #parameters: DeflateParameters;
  readonly #deflate: SharedDeflate | undefined = undefined;
  readonly #inflate: InflateSettings;
  /** Where no message refers to another, one for all connections. */
  readonly #deflater: MessageDeflater | undefined = undefined;
  readonly #inflater: MessageInflater | undefined = undefined;

  constructor(
    { agreement, options, port, counters }: CompressionSettings,
    platform: Platform,
    limits: Limits,
    sender: FrameSender,
  ) {
    const { level, memLevel, threshold } = options;
    const windowBits = agreement.deflateWindowBits;
    this.#agreement = agreement;
    this.#port = port;
    this.#parameters = { windowBits, level, memLevel };
    this.#inflate = { platform, limits, counter: counters.inflated };
    if (windowBits >= LEAST_WINDOW_BITS) {
      const shared = port.sharedDeflater(this.#parameters);
      const counter = counters.deflated;
      this.#deflate = new SharedDeflate({ platform, sender, threshold, shared, counter });
      if (!agreement.deflateTakeover) this.#deflater = new MessageDeflater(this.#deflate);
    }
    if (!agreement.inflateTakeover) {
      this.#inflater = new MessageInflater(this.#inflate, port.sharedInflater(), false);
    }
  }

  /** For a connection that is about to send its first message; undefined where none is compressed. */
  newDeflater(): MessageDeflater | undefined {
    if (this.#deflater !== undefined || this.#deflate === undefined) return this.#deflater;
    return new MessageDeflater(this.#deflate, () => this.#port.ownDeflater(this.#parameters));
  }

  /** For a connection that has got its first compressed message. */
  newInflater(): MessageInflater {
    if (this.#inflater !== undefined) return this.#inflater;
    const inflater = this.#port.ownInflater(this.#agreement.inflateWindowBits);
    return new MessageInflater(this.#inflate, inflater, true);
  }
}
