import type { CompressionCounters } from '../protocol/extensions/compression-counters.ts';

/** What a server has done since it was started. All but `open` only ever grow. */
export interface ServerMetrics {
  readonly connections: {
    /** There now, closing ones among them. */
    readonly open: number;
    readonly opened: number;
    /** Opening handshakes that were not granted, by why: a code of the error table, or the application's `status 401`. */
    readonly refused: Readonly<Record<string, number>>;
    /** Connections that have ended, by close code (RFC 6455 7.1.5). */
    readonly closed: Readonly<Record<number, number>>;
  };
  readonly messages: {
    readonly received: number;
    /** Handed to connections, a published one once for each subscriber. */
    readonly sent: number;
    /** Dropped by the policies for slow peers. */
    readonly dropped: number;
    /** Published here, and perhaps not on other servers. */
    readonly unpublished: number;
  };
  /** On the wire, frame headers included, TLS and HTTP/2 not. */
  readonly bytes: { readonly received: number; readonly sent: number };
  /** How often messages of other servers may have been lost on their way here, by topic and subscriber list. */
  readonly gaps: number;
  readonly compression: CompressionCounters;
  /** Handlers that threw, and what else went to `onError`. */
  readonly errors: number;
}

/** Counts by kind. */
export class Tally<K extends string | number> {
  readonly #counts = new Map<K, number>();

  add(kind: K): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
  }

  get counts(): Record<K, number> {
    return Object.fromEntries(this.#counts) as Record<K, number>;
  }
}
