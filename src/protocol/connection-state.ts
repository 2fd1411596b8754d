/**
 * The closing handshake as states, each named by who acted (RFC 6455 7).
 *
 *     OPEN --- we send close ----> CLOSED_BY_US --- theirs comes --> CLOSE_ACKNOWLEDGED --.
 *      |---- theirs comes, we answer ----------------------------> CLOSED_BY_PEER --------|
 *      |---- a rule was broken, or we gave up -------------------> FAILED ----------------|
 *      '---- the transport ends -----------------------------------------------------> ENDED
 */
export const ConnectionState = {
  OPEN: 0,
  /** Our close frame is sent, the peer's has not come. */
  CLOSED_BY_US: 1,
  /** The peer's close frame came first and is answered. */
  CLOSED_BY_PEER: 2,
  /** Ours was first, and the peer has answered. */
  CLOSE_ACKNOWLEDGED: 3,
  /** We broke it off: nothing that still arrives is read. */
  FAILED: 4,
  /** The transport is gone. */
  ENDED: 5,
} as const;

export type ConnectionState = (typeof ConnectionState)[keyof typeof ConnectionState];
