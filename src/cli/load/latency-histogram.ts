/** Buckets between a power of two and the next: none is wider than 1/128 of what it holds. */
const SUB_BUCKETS = 128;
/** Bits of a double's high word below the part of the mantissa that tells the bucket. */
const BITS_BELOW = 13;
/** The high word of 1.0, and so the bucket of one microsecond. */
const BUCKET_OF_ONE = 1023 * SUB_BUCKETS;
const LONGEST_US = 3_600_000_000;

// The exponent and the mantissa's first bits of a double are its place on a log-linear scale.
const double = new Float64Array(1);
const words = new Uint32Array(double.buffer);
const highWord = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0;

function bucketOf(us: number): number {
  double[0] = us;
  return ((words[highWord] ?? 0) >>> BITS_BELOW) - BUCKET_OF_ONE;
}

const BUCKETS = bucketOf(LONGEST_US) + 1;

/** The middle of a bucket, in milliseconds. */
function middleOf(bucket: number): number {
  const place = ((bucket % SUB_BUCKETS) + 0.5) / SUB_BUCKETS;
  return (2 ** Math.floor(bucket / SUB_BUCKETS) * (1 + place)) / 1000;
}

/**
 * Counts latencies in fixed memory. Quantiles are true to 0.4 % from a microsecond to an hour; what is
 * shorter or longer counts as that. The mean and the maximum are exact.
 */
export class LatencyHistogram {
  readonly #buckets = new Float64Array(BUCKETS);
  #count = 0;
  #sum = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Milliseconds; undefined where nothing was recorded, as is `max` and any quantile. */
  get mean(): number | undefined {
    return this.#count === 0 ? undefined : this.#sum / this.#count;
  }

  get max(): number | undefined {
    return this.#count === 0 ? undefined : this.#max;
  }

  record(ms: number): void {
    this.#count++;
    this.#sum += ms;
    if (ms > this.#max) this.#max = ms;
    let bucket = bucketOf(ms * 1000);
    if (bucket < 0) bucket = 0;
    else if (bucket >= BUCKETS) bucket = BUCKETS - 1;
    (this.#buckets[bucket] as number)++;
  }

  /** The least that so many of all are no longer than: 0.5 is the median. In milliseconds. */
  quantile(fraction: number): number | undefined {
    if (this.#count === 0) return undefined;
    const rank = Math.max(1, Math.ceil(fraction * this.#count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#buckets[bucket] ?? 0;
      if (seen >= rank) return Math.min(middleOf(bucket), this.#max);
    }
    return this.#max;
  }

  /** How many took from `from` up to, and without, `to` milliseconds; to the width of a bucket. */
  countBetween(from: number, to: number): number {
    let count = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const middle = middleOf(bucket);
      if (middle >= from && middle < to) count += this.#buckets[bucket] ?? 0;
    }
    return count;
  }
}
