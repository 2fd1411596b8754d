import type { CompressionOptions } from '../index.ts';
import { UsageError } from './usage.ts';

/** The options for compression that all commands share. */
export const compressionOptionTypes = {
  deflate: { type: 'boolean' },
  takeover: { type: 'boolean' },
  threshold: { type: 'string' },
} as const;

/**
 * What a command line says about compression: nothing without `--deflate`.
 * @throws {UsageError}
 */
export function compressionOption(values: {
  readonly deflate?: boolean | undefined;
  readonly takeover?: boolean | undefined;
  readonly threshold?: string | undefined;
}): false | CompressionOptions {
  const { deflate = false, takeover, threshold } = values;
  if (!deflate) {
    if (takeover !== undefined) throw new UsageError('--takeover goes with --deflate');
    if (threshold !== undefined) throw new UsageError('--threshold goes with --deflate');
    return false;
  }
  return {
    takeover: takeover === true,
    ...(threshold === undefined ? {} : { threshold: wholeNumber('--threshold', threshold, 0) }),
  };
}

/** @throws {UsageError} where the text is not a whole number of at least `least`. */
export function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
  throw new UsageError(
    `${option} takes a whole number of ${least} or more, not ${JSON.stringify(text)}`,
  );
}
