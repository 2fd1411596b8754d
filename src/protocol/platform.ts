import type { UnfinishedData } from './unfinished-data.ts';

/**
 * The ports of the core: what it needs from outside and ES2023 does not have. src/node/node-platform.ts
 * is one implementation; a test may bring its own.
 */
export interface Platform {
  /** What unfinished messages hold: one for the whole process. */
  readonly unfinished: UnfinishedData;
  /** Whether the bytes are well-formed UTF-8, whole. */
  isUtf8(bytes: Uint8Array): boolean;
  /** The text in `bytes[start, end)`, or undefined where it is not well-formed UTF-8. */
  decodeUtf8(bytes: Uint8Array, start: number, end: number): string | undefined;
  /** How many bytes `text` takes as UTF-8; an unpaired surrogate counts as U+FFFD, three bytes. */
  utf8Length(text: string): number;
  /**
   * Writes `text` as UTF-8 at `at`, where there is room for it; returns the number of bytes.
   * @param length that number, where `utf8Length` was asked for it already.
   */
  encodeUtf8(text: string, target: Uint8Array, at: number, length?: number): number;
  /** Memory for a message or for frames, with whatever is in it, of the kind that is quickest to send. */
  allocate(size: number): Uint8Array;
  /** As `allocate`, for what is sent soon and then forgotten: small ones share memory. */
  allocateBrief(size: number): Uint8Array;
  /** As `allocate`, perhaps larger, for a while: `returnScratch` gives it back. To lose it is no harm. */
  takeScratch(size: number): Uint8Array;
  returnScratch(bytes: Uint8Array): void;
  /** Fills `bytes` from a cryptographically strong source (RFC 6455 10.3). */
  fillRandom(bytes: Uint8Array): void;
  /** A fresh mask, all of its 32 bits from that source (RFC 6455 5.3). */
  randomMask(): number;
  /** Milliseconds with their fractions, to tell how long something took. */
  clock(): number;
  /** The SHA-1 of an ASCII text, in base64 (RFC 6455 4.2.2). */
  sha1Base64(text: string): string;
}
