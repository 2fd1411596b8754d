/** The middle value, or the mean of the two in the middle; undefined of nothing. */
export function median(values: readonly number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  const lower = sorted[sorted.length - 1 - middle];
  return upper === undefined || lower === undefined ? undefined : (lower + upper) / 2;
}

export interface Spread {
  readonly least: number;
  readonly most: number;
}

/** From the least to the greatest; undefined of nothing. */
export function spreadOf(values: readonly number[]): Spread | undefined {
  if (values.length === 0) return undefined;
  return { least: Math.min(...values), most: Math.max(...values) };
}

/** Whether the two have a value in common. */
export function overlap(a: Spread, b: Spread): boolean {
  return a.least <= b.most && b.least <= a.most;
}
