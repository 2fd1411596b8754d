/** Reads what an input says about how it is used: options and sizes at its beginning, content after them. */
export class Input {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** The next byte; 0 behind the end. */
  byte(): number {
    return this.#bytes[this.#at++] ?? 0;
  }

  /** A copy of the next bytes, fewer at the end. */
  take(count: number): Uint8Array {
    const taken = this.#bytes.slice(this.#at, this.#at + count);
    this.#at += taken.length;
    return taken;
  }

  rest(): Uint8Array {
    return this.take(this.#bytes.length);
  }

  /** How the content is cut: a byte says how many sizes follow, which hold again and again. None: it is whole. */
  cuts(): number[] {
    const count = this.byte() & 7;
    return Array.from({ length: count }, () => sizeOf(this.byte()));
  }
}

/** Small sizes exactly, since what a cut does there matters most. */
function sizeOf(byte: number): number {
  return byte < 200 ? byte + 1 : (byte - 199) * 64;
}

/** Lines of text, one byte a character. */
export function linesOf(bytes: Uint8Array): string[] {
  return Buffer.from(bytes).toString('latin1').split('\n');
}
