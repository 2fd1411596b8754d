import { CloseCode } from './close-codes.ts';
import { closePayload, readClosePayload } from './close-frame.ts';
import { type Closing, endOf } from './closing.ts';
import type { ConnectionHost } from './connection-host.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import { ConnectionState } from './connection-state.ts';
import { type ErrorCode, errorTable } from './errors.ts';
import type { FrameParser } from './frames/frame-parser.ts';
import { OPCODE } from './frames/frame-rules.ts';
import type { FrameSink } from './frames/frame-sender.ts';
import type { Message } from './messages/message-assembler.ts';
import { MessageReceiver } from './messages/message-receiver.ts';
import { CLOSE, CONTROL_BIT, PING, PONG } from './opcodes.ts';
import { RateBudget } from './rate-budget.ts';

/** No such moment. */
const NEVER = -1;
const EMPTY = new Uint8Array(0);

/**
 * One side of an open WebSocket connection, without input or output: `receive` takes bytes, `send…` and
 * the protocol's own answers write frames to the sink, and `wake` lets time pass. Most connections are idle
 * at any moment, so what only some moments need is made when they come and dropped after.
 */
export class Connection extends MessageReceiver {
  readonly #host: ConnectionHost;
  /** Spread a fifth to both sides, so that peers that came together are not pinged together. */
  readonly #pingAfterMs: number;

  #state: ConnectionState = ConnectionState.OPEN;
  #closing: Closing | undefined = undefined;
  #paused = false;

  /** There while a chunk is parsed, and while a frame or a message is unfinished. */
  #parser: FrameParser | undefined = undefined;
  #controlBudget: RateBudget | undefined = undefined;
  /** The payload of a control frame that comes in pieces. */
  #controlPayload: Uint8Array = EMPTY;
  #pendingPong: Uint8Array | undefined = undefined;

  #heardAt: number;
  #pingedAt = NEVER;
  #unfinishedSince = NEVER;

