import type { CompressionOptions } from '../index.ts';
import { wholeNumber } from './option-values.ts';
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
