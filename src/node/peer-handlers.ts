import type { ApertoError } from '../protocol/aperto-error.ts';
import type { CompressionCounters } from '../protocol/extensions/compression-counters.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { PeerSession } from './peer-session.ts';
import type { DriverSettings } from './stream-driver.ts';

/** How a peer's connection ended. */
export interface CloseInfo {
  /**
   * What the peer's close frame said; 1005 where it had no code; the code of the failure where we broke the
   * connection off; 1006 where it ended without a closing handshake (RFC 6455 7.1.5).
   */
  readonly code: number;
  readonly reason: string;
  /** Why, where it was not by a closing handshake. */
  readonly error: ApertoError | undefined;
}

/**
 * What happens to a peer that takes data more slowly than it is sent, once `limits.maxBufferedBytes` wait
 * for it: it is closed with 1013; or the new message is dropped; or those that wait are, for the new one.
 */
export type SlowPeerPolicy = 'close' | 'drop' | 'latest';

/** What an application does for its peers. A `this` inside is the object that the handlers stand in. */
export interface PeerHandlers<P> {
  /** A message came. The next one waits while a returned promise is pending. */
  message?(peer: P, message: Message): unknown;
  /** A ping came; it is answered already. `payload` is valid during the call. */
  ping?(peer: P, payload: Uint8Array): void;
  /** A pong came, asked for or not. `payload` is valid during the call. */
  pong?(peer: P, payload: Uint8Array): void;
  /** After `send` returned false: half of `limits.highWaterMarkBytes` or less still waits. */
  drain?(peer: P): unknown;
  /** The connection has ended; once a peer. */
  close?(peer: P, code: number, reason: string): unknown;
}

/** What an application does for its peers beyond that, as a server. */
export interface TopicHandlers<P> {
  /**
   * Messages to a topic that the peer is subscribed to may have been lost on their way to this server: the broker's
   * engine was away, or has dropped some.
   */
  gap?(peer: P, topic: string): unknown;
}

/** What is the same for many sessions: all of a route. */
export interface SessionSettings<P> extends DriverSettings {
  /** The value of Sec-WebSocket-Extensions that was agreed on; '' for none. */
  readonly extensions: string;
  readonly counters: CompressionCounters;
  readonly handlers: PeerHandlers<P> & TopicHandlers<P>;
  readonly slowPeers: SlowPeerPolicy;
  /** Where exceptions of handlers go. */
  onError(error: unknown, peer: P): void;
  /** Sends what was published and waits for the end of the tick: it comes before what is sent now. */
  flushPublished(): void;
  /** Called once, before the `close` handler. */
  onClosed(session: PeerSession<P>): void;
  /** The `close` handler goes on for a while. Never rejects. */
  onCloseHandled(handled: Promise<void>): void;
  /** A drop by the slow-peer policy. */
  onDropped(messages: number): void;
}
