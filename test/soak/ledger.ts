import { count } from './samples.ts';

/** What went wrong with the messages of topics, of all subscribers together. */
export class LedgerTotals {
  received = 0;
  /** Missing, without anybody having said so. */
  lost = 0;
  /** Missing, after a gap was told. */
  announced = 0;
  /** Dropped by the policy for slow peers, as the server says. */
  dropped = 0;
  gaps = 0;
  /** Came again, or after a later one. */
  repeated = 0;
  /** What is lost or repeated, by what kind of topic. */
  readonly wrong: Record<string, number> = {};
}

/** What one subscriber has had of one topic, whose messages are numbered. */
export class Ledger {
  readonly #name: string;
  readonly #totals: LedgerTotals;
  #next: number | undefined;
  #gapTold = false;
  /** Missing since the beginning, where a policy may drop. */
  #missing = 0;
  readonly #mayDrop: boolean;

  /**
   * @param name what kind of topic it is.
   * @param next the first that must come; undefined where any may be.
   * @param mayDrop what is missing is held against what the server says it has dropped, once the subscriber leaves.
   */
  constructor(name: string, totals: LedgerTotals, next: number | undefined, mayDrop = false) {
    this.#name = name;
    this.#totals = totals;
    this.#next = next;
    this.#mayDrop = mayDrop;
  }

  message(sequence: number): void {
    const next = this.#next ?? sequence;
    this.#totals.received += 1;
    if (sequence < next) {
      this.#totals.repeated += 1;
      count(this.#totals.wrong, `${this.#name}: repeated`);
      return;
    }
    this.#miss(sequence - next);
    this.#gapTold = false;
    this.#next = sequence + 1;
  }

  gap(): void {
    this.#totals.gaps += 1;
    this.#gapTold = true;
  }

  /** What is published is known: everything up to `last` must have come. */
  upTo(last: number): void {
    if (this.#next === undefined) return;
    this.#miss(Math.max(0, last + 1 - this.#next));
    this.#next = Math.max(this.#next, last + 1);
  }

  /** The subscriber leaves, and the server says how many it has not sent to it. */
  left(dropped: number): void {
    this.#totals.dropped += dropped;
    const lost = this.#missing - dropped;
    // More dropped than missing is as wrong: it came, or it was counted twice.
    this.#lose(Math.abs(lost), lost < 0 ? 'dropped, but came' : 'missing, not dropped');
    this.#missing = 0;
  }

  #miss(missing: number): void {
    if (missing === 0) return;
    if (this.#mayDrop) this.#missing += missing;
    else if (this.#gapTold) this.#totals.announced += missing;
    else this.#lose(missing, 'missing');
  }

  #lose(messages: number, how: string): void {
    if (messages === 0) return;
    this.#totals.lost += messages;
    count(this.#totals.wrong, `${this.#name}: ${how}`, messages);
  }
}
