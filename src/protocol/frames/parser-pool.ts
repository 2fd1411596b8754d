import { FrameParser } from './frame-parser.ts';

/** More than a few are never free at once: a parser is lent for a call, and longer only to the unfinished. */
const KEPT = 16;

/** Parsers for many connections, each of which needs one only while it is in the middle of something. */
export class ParserPool {
  readonly #mustBeMasked: boolean;
  readonly #mayBeCompressed: boolean;
  readonly #free: FrameParser[] = [];

  /** The parameters are the parsers'. */
  constructor(mustBeMasked: boolean, mayBeCompressed: boolean) {
    this.#mustBeMasked = mustBeMasked;
    this.#mayBeCompressed = mayBeCompressed;
  }

  take(): FrameParser {
    return this.#free.pop() ?? new FrameParser(this.#mustBeMasked, this.#mayBeCompressed);
  }

  /** Takes back one that has nothing unfinished and has not failed. */
  giveBack(parser: FrameParser): void {
    if (this.#free.length < KEPT) this.#free.push(parser);
  }
}
