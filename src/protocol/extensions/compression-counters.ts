/** What compression has done in one direction. */
export interface CompressionCount {
  messages: number;
  /** Bytes of payload before it. */
  bytesIn: number;
  /** Bytes of payload after it. */
  bytesOut: number;
  /** Time it took, in milliseconds; for large messages on another thread, with their wait for it. */
  milliseconds: number;
}

/** What compression has done. A message that was compressed once for many peers counts once. */
export interface CompressionCounters {
  readonly deflated: CompressionCount;
  readonly inflated: CompressionCount;
}

export function newCounters(): CompressionCounters {
  const none = { messages: 0, bytesIn: 0, bytesOut: 0, milliseconds: 0 };
  return { deflated: { ...none }, inflated: { ...none } };
}

/** Counts a message, and the time since `startedAt`. */
export function count(
  to: CompressionCount,
  bytesIn: number,
  bytesOut: number,
  milliseconds: number,
): void {
  to.messages++;
  to.bytesIn += bytesIn;
  to.bytesOut += bytesOut;
  to.milliseconds += milliseconds;
}
