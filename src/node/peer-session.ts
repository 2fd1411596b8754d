import type { Duplex } from 'node:stream';
import type { ConnectionEnd } from '../protocol/connection-host.ts';
import { ConnectionState } from '../protocol/connection-state.ts';
import { apertoError } from '../protocol/errors.ts';
import type { CompressionCounters } from '../protocol/extensions/compression-counters.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import type { MessageBatch } from '../protocol/messages/message-batch.ts';
import { PreparedMessage } from '../protocol/messages/prepared-message.ts';
import { PING, PONG } from '../protocol/opcodes.ts';
import {
  checkSendable,
  encodeCloseReason,
  encodeControlPayload,
  type Sendable,
  toBytes,
} from './data.ts';
import { isPromise } from './is-promise.ts';
import { LatestMessages } from './latest-messages.ts';
import { MessageReader } from './message-reader.ts';
import { nextTurn } from './next-turn.ts';
import type { CloseInfo, SessionSettings, SlowPeerPolicy } from './peer-handlers.ts';
import type { PublishedTopic, TopicSubscriber } from './peer-topics.ts';
import { StreamDriver } from './stream-driver.ts';

/** The end of a session, for those who wait for it. */
interface Awaited {
  readonly promise: Promise<CloseInfo>;
  readonly resolve: (info: CloseInfo) => void;
}

