import type { ErrorCode } from './errors.ts';
import type { Message } from './messages/message-assembler.ts';

/** How a connection ended. */
export interface ConnectionEnd {
  /**
   * The code of the peer's close frame, 1005 where it had none; the code of the failure where we broke it
   * off; 1006 where the transport ended without a closing handshake (RFC 6455 7.1.5).
   */
  readonly code: number;
  readonly reason: string;
  /** Why, where it was not a closing handshake. */
  readonly error: ErrorCode | undefined;
}

/** What drives a connection: it feeds bytes in, and this is what it is asked for and told. */
export interface ConnectionHost {
  /** Whether bytes wait that the transport has not taken. */
  readonly backlogged: boolean;
  /** Milliseconds on a clock that never goes back. */
  now(): number;
  /** Asks for a call of `wake` at that time, or a little later. */
  wakeBy(at: number): void;
  onMessage(message: Message): void;
  /** A message that was inflated on another thread has been delivered, or has failed: what is behind it may go on. */
  onInflated(): void;
  onPing(payload: Uint8Array): void;
  onPong(payload: Uint8Array): void;
  /** The peer's close frame has come, whoever was first. No message follows. */
  onCloseReceived(): void;
  /** Ends the sending direction once all that was written is out. */
  endTransport(): void;
  /** Ends both directions at once. */
  destroyTransport(): void;
  onEnd(end: ConnectionEnd): void;
}
