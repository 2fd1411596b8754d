import type { Peer, Sendable } from 'aperto';
import type { TokenBucket } from './token-bucket.ts';

/** What the chat knows of a connection. */
export interface Session {
  /** The room asked for by `?room=`; the `superchat` subprotocol does not look at it. */
  readonly askedRoom: string;
  readonly bucket: TokenBucket;
  /** The name that the connection goes by in each room it is in. */
  readonly seats: Map<string, string>;
  /** Whether more waits to be sent than should, since `send` said so and until `drain`. */
  full: boolean;
  /** Set while the next message of the visitor waits for `drain`. */
  resume: (() => void) | undefined;
}

export type Visitor = Peer<Session>;

/** Sends something to one visitor only. */
export function tell(peer: Visitor, data: Sendable): void {
  if (!peer.send(data) && peer.state === 'open') peer.data.full = true;
}

/** One of the two subprotocols. */
export interface Dialect {
  open(peer: Visitor): void;
  text(peer: Visitor, data: string): void;
  binary(peer: Visitor): void;
  /** A message over the rate, `undefined` if it was binary. */
  tooFast(peer: Visitor, data: string | undefined): void;
}
