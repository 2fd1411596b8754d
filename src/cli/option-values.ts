import { UsageError } from './usage.ts';

/**
 * The whole number that an option's text means.
 * @throws {UsageError} where it is none, or not from `least` to `most`.
 */
export function wholeNumber(option: string, text: string, least: number, most?: number): number {
  const value = Number(text);
  const largest = most ?? Number.MAX_SAFE_INTEGER;
  if (/^\d+$/.test(text) && value >= least && value <= largest) return value;
  const range = most === undefined ? `of ${least} or more` : `from ${least} to ${most}`;
  throw new UsageError(`${option} takes a whole number ${range}, not ${JSON.stringify(text)}`);
}

/** @throws {UsageError} where the text is no number of seconds. */
export function seconds(option: string, text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value <= 1_000_000) return value;
  throw new UsageError(`${option} takes seconds, such as 2 or 0.5, not ${JSON.stringify(text)}`);
}