function awaited(): Awaited {
  let resolve: (info: CloseInfo) => void = () => {};
  const promise = new Promise<CloseInfo>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** What says where the other side is: the stream, or the session of HTTP/2 that it belongs to. */
interface PeerStream {
  readonly remoteAddress?: string | undefined;
  readonly session?:
    | { readonly socket: { readonly remoteAddress?: string | undefined } }
    | undefined;
}

/** One peer's connection with what the application does with it. The peer itself is only its face. */
export class PeerSession<P> extends StreamDriver<SessionSettings<P>> implements TopicSubscriber {
  readonly peer: P;
  readonly protocol: string;
  readonly remoteAddress: string | undefined;
  /** Messages dropped by the slow-peer policy. */
  dropped = 0;
  /** In the list of the server's peers. */
  place = -1;

  #reader: MessageReader | undefined = undefined;
  #needsDrain = false;
  /** What a topic keeps for it while it is behind. */
  #latest: LatestMessages | undefined = undefined;
  #closeInfo: CloseInfo | undefined = undefined;
  /** There once somebody waits for the end. */
  #closed: Awaited | undefined = undefined;

  constructor(
    stream: Duplex & PeerStream,
    protocol: string,
    settings: SessionSettings<P>,
    makePeer: (session: PeerSession<P>) => P,
  ) {
    // Before it may be taken over.
    const remoteAddress = stream.remoteAddress ?? stream.session?.socket.remoteAddress;
    super(stream, settings);
    this.protocol = protocol;
    this.remoteAddress = remoteAddress;
    this.peer = makePeer(this);
  }

  /**
   * Server: answers the handshake, calls `opened`, and holds messages until what that returned has settled.
   * The answer and what `opened` sends leave in one write.
   */
  open(answer: Uint8Array, head: Buffer, opened: ((peer: P) => unknown) | undefined): void {
    this.outbox.corked = true;
    this.outbox.append(answer);
    if (opened !== undefined) this.#call(() => opened(this.peer));
    this.outbox.corked = false;
    this.outbox.flush();
    this.start(head);
  }

  /** Client: messages that no handler wants wait for a reader. */
  openForReading(head: Buffer): void {
    if (this.settings.handlers.message === undefined)
      this.#reader = new MessageReader(this, this.settings.limits.highWaterMarkBytes);
    // Who connects has the peer in its hands before anything is delivered.
    nextTurn(() => this.start(head));
  }

  // --- Sending

  send(data: Sendable, compress: boolean): boolean {
    this.settings.flushPublished();
    const outbox = this.outbox;
    // The stream may be gone while a message that came before is still handled.
    if (this.connection.state !== ConnectionState.OPEN || outbox.closed) {
      checkSendable(data);
      return false;
    }
    return this.#queue(data, compress, this.settings.slowPeers);
  }

  /** @param policy none for what is sent in any case, as there was room. */
  #queue(data: Sendable, compress: boolean, policy?: SlowPeerPolicy): boolean {
    const outbox = this.outbox;
    const isFull = outbox.bufferedAmount > this.settings.limits.highWaterMarkBytes;
    if (isFull && policy !== undefined && !this.#admits(sizeOf(data), 1, policy)) return false;
    if (typeof data === 'string') this.connection.sendText(data, compress);
    else if (data instanceof PreparedMessage) this.connection.sendPrepared(data, compress);
    else this.connection.sendBinary(toBytes(data), compress);
    outbox.messagesQueued(1);
    return this.#hasRoom();
  }

  /** Sends what was published to a topic, shared with other peers. */
  deliver(batch: MessageBatch, last: boolean, topic: PublishedTopic): void {
    const outbox = this.outbox;
    if (this.connection.state !== ConnectionState.OPEN || outbox.closed) return;
    const keepsLatest = topic.slowPeers === 'latest';
    if (keepsLatest && this.#keepsLatest(topic.name, batch)) return;
    const policy = topic.slowPeers ?? this.settings.slowPeers;
    const frames = this.connection.framesOf(batch);
    if (frames === undefined) {
      // The policy of a route for `latest` would discard what others have sent.
      for (const message of batch.messages) {
        this.#queue(message, true, keepsLatest ? undefined : policy);
      }
      return;
    }
    if (last && outbox.writeAtOnce(frames)) {
      this.#hasRoom();
      return;
    }
    const messages = batch.messages.length;
    const isFull = outbox.bufferedAmount > this.settings.limits.highWaterMarkBytes;
    if (isFull && !this.#admits(frames.length, messages, policy)) return;
    outbox.append(frames);
    outbox.messagesQueued(messages);
    this.#hasRoom();
  }

  /** Whether the peer is behind, so that of this topic it gets the newest message once it is not. */
  #keepsLatest(topic: string, { messages }: MessageBatch): boolean {
    if (this.#hasRoom()) {
      this.#countDropped(this.#latest?.drop(topic) ?? 0);
      return false;
    }
    this.#latest ??= new LatestMessages();
    this.#countDropped(this.#latest.keep(topic, messages));
    return true;
  }

  /** Gives up what waits of a topic that it is no longer subscribed to. */
  hasLeft(topic: string): void {
    this.#countDropped(this.#latest?.drop(topic) ?? 0);
  }

  #sendLatest(): void {
    while (this.#latest !== undefined && this.#hasRoom()) {
      const message = this.#latest.take();
      if (message === undefined) this.#latest = undefined;
      else this.#queue(message, true);
    }
  }

  /** Whether less than the high-water mark waits; if not, `drain` is owed. */
  #hasRoom(): boolean {
    const outbox = this.outbox;
    if (outbox.bufferedAmount <= this.settings.limits.highWaterMarkBytes) return true;
    outbox.flush();
    if (outbox.bufferedAmount <= this.settings.limits.highWaterMarkBytes) return true;
    this.#needsDrain = true;
    return false;
  }

  /** Applies the slow-peer policy. A message alone may be larger than the limit; then it waits for nothing. */
  #admits(size: number, messages: number, policy: SlowPeerPolicy): boolean {
    const outbox = this.outbox;
    outbox.flush();
    const waiting = outbox.bufferedAmount;
    if (waiting === 0 || waiting + size <= this.settings.limits.maxBufferedBytes) return true;
    this.#needsDrain = true;
    switch (policy) {
      case 'close':
        this.connection.fail('SEND_BUFFER_FULL');
        return false;
      case 'drop':
        this.#countDropped(messages);
        return false;
      case 'latest':
        this.#countDropped(outbox.discard());
        this.connection.discarded();
        // A ping may have been among it, and its missing answer must not count as silence.
        this.connection.noteLife(this.now());
        return true;
    }
  }

  #countDropped(messages: number): void {
    if (messages === 0) return;
    this.dropped += messages;
    this.settings.onDropped(messages);
  }

  get extensions(): string {
    return this.settings.extensions;
  }

  get limits(): Limits {
    return this.settings.limits;
  }

  get counters(): CompressionCounters {
    return this.settings.counters;
  }

  ping(payload: string | Uint8Array): boolean {
    return this.#sendControl(PING, payload);
  }

  pong(payload: string | Uint8Array): boolean {
    return this.#sendControl(PONG, payload);
  }

  #sendControl(opcode: number, payload: string | Uint8Array): boolean {
    const bytes = encodeControlPayload(payload);
    this.settings.flushPublished();
    if (this.connection.state !== ConnectionState.OPEN || this.outbox.closed) return false;
    if (this.outbox.bufferedAmount > this.settings.limits.maxBufferedBytes) return false;
    this.connection.sendBytes(opcode, bytes);
    return true;
  }

  get bufferedAmount(): number {
    return this.outbox.bufferedAmount;
  }

  // --- Ending

  get state(): 'open' | 'closing' | 'closed' {
    if (this.#closeInfo !== undefined) return 'closed';
    const isOpen = this.connection.state === ConnectionState.OPEN && !this.outbox.closed;
    return isOpen ? 'open' : 'closing';
  }

  close(code: number | undefined, reason: string): void {
    const bytes = encodeCloseReason(code, reason);
    this.settings.flushPublished();
    this.connection.close(code, bytes);
    // Nothing more is delivered, so that nothing needs to wait for the application either.
    this.release();
  }

  get closed(): Promise<CloseInfo> {
    if (this.#closed === undefined) {
      this.#closed = awaited();
      if (this.#closeInfo !== undefined) this.#closed.resolve(this.#closeInfo);
    }
    return this.#closed.promise;
  }

  // --- Reading

  /** @throws {ApertoError} MESSAGES_TAKEN while somebody else reads. */
  read(): MessageReader {
    let reader = this.#reader;
    if (reader === undefined) {
      reader = new MessageReader(this, this.settings.limits.highWaterMarkBytes);
      this.#reader = reader;
      if (this.#closeInfo !== undefined) reader.end(this.#closeInfo);
      // From here on the reader says when it is ready, not a handler's promise.
      this.release();
    }
    reader.take();
    return reader;
  }

  pull(): void {
    this.release();
  }

  // --- What the driver tells

  /** A handler that is still running is not overtaken by `close`. A reader has what it has. */
  protected override get endWaits(): boolean {
    return this.held && this.#reader === undefined;
  }

  override onMessage(message: Message): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      if (!reader.push(message)) this.hold();
      return;
    }
    const handlers = this.settings.handlers;
    if (handlers.message === undefined) return;
    try {
      const settled = handlers.message(this.peer, message);
      if (isPromise(settled)) this.#waitFor(settled);
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  override onPing(payload: Uint8Array): void {
    if (this.settings.handlers.ping !== undefined)
      this.#call(() => this.settings.handlers.ping?.(this.peer, payload));
  }

  override onPong(payload: Uint8Array): void {
    if (this.settings.handlers.pong !== undefined)
      this.#call(() => this.settings.handlers.pong?.(this.peer, payload));
  }

  override onCloseReceived(): void {}

  override onRoom(): void {
    if (!this.#needsDrain || this.connection.state !== ConnectionState.OPEN) return;
    if (this.outbox.bufferedAmount > this.settings.limits.highWaterMarkBytes / 2) return;
    this.#needsDrain = false;
    if (!this.outbox.closed) this.#sendLatest();
    if (!this.#needsDrain) this.#tell(() => this.settings.handlers.drain?.(this.peer));
  }

  missed(topic: string): void {
    if (this.connection.state !== ConnectionState.OPEN) return;
    this.#tell(() => this.settings.handlers.gap?.(this.peer, topic));
  }

  override onEnd(end: ConnectionEnd): void {
    const error = end.error === undefined ? undefined : apertoError(end.error);
    const info: CloseInfo = { code: end.code, reason: end.reason, error };
    this.#closeInfo = info;
    // What was kept for it until it would catch up.
    this.#countDropped(this.#latest?.size ?? 0);
    this.#latest = undefined;
    this.settings.onClosed(this);
    this.#reader?.end(info);
    this.#closed?.resolve(info);
    if (this.settings.handlers.close === undefined) return;
    try {
      const settled = this.settings.handlers.close(this.peer, info.code, info.reason);
      if (!isPromise(settled)) return;
      this.settings.onCloseHandled(
        settled.then(
          () => {},
          (reason) => this.#report(reason),
        ),
      );
    } catch (reason) {
      this.#report(reason);
    }
  }

  // --- Handlers

  #call(handler: () => unknown): void {
    try {
      const settled = handler();
      if (isPromise(settled)) this.#waitFor(settled);
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /** Calls a handler that nothing waits for. */
  #tell(handler: () => unknown): void {
    try {
      const settled = handler();
      if (isPromise(settled)) settled.then(undefined, (error) => this.#handlerFailed(error));
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  #waitFor(settled: Promise<unknown>): void {
    const onFailed = (error: unknown): void => this.#handlerFailed(error);
    // A reader taken in the handler says itself when it is ready; after `close` there is nothing to wait for.
    if (this.#reader !== undefined || this.connection.state !== ConnectionState.OPEN) {
      settled.then(undefined, onFailed);
      return;
    }
    this.hold();
    const goOn = (): void => {
      if (this.#reader === undefined) this.release();
    };
    settled.then(goOn, (error) => {
      onFailed(error);
      goOn();
    });
  }

  #handlerFailed(error: unknown): void {
    this.connection.fail('HANDLER_FAILED');
    this.#report(error);
  }

  #report(error: unknown): void {
    try {
      this.settings.onError(error, this.peer);
    } catch (second) {
      console.error(second);
    }
  }
}

/** At least what the data takes on the wire, but for the header of bytes. */
function sizeOf(data: Sendable): number {
  if (typeof data === 'string') return data.length;
  return data instanceof PreparedMessage ? data.frame.length : toBytes(data).length;
}