  constructor(host: ConnectionHost, sink: FrameSink, settings: ConnectionSettings) {
    super(sink, settings);
    this.#host = host;
    this.#heardAt = host.now();
    this.#pingAfterMs = Math.ceil(settings.limits.pingAfterMs * (0.8 + 0.4 * Math.random()));
    host.wakeBy(this.#heardAt + this.#pingAfterMs);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  protected override get isOpen(): boolean {
    return this.#state === ConnectionState.OPEN;
  }

  protected override onMessage(message: Message): void {
    this.#host.onMessage(message);
  }

  protected override onInflated(): void {
    this.#host.onInflated();
  }

  /** When something came last. */
  override get heardAt(): number {
    return this.#heardAt;
  }

  // --- Bytes in

  /**
   * Takes `bytes[start, end)`; returns where it stopped. Short of the end it did so because it is paused,
   * or to let others have their turn: hand the rest in again.
   * @param borrowed whether the memory is used again after the call.
   */
  receive(bytes: Uint8Array, start: number, end: number, borrowed: boolean): number {
    // RFC 6455 5.5.1, 7.1.7: what follows a close frame, or comes after a failure, is not read.
    if (this.#state > ConnectionState.CLOSED_BY_US) return end;
    const now = this.#host.now();
    this.#heardAt = now;
    this.#pingedAt = NEVER;
    this.borrowed = borrowed;
    const parser = this.#parser ?? this.settings.parsers.take();
    this.#parser = parser;
    parser.stopped = this.#paused || this.inflating;
    const stoppedAt = parser.parse(this, bytes, start, end);
    if (parser.error !== undefined) this.fail(parser.error);
    if (this.#state > ConnectionState.CLOSED_BY_US) return end;
    if (!parser.unfinished) {
      this.#parser = undefined;
      this.settings.parsers.giveBack(parser);
    } else if (this.#unfinishedSince === NEVER) {
      this.#unfinishedSince = now;
      this.#host.wakeBy(now + this.settings.limits.messageTimeoutMs);
    }
    return stoppedAt;
  }

  protected override stopParser(): void {
    if (this.#parser !== undefined) this.#parser.stopped = true;
  }

  /** The parser's: a frame begins. */
  frameStart(first: number, length: number): void {
    if ((first & CONTROL_BIT) !== 0) {
      // RFC 6455 5.5.1: the one close frame is not counted against the control frames.
      if ((first & OPCODE) === CLOSE) return;
      this.#spendControl();
      return;
    }
    this.dataFrameStart(first, length);
  }

  #spendControl(): void {
    const { controlFramesPerSecond, controlFrameBurst } = this.settings.limits;
    const now = this.#heardAt;
    this.#controlBudget ??= new RateBudget(controlFramesPerSecond, controlFrameBurst, now);
    if (!this.#controlBudget.spend(now)) this.fail('CONTROL_FLOOD');
  }

  /** The parser's: a piece of the frame's payload. */
  framePayload(first: number, bytes: Uint8Array, start: number, end: number, last: boolean): void {
    const parser = this.#parser as FrameParser;
    // A control frame between two fragments leaves their message open.
    if (last && !parser.unfinished) this.#unfinishedSince = NEVER;
    if ((first & CONTROL_BIT) !== 0) {
      this.#controlPiece(first & OPCODE, bytes, start, end, last);
      return;
    }
    this.dataFramePayload(bytes, start, end, last);
  }

  /** Stops before the next frame: the application is not ready for it. */
  pause(): void {
    this.#paused = true;
    this.stopParser();
  }

  /** Goes on. What the peer could not tell us meanwhile is not held against it. */
  resume(): void {
    this.#paused = false;
    const now = this.#host.now();
    this.#heardAt = now;
    this.#pingedAt = NEVER;
    this.#host.wakeBy(now + this.#pingAfterMs);
    if (this.#unfinishedSince === NEVER) return;
    this.#unfinishedSince = now;
    this.#host.wakeBy(now + this.settings.limits.messageTimeoutMs);
  }

  // --- Control frames

  #controlPiece(
    opcode: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    last: boolean,
  ): void {
    // A copy: the application may keep it, and it would pin its chunk.
    const before = this.#controlPayload;
    const payload = new Uint8Array(before.length + end - start);
    payload.set(before);
    payload.set(bytes.subarray(start, end), before.length);
    this.#controlPayload = last ? EMPTY : payload;
    if (last) this.#control(opcode, payload);
  }

  #control(opcode: number, payload: Uint8Array): void {
    switch (opcode) {
      case PING:
        this.#answerPing(payload);
        this.#host.onPing(payload);
        break;
      case PONG:
        // RFC 6455 5.5.3: an unsolicited pong asks for no answer; that it came was noted.
        this.#host.onPong(payload);
        break;
      default:
        this.#closeReceived(payload);
    }
  }

  #answerPing(payload: Uint8Array): void {
    // RFC 6455 5.5.2 asks for an answer unless a close frame came. After our own the end is on its way,
    // and 5.5.1 makes that frame the last of our messages; we make it the last of all.
    if (this.#state !== ConnectionState.OPEN) return;
    // RFC 6455 5.5.3: who has not answered yet may answer the latest ping alone, so one is kept.
    if (this.#host.backlogged) this.#pendingPong = payload.slice();
    // RFC 6455 5.5.2, 5.5.3: the answer carries the ping's payload.
    else this.sendBytes(PONG, payload);
  }

  /** The host's: the transport has taken all that waited. */
  drained(): void {
    const payload = this.#pendingPong;
    if (payload === undefined) return;
    this.#pendingPong = undefined;
    if (this.#state === ConnectionState.OPEN) this.sendBytes(PONG, payload);
  }

  // --- Closing

  /** Starts the closing handshake; without effect unless OPEN. `reason` is at most 123 bytes. */
  close(code: number | undefined, reason: Uint8Array): void {
    if (this.#state !== ConnectionState.OPEN) return;
    this.#state = ConnectionState.CLOSED_BY_US;
    this.#sendClose(code, reason);
    this.#startClosing();
  }

  #closeReceived(payload: Uint8Array): void {
    const status = readClosePayload(payload, this.settings.platform);
    if ('error' in status) {
      this.fail(status.error);
      return;
    }
    const { code, reason } = status;
    const closing = this.#startClosing();
    closing.code = code;
    closing.reason = reason;
    this.stopParser();
    if (this.#state === ConnectionState.OPEN) {
      this.#state = ConnectionState.CLOSED_BY_PEER;
      // RFC 6455 5.5.1: who receives a close frame and has sent none answers, usually with its code.
      this.#sendClose(payload.length === 0 ? undefined : code, EMPTY);
    } else {
      this.#state = ConnectionState.CLOSE_ACKNOWLEDGED;
    }
    this.#host.onCloseReceived();
    // RFC 6455 7.1.1: the server ends the TCP connection first; a client waits for it.
    if (this.settings.isServer) this.#host.endTransport();
  }

  /** Breaks the connection off (RFC 6455 7.1.7). Without effect once it is closed or failed. */
  override fail(error: ErrorCode): void {
    const before = this.#state;
    if (before > ConnectionState.CLOSED_BY_US) return;
    this.#state = ConnectionState.FAILED;
    this.#startClosing().error = error;
    this.stopParser();
    this.giveUpMessages();
    const row = errorTable[error];
    if (row.closeCode === undefined || row.closeCode === CloseCode.ABNORMAL) {
      this.#host.destroyTransport();
      return;
    }
    if (before === ConnectionState.OPEN) this.#sendClose(row.closeCode, this.#ascii(row.message));
    this.#host.endTransport();
  }

  #sendClose(code: number | undefined, reason: Uint8Array): void {
    this.#pendingPong = undefined;
    this.sendBytes(CLOSE, closePayload(code, reason));
  }

  #ascii(text: string): Uint8Array {
    const bytes = new Uint8Array(text.length);
    this.settings.platform.encodeUtf8(text, bytes, 0);
    return bytes;
  }

  /** Gives the closing handshake, or its next step, its time. */
  #startClosing(): Closing {
    const deadline = this.#host.now() + this.settings.limits.closeTimeoutMs;
    this.#closing ??= { deadline, code: undefined, reason: '', error: undefined };
    this.#closing.deadline = deadline;
    this.#host.wakeBy(deadline);
    return this.#closing;
  }

  /** The host's: the peer has ended its sending direction. */
  transportEnded(): void {
    if (this.#state <= ConnectionState.CLOSED_BY_US) {
      // RFC 6455 7.1.5: without a close frame the connection counts as closed with 1006.
      this.#state = ConnectionState.FAILED;
      this.#startClosing().error = 'CONNECTION_LOST';
    }
    this.#host.endTransport();
  }

  /** The host's: the transport is gone. */
  transportClosed(): void {
    if (this.#state === ConnectionState.ENDED) return;
    this.#state = ConnectionState.ENDED;
    this.stopParser();
    this.giveUpMessages();
    this.#host.onEnd(endOf(this.#closing));
  }

  // --- Time

  /** The host's: something slow has moved after all, which only a living peer can have caused. */
  noteLife(now: number): void {
    this.#heardAt = now;
    this.#pingedAt = NEVER;
  }

  /** Does what is due; returns when to be woken next, at the latest. */
  wake(now: number): number {
    if (this.#state !== ConnectionState.OPEN) return this.#wakeClosing(now);
    // A peer that we do not read from cannot be blamed for silence.
    if (this.#paused || this.inflating) return now + this.#pingAfterMs;
    if (this.#unfinishedSince === NEVER) return this.#keepAlive(now);
    const due = this.#unfinishedSince + this.settings.limits.messageTimeoutMs;
    if (now < due) return Math.min(due, this.#keepAlive(now));
    this.fail('MESSAGE_TIMEOUT');
    return this.#wakeClosing(now);
  }

  #wakeClosing(now: number): number {
    const closing = this.#closing;
    if (closing === undefined || this.#state === ConnectionState.ENDED) {
      return Number.POSITIVE_INFINITY;
    }
    if (now < closing.deadline) return closing.deadline;
    if (this.#state === ConnectionState.CLOSED_BY_US) {
      // A stream of HTTP/2 that we destroy ends first: that end is not the peer's.
      this.#state = ConnectionState.FAILED;
      closing.error = 'CLOSE_TIMEOUT';
    }
    this.#host.destroyTransport();
    return Number.POSITIVE_INFINITY;
  }

  #keepAlive(now: number): number {
    if (this.#pingedAt !== NEVER) {
      const due = this.#pingedAt + this.settings.limits.pingTimeoutMs;
      if (now < due) return Math.min(due, now + this.#pingAfterMs);
      this.fail('PING_TIMEOUT');
      return Number.POSITIVE_INFINITY;
    }
    const due = this.#heardAt + this.#pingAfterMs;
    if (now < due) return due;
    // RFC 6455 5.5.2: a ping may serve as keepalive, or to see whether the peer still answers.
    this.sendBytes(PING, EMPTY);
    this.#pingedAt = now;
    // Once it is answered the next one may be due before this one would have timed out.
    return now + Math.min(this.settings.limits.pingTimeoutMs, this.#pingAfterMs);
  }
}
