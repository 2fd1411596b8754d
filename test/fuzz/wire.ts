import { Duplex } from 'node:stream';

/** A connection whose other side is the test: what it is given arrives at once, what is written to it is kept. */
export class Wire extends Duplex {
  readonly #written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#written.push(Buffer.from(chunk));
    done();
  }

  get written(): Buffer {
    return Buffer.concat(this.#written);
  }

  /** Each piece arrives in a turn of its own, and then the end. */
  async arrive(pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      if (this.destroyed || this.readableEnded) break;
      this.push(Buffer.from(piece));
      await turn();
    }
    // What an application does later is done by then.
    await turns(4);
    if (!this.destroyed) this.push(null);
    await turns(4);
    this.destroy();
    await turn();
  }
}

export async function turns(count: number): Promise<void> {
  for (let at = 0; at < count; at++) await turn();
}

export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
