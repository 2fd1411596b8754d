const SMALL = 65_536;
/** A message of 1 MiB, which is the usual limit, does not fill it. */
const MEDIUM = 1_048_576 + 65_536;
/** The system gives memory when it is written to: up to here, what may be needed is asked for at once. */
const LARGE = 67_108_864;

/**
 * The length of the buffer that follows one of `length` bytes, for an output of at most `maxBytes`: one byte
 * more shows that it is too long.
 */
export function grownLength(length: number, maxBytes: number): number {
  // A buffer that fills while another is copied from would make the peak more than `maxBytes`. Only where
  // the limit is above 64 MiB this happens, and the peak is a quarter more.
  return Math.min(maxBytes + 1, Math.max(4 * length, length < MEDIUM ? MEDIUM : LARGE));
}

/**
 * Where all of a kind leave a result for the moment. 64 KiB are kept, and somewhat more than 1 MiB once that
 * was needed.
 */
export class SharedOutput {
  readonly #small: Uint8Array = Buffer.allocUnsafeSlow(SMALL);
  #medium: Uint8Array | undefined;
  #buffer: Uint8Array = this.#small;

  get buffer(): Uint8Array {
    return this.#buffer;
  }

  /** A buffer of at least `length` bytes; what was written before is lost. */
  begin(length: number = SMALL): Uint8Array {
    if (length <= SMALL) this.#buffer = this.#small;
    else this.#enlarge(length);
    return this.#buffer;
  }

  /** The next larger buffer for up to `maxBytes`; the bytes of the one before are in it. */
  grow(maxBytes: number): Uint8Array {
    const full = this.#buffer;
    this.#enlarge(grownLength(full.length, maxBytes));
    this.#buffer.set(full);
    return this.#buffer;
  }

  #enlarge(length: number): void {
    if (length <= MEDIUM) {
      this.#medium ??= Buffer.allocUnsafeSlow(MEDIUM);
      this.#buffer = this.#medium;
      return;
    }
    const large = Buffer.allocUnsafeSlow(length);
    this.#buffer = large;
    // It is used at once or never: one message's memory is not to stay until the next.
    setImmediate(() => {
      if (this.#buffer === large) this.#buffer = this.#small;
    });
  }
}
