/** What the server under test does wrong on purpose, so that it is seen that the soak notices. */
export const knownFaults = [
  'lose-message',
  'repeat-message',
  'hide-gaps',
  'deaf-to-silence',
  'leak-memory',
  'leak-handles',
  'throw-in-handler',
] as const;
export type Fault = (typeof knownFaults)[number];

/** What is asked of a run. */
export interface Plan {
  readonly durationMs: number;
  /** Members, slow readers not counted. */
  readonly connections: number;
  readonly seed: number;
  readonly pingAfterMs: number;
  readonly pingTimeoutMs: number;
  readonly faults: readonly Fault[];
}

/** Time for an opening handshake, and for a message from its first byte to its last. */
export const HANDSHAKE_TIMEOUT_MS = 4_000;
export const MESSAGE_TIMEOUT_MS = 2_000;
/** The limits on which malformed connections break. */
export const MALFORMED_MESSAGE_BYTES = 64 * 1024;
export const MALFORMED_FRAGMENTS = 64;

/** How many members hear a topic of their own server. */
const MEMBERS_A_TOPIC = 50;
export const FAR_TOPICS = 16;
export const FAR_MESSAGES_PER_SECOND = 4;

/** Share of the members that come over TLS: by streams of HTTP/2, and by connections of their own. */
export const HTTP2_SHARE = 0.2;
export const TLS_SHARE = 0.1;

export const BULK_BYTES = 64 * 1024;
/** What the kernel's buffers on both sides take before a connection is felt to be slow. */
const KERNEL_BYTES = 5 * 1024 * 1024;

/** How many there are of each, for so many connections. */
export function crowd({ connections, pingTimeoutMs }: Plan): {
  readonly localTopics: number;
  readonly slowOfEach: number;
  readonly halfOpen: number;
  readonly churnPerSecond: number;
  readonly malformedPerSecond: number;
  readonly unfinishedPerSecond: number;
  readonly bulkPerSecond: number;
} {
  return {
    localTopics: Math.max(2, Math.ceil(connections / MEMBERS_A_TOPIC)),
    slowOfEach: Math.min(5, Math.max(1, Math.round(connections / 600))),
    halfOpen: Math.min(60, Math.max(4, Math.round(connections / 50))),
    churnPerSecond: Math.max(4, connections / 60),
    malformedPerSecond: Math.min(10, Math.max(4, connections / 300)),
    unfinishedPerSecond: Math.min(5, Math.max(2, connections / 600)),
    // So that a reader that pauses for a third of the time until it counts as dead is found to be slow.
    bulkPerSecond: KERNEL_BYTES / BULK_BYTES / ((pingTimeoutMs / 1000) * 0.33),
  };
}

/**
 * How long it may take until a peer is found whose packets are dropped: silence until the ping (give or take a fifth), the
 * time for the answer, and what the coarse timer and a busy event loop may add.
 */
export function mostMsUntilFound({ pingAfterMs, pingTimeoutMs }: Plan): number {
  return pingAfterMs * 1.2 + pingTimeoutMs + 3_000;
}
