import assert from 'node:assert/strict';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import type { CompressionSettings } from '../../dist/protocol/extensions/agreed-compression.js';
import {
  CORRUPT,
  type Compression,
  type DeflateParameters,
  type Deflater,
  type InflateJob,
  type Inflater,
  TOO_LONG,
} from '../../dist/protocol/extensions/compression.js';
import { newCounters } from '../../dist/protocol/extensions/compression-counters.js';
import {
  type CompressionOptions,
  type DeflateAgreement,
  resolveCompression,
} from '../../dist/protocol/extensions/permessage-deflate.js';

/** What a payload leaves out at its end (RFC 7692 7.2.1). */
const TAIL = Buffer.of(0x00, 0x00, 0xff, 0xff);
/** Behind it this ends the stream, so that zlib complains of a payload that was cut off. */
const FINAL_BLOCK = Buffer.of(0x01, 0x00, 0x00, 0xff, 0xff);
const NOTHING = Buffer.alloc(0);
const LARGEST_WINDOW = 32 * 1024;

type Inflated = Uint8Array | typeof CORRUPT | typeof TOO_LONG;

/** One message's payload, in the plainest way. */
export function deflateOnce(data: string | Uint8Array): Uint8Array {
  const deflated = deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH });
  assert.deepEqual(deflated.subarray(-4), TAIL);
  return Uint8Array.from(deflated.subarray(0, -4));
}

/** The message that a payload is. */
export function inflateOnce(payload: Uint8Array | readonly number[]): Uint8Array {
  return Uint8Array.from(inflateRawSync(Buffer.concat([Buffer.from(payload), TAIL, FINAL_BLOCK])));
}

/** Memory with rubbish behind what it is for. */
function outputOf(bytes: Uint8Array): Uint8Array {
  const output = new Uint8Array(bytes.length + 7).fill(0xdd);
  output.set(bytes);
  return output;
}

/** What was asked for, in order. */
interface Call {
  readonly text: string;
  /** What `deflate` was told; undefined for the rest. */
  readonly fresh?: boolean;
  readonly maxBytes?: number;
  readonly later: boolean;
}

/** What a `Deflater` and an `Inflater` have in common. */
class TestContext {
  readonly isOwn: boolean;
  readonly calls: Call[] = [];
  closes = 0;
  output: Uint8Array = new Uint8Array(0);
  protected history: Buffer = NOTHING;
  protected readonly port: TestCompression;

  constructor(port: TestCompression, isOwn: boolean) {
    this.port = port;
    this.isOwn = isOwn;
  }

  /** Whoever still reads what was put out before reads rubbish. */
  protected putOut(bytes: Uint8Array): number {
    this.output.fill(0xee);
    this.output = outputOf(bytes);
    return bytes.length;
  }

  close(): void {
    assert.ok(this.isOwn, 'what is shared is never closed');
    this.closes++;
  }
}

export class TestDeflater extends TestContext implements Deflater {
  readonly parameters: DeflateParameters;

  constructor(port: TestCompression, isOwn: boolean, parameters: DeflateParameters) {
    super(port, isOwn);
    this.parameters = parameters;
    assert.ok(parameters.windowBits >= 9 && parameters.windowBits <= 15);
  }

  get laterAbove(): number {
    return this.port.deflateLaterAbove;
  }

  deflate(bytes: Uint8Array, start: number, end: number, fresh: boolean): number {
    assert.equal(this.closes, 0);
    assert.ok(fresh || this.isOwn, 'what is shared remembers nothing');
    const message = Buffer.from(bytes.slice(start, end));
    this.calls.push({ text: String(message), fresh, later: false });
    if (fresh) this.history = NOTHING;
    const deflated = this.#deflated(message, this.history);
    this.history = Buffer.concat([this.history, message]).subarray(-LARGEST_WINDOW);
    return this.putOut(deflated);
  }

  deflateLater(
    bytes: Uint8Array,
    done: (compressed: Uint8Array) => void,
    isWanted: () => boolean = () => true,
  ): void {
    assert.equal(this.closes, 0);
    const message = Buffer.from(Uint8Array.from(bytes));
    this.calls.push({ text: String(message), later: true });
    this.port.waiting.push(() => {
      if (!isWanted()) return;
      assert.ok(message.equals(bytes), 'it must not change');
      done(Uint8Array.from(this.#deflated(message, NOTHING)));
    });
  }

  #deflated(message: Uint8Array, dictionary: Buffer): Uint8Array {
    const deflated = deflateRawSync(message, {
      ...this.parameters,
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(dictionary.length > 0 && { dictionary }),
    });
    assert.deepEqual(deflated.subarray(-4), TAIL);
    return deflated.subarray(0, -4);
  }
}

export class TestInflater extends TestContext implements Inflater {
  readonly windowBits: number;
  cancelled = 0;
  #isBroken = false;
  #isBusy = false;

  constructor(port: TestCompression, isOwn: boolean, windowBits: number) {
    super(port, isOwn);
    this.windowBits = windowBits;
    assert.ok(windowBits >= 8 && windowBits <= 15);
  }

  get laterAbove(): number {
    return this.port.inflateLaterAbove;
  }

