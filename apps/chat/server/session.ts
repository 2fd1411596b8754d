import type { Peer, Sendable } from 'aperto';
import type { TokenBucket } from './token-bucket.ts';

/** What the chat knows of a connection. */
export interface Session {
  /** The room asked for by `?room=`; the `superchat` subprotocol does not look at it. */
  readonly askedRoom: string;
  readonly bucket: TokenBucket;
  /** The name that the connection goes by in each room it is in. */
  readonly seats: Map<string, string>;
  /** Resolves once everything that was begun for it is done. */
  turn: Promise<void>;
  /** Whether more waits to be sent than should, since `send` said so and until `drain`. */
  full: boolean;
  /** Set while the next message of the visitor waits for `drain`. */
  resume: (() => void) | undefined;
}

export type Visitor = Peer<Session>;

/**
 * Does something for a visitor once everything before is done. Messages wait for each other anyway; the end of a
 * connection does not wait for a message that is still being handled.
 */
export function inTurn(peer: Visitor, task: () => Promise<void>): Promise<void> {
  const done = peer.data.turn.then(task);
  peer.data.turn = done.catch(() => {});
  return done;
}

/** Sends something to one visitor only. */
export function tell(peer: Visitor, data: Sendable): void {
  if (!peer.send(data) && peer.state === 'open') peer.data.full = true;
}

export function isSuperchat(peer: Visitor): boolean {
  return peer.protocol === 'superchat';
}

/** One of the two subprotocols. */
export interface Dialect {
  open(peer: Visitor): Promise<void>;
  text(peer: Visitor, data: string): Promise<void>;
  binary(peer: Visitor): void;
  /** A message over the rate, `undefined` if it was binary. */
  tooFast(peer: Visitor, data: string | undefined): void;
}
