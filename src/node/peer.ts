import type { CompressionCounters } from '../protocol/extensions/compression-counters.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { Sendable, SendOptions } from './data.ts';
import type { MessageReader } from './message-reader.ts';
import type { CloseInfo } from './peer-handlers.ts';
import type { PeerSession } from './peer-session.ts';
import { checkTopic, type PeerTopics, publishTo, subscribeTo } from './peer-topics.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** The peer of a client: what `connect` resolves to. */
export class ClientPeer implements AsyncIterable<Message, undefined>, AsyncDisposable {
  readonly #session: PeerSession<unknown>;

  /** @internal */
  constructor(session: PeerSession<unknown>) {
    this.#session = session;
  }

  /** The subprotocol agreed on; '' for none. */
  get protocol(): string {
    return this.#session.protocol;
  }

  /** The extensions agreed on, as in Sec-WebSocket-Extensions (RFC 6455 9.1); '' for none. */
  get extensions(): string {
    return this.#session.extensions;
  }

  /** What carries the connection: one of its own (`http/1.1`, RFC 6455), or a stream of HTTP/2 (`h2`, RFC 8441). */
  get transport(): 'http/1.1' | 'h2' {
    return this.#session.transport;
  }

  /** The other side's IP address; undefined over a Unix socket. */
  get remoteAddress(): string | undefined {
    return this.#session.remoteAddress;
  }

  /** `closing` from the first close frame or failure on, `closed` when the connection is gone. */
  get state(): 'open' | 'closing' | 'closed' {
    return this.#session.state;
  }

  /** Bytes sent that the transport has not taken yet, frame headers included. */
  get bufferedAmount(): number {
    return this.#session.bufferedAmount;
  }

  /** Messages to this peer that were dropped by the policy for slow peers. */
  get dropped(): number {
    return this.#session.dropped;
  }

  /** What compression has done: for this connection; with a server's peer, for all of the server's. */
  get compression(): CompressionCounters {
    return this.#session.counters;
  }

  /** Resolves when the connection is gone. Never rejects. */
  get closed(): Promise<CloseInfo> {
    return this.#session.closed;
  }

  /**
   * Sends a message: a string as text, bytes as binary. Bytes must not be changed while `bufferedAmount` is
   * not 0.
   * @returns false where more than `limits.highWaterMarkBytes` wait, so that one should too, until
   * `drain`; also where the message was dropped, or the peer is not open. Never throws for a connection
   * that has ended.
   * @throws {ApertoError} INVALID_DATA
   */
  send(data: Sendable, options?: SendOptions): boolean {
    return this.#session.send(data, options?.compress ?? true);
  }

  /**
   * Sends a ping with up to 125 bytes. Keepalive needs none: it pings by itself.
   * @returns whether it was sent.
   * @throws {ApertoError} INVALID_CONTROL_PAYLOAD, INVALID_DATA
   */
  ping(payload: string | Uint8Array = ''): boolean {
    return this.#session.ping(payload);
  }

  /** Sends a pong that no ping asked for (RFC 6455 5.5.3); pings are answered without it. As `ping`. */
  pong(payload: string | Uint8Array = ''): boolean {
    return this.#session.pong(payload);
  }

  /**
   * Starts the closing handshake. What was sent before goes out first; nothing that arrives after is
   * delivered. Without effect on a peer that is closing or closed.
   * @throws {ApertoError} INVALID_CLOSE_CODE, INVALID_CLOSE_REASON
   */
  close(code?: number, reason = ''): void {
    this.#session.close(code, reason);
  }

  /** Ends the connection at once, without a closing handshake. The other side sees 1006. */
  terminate(): void {
    this.#session.terminate();
  }

  /**
   * Reads messages in a loop, in place of the `message` handler. The peer is read no faster than the loop
   * asks. Ends with codes 1000, 1001 and 1005, throws with any other.
   * @throws {ApertoError} MESSAGES_TAKEN while another loop reads.
   */
  [Symbol.asyncIterator](): MessageReader {
    return this.#session.read();
  }

  /** Closes with 1000, unless closed already, and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close(1000);
    await this.closed;
  }
}

/** A peer of a server. */
export class Peer<Data = undefined> extends ClientPeer {
  /** What the route's `upgrade` returned; the application's to change. */
  data: Data;
  /** The request that asked for the connection. */
  readonly request: UpgradeRequest;
  readonly #session: PeerSession<unknown>;
  readonly #topics: PeerTopics;

  /** @internal */
  constructor(
    session: PeerSession<unknown>,
    topics: PeerTopics,
    request: UpgradeRequest,
    data: Data,
  ) {
    super(session);
    this.#session = session;
    this.#topics = topics;
    this.request = request;
    this.data = data;
  }

  /**
   * Has the peer receive what is published to the topic. Without effect once it is closed.
   * @throws {ApertoError} INVALID_TOPIC, TOO_MANY_TOPICS
   */
  subscribe(topic: string): void {
    const { limits } = this.#session;
    if (this.state === 'closed') checkTopic(this.#topics, topic, limits);
    else subscribeTo(this.#topics, limits, this.#session, topic);
  }

  /** @throws {ApertoError} INVALID_TOPIC */
  unsubscribe(topic: string): void {
    checkTopic(this.#topics, topic, this.#session.limits);
    this.#topics.unsubscribe(this.#session, topic);
    this.#session.hasLeft(topic);
  }

  /** The topics that the peer is subscribed to. */
  get topics(): ReadonlySet<string> {
    return this.#topics.of(this.#session);
  }

  /**
   * Sends to every subscriber of the topic but this peer; with a broker, on all servers.
   * @returns as `server.publish`.
   * @throws {ApertoError} INVALID_TOPIC, INVALID_DATA
   */
  publish(topic: string, data: Sendable, options?: SendOptions): boolean {
    const { limits } = this.#session;
    return publishTo(this.#topics, limits, topic, data, options, this.#session);
  }
}