  inflate(bytes: Uint8Array, start: number, end: number, maxBytes: number): number {
    const payload = Uint8Array.from(bytes.subarray(start, end));
    this.#called(payload, maxBytes, false);
    const inflated = this.#inflated(payload, maxBytes);
    return typeof inflated === 'number' ? inflated : this.putOut(inflated);
  }

  inflateLater(
    bytes: Uint8Array,
    maxBytes: number,
    done: (inflated: Inflated) => void,
  ): InflateJob {
    const payload = Uint8Array.from(bytes);
    this.#called(payload, maxBytes, true);
    this.#isBusy = this.isOwn;
    let isWanted = true;
    this.port.waiting.push(() => {
      if (this.closes > 0 || !isWanted) return;
      assert.ok(Buffer.from(payload).equals(bytes), 'it must not change');
      isWanted = false;
      this.#isBusy = false;
      done(this.#inflated(payload, maxBytes));
    });
    return {
      cancel: () => {
        assert.ok(isWanted, 'it is done, or was cancelled before');
        isWanted = false;
        this.cancelled++;
      },
    };
  }

  #called(payload: Uint8Array, maxBytes: number, later: boolean): void {
    assert.equal(this.closes, 0);
    assert.ok(!this.#isBroken, 'not to be used after it has failed');
    assert.ok(!this.#isBusy, 'one after the other');
    this.calls.push({ text: Buffer.from(payload).toString('hex'), maxBytes, later });
  }

  #inflated(payload: Uint8Array, maxBytes: number): Inflated {
    // As others read it, though RFC 7692 7.2.3.6 has one byte for an empty message.
    if (payload.length === 0) return NOTHING;
    try {
      const inflated = inflateRawSync(Buffer.concat([payload, TAIL, FINAL_BLOCK]), {
        windowBits: this.windowBits,
        maxOutputLength: Math.min(maxBytes, 2 ** 31 - 1),
        ...(this.history.length > 0 && { dictionary: this.history }),
      });
      if (this.isOwn) {
        this.history = Buffer.concat([this.history, inflated]).subarray(-(2 ** this.windowBits));
      }
      return Uint8Array.from(inflated);
    } catch (error) {
      this.#isBroken = this.isOwn;
      const isTooLong = error instanceof RangeError && 'code' in error;
      return isTooLong && error.code === 'ERR_BUFFER_TOO_LARGE' ? TOO_LONG : CORRUPT;
    }
  }
}

/** The port for compression on zlib's public synchronous calls; what is for another thread is done by the test. */
export class TestCompression implements Compression {
  deflateLaterAbove = Number.POSITIVE_INFINITY;
  inflateLaterAbove = Number.POSITIVE_INFINITY;
  /** All there are, in the order in which they were asked for. */
  readonly deflaters: TestDeflater[] = [];
  readonly inflaters: TestInflater[] = [];
  /** What is being done on another thread. */
  readonly waiting: (() => void)[] = [];

  sharedDeflater(parameters: DeflateParameters): TestDeflater {
    const { windowBits, level, memLevel } = parameters;
    const found = this.deflaters.find(
      ({ isOwn, parameters: its }) =>
        !isOwn && its.windowBits === windowBits && its.level === level && its.memLevel === memLevel,
    );
    return found ?? this.#add(new TestDeflater(this, false, parameters));
  }

  ownDeflater(parameters: DeflateParameters): TestDeflater {
    return this.#add(new TestDeflater(this, true, parameters));
  }

  #add(deflater: TestDeflater): TestDeflater {
    this.deflaters.push(deflater);
    return deflater;
  }

  sharedInflater(): TestInflater {
    const found = this.inflaters.find(({ isOwn }) => !isOwn);
    if (found !== undefined) return found;
    const inflater = new TestInflater(this, false, 15);
    this.inflaters.push(inflater);
    return inflater;
  }

  ownInflater(windowBits: number): TestInflater {
    const inflater = new TestInflater(this, true, windowBits);
    this.inflaters.push(inflater);
    return inflater;
  }

  /** Another thread is done with what it was given first; false where there is nothing. */
  finishOne(): boolean {
    const first = this.waiting.shift();
    first?.();
    return first !== undefined;
  }
}

export const NO_TAKEOVER: DeflateAgreement = {
  deflateTakeover: false,
  deflateWindowBits: 15,
  inflateTakeover: false,
  inflateWindowBits: 15,
};

export const TAKEOVER: DeflateAgreement = {
  ...NO_TAKEOVER,
  deflateTakeover: true,
  inflateTakeover: true,
};

/** The same agreement as the other side sees it. */
export function mirrored(agreement: DeflateAgreement): DeflateAgreement {
  return {
    deflateTakeover: agreement.inflateTakeover,
    deflateWindowBits: agreement.inflateWindowBits,
    inflateTakeover: agreement.deflateTakeover,
    inflateWindowBits: agreement.deflateWindowBits,
  };
}

/** What connections need that compress; each message is compressed, unless a threshold is given. */
export function compressionSettings(
  agreement: DeflateAgreement = NO_TAKEOVER,
  given: CompressionOptions = {},
): CompressionSettings & { readonly port: TestCompression } {
  const options = resolveCompression({ threshold: 0, ...given });
  assert.ok(options);
  return { agreement, options, port: new TestCompression(), counters: newCounters() };
}
