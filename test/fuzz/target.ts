import type { Random } from '../random.ts';

/** A part of the library that is fuzzed. */
export interface Target {
  readonly name: string;
  /** What must hold for every input, in one sentence. */
  readonly invariant: string;
  /**
   * Throws where the invariant does not hold for the input. What it returns says in a word or a few what came of it;
   * inputs that bring something new are kept, as those that reach new code.
   */
  run(input: Uint8Array): string | Promise<string>;
  /** Makes an input with the shape that chance alone rarely finds. */
  generate?(random: Random): Uint8Array;
  /** Pieces that inputs are made of. */
  readonly words?: readonly Uint8Array[];
  /** Inputs are at most this long. Default 2,048 bytes. */
  readonly maxBytes?: number;
}
