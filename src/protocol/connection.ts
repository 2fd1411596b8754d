import { CloseCode, isWireCloseCode } from './close-codes.ts';
import type { ConnectionHost } from './connection-host.ts';
import { ConnectionState } from './connection-state.ts';
import { ControlBudget } from './control-budget.ts';
import { type ErrorCode, errorTable } from './errors.ts';
import { FrameParser } from './frames/frame-parser.ts';
import { MAX_CONTROL_PAYLOAD, OPCODE } from './frames/frame-rules.ts';
import { FrameSender, type FrameSink } from './frames/frame-sender.ts';
import type { Limits } from './limits.ts';
import { MessageAssembler } from './messages/message-assembler.ts';
import type { PreparedMessage } from './messages/prepared-message.ts';
import { CLOSE, CONTROL_BIT, PING, PONG } from './opcodes.ts';
import type { Platform } from './platform.ts';

/** No such moment. */
const NEVER = -1;
/** Frames handled in one call of `receive`, so that a peer with many tiny ones cannot keep the process. */
const FRAMES_AT_ONCE = 2048;
const EMPTY = new Uint8Array(0);

/**
 * One side of an open WebSocket connection, without input or output: `receive` takes bytes, `send…` and
 * the protocol's own answers write frames to the sink, and `wake` lets time pass.
 */
export class Connection {
  readonly #host: ConnectionHost;
  readonly #platform: Platform;
  readonly #limits: Limits;
  readonly #isServer: boolean;
  readonly #parser: FrameParser;
  readonly #assembler: MessageAssembler;
  readonly #sender: FrameSender;
  readonly #controlBudget: ControlBudget;
  /** Spread a fifth to both sides, so that peers that came together are not pinged together. */
  readonly #pingAfterMs: number;

  #state: ConnectionState = ConnectionState.OPEN;
  #paused = false;
  #borrowed = false;
  #framesLeft = 0;
  #frameOpcode = 0;
  /** The payload of a control frame that came in pieces. */
  #controlPayload: Uint8Array | undefined = undefined;
  #controlLength = 0;
  #pendingPong: Uint8Array | undefined = undefined;

  #heardAt: number;
  #pingedAt = NEVER;
  #unfinishedSince = NEVER;
  #closeDeadline = NEVER;

  #closeCode: number | undefined = undefined;
  #closeReason = '';
  #error: ErrorCode | undefined = undefined;

  constructor(
    host: ConnectionHost,
    sink: FrameSink,
    platform: Platform,
    limits: Limits,
    isServer: boolean,
  ) {
    this.#host = host;
    this.#platform = platform;
    this.#limits = limits;
    this.#isServer = isServer;
    // RFC 6455 5.1: a client masks what it sends, a server does not.
    this.#parser = new FrameParser(this, isServer);
    this.#assembler = new MessageAssembler(platform, limits);
    this.#sender = new FrameSender(sink, platform, !isServer);
    this.#heardAt = host.now();
    this.#controlBudget = new ControlBudget(limits, this.#heardAt);
    this.#pingAfterMs = limits.pingAfterMs * (0.8 + 0.4 * Math.random());
    host.wakeBy(this.#heardAt + this.#pingAfterMs);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  // --- Bytes in

  /**
   * Takes `bytes` from `start` on; returns where it stopped. Short of the end it did so because it is
   * paused, or to let others have their turn: hand the rest in again.
   * @param borrowed whether the memory is used again after the call.
   */
  receive(bytes: Uint8Array, start: number, borrowed: boolean): number {
    const state = this.#state;
    // RFC 6455 5.5.1, 7.1.7: what follows a close frame, or comes after a failure, is not read.
    if (state > ConnectionState.CLOSED_BY_US) return bytes.length;
    const now = this.#host.now();
    this.#heardAt = now;
    this.#pingedAt = NEVER;
    this.#borrowed = borrowed;
    this.#framesLeft = FRAMES_AT_ONCE;
    const parser = this.#parser;
    parser.stopped = this.#paused;
    const stoppedAt = parser.parse(bytes, start, bytes.length);
    if (parser.error !== undefined) this.fail(parser.error);
    if (this.#state > ConnectionState.CLOSED_BY_US) return bytes.length;
    if (parser.unfinished && this.#unfinishedSince === NEVER) {
      this.#unfinishedSince = now;
      this.#host.wakeBy(now + this.#limits.messageTimeoutMs);
    }
    return stoppedAt;
  }

  /** The parser's: a frame begins. */
  frameStart(first: number, length: number): void {
    this.#frameOpcode = first & OPCODE;
    if ((first & CONTROL_BIT) !== 0) {
      // RFC 6455 5.5.1: the one close frame is not counted against the control frames.
      if (this.#frameOpcode === CLOSE) return;
      if (!this.#controlBudget.spend(this.#heardAt)) this.fail('CONTROL_FLOOD');
      return;
    }
    const assembler = this.#assembler;
    if (!assembler.begin(first, length)) this.fail(assembler.error as ErrorCode);
  }

  /** The parser's: a piece of the frame's payload. */
  framePayload(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (last) {
      if (--this.#framesLeft === 0) this.#parser.stopped = true;
      // A control frame between two fragments leaves their message open.
      if (!this.#parser.unfinished) this.#unfinishedSince = NEVER;
    }
    if ((this.#frameOpcode & CONTROL_BIT) !== 0) {
      this.#controlPiece(bytes, start, end, last);
      return;
    }
    const assembler = this.#assembler;
    const message = assembler.add(bytes, start, end, last, this.#borrowed);
    if (message !== undefined) {
      // Who has asked to close is not handed what still arrives.
      if (this.#state === ConnectionState.OPEN) this.#host.onMessage(message);
    } else if (assembler.error !== undefined) this.fail(assembler.error);
  }

  /** Stops before the next frame: the application is not ready for it. */
  pause(): void {
    this.#paused = true;
    this.#parser.stopped = true;
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
    this.#host.wakeBy(now + this.#limits.messageTimeoutMs);
  }

  // --- Control frames

  #controlPiece(bytes: Uint8Array, start: number, end: number, last: boolean): void {
    if (last && this.#controlLength === 0) {
      // A copy: the application may keep it, and it would pin its chunk.
      this.#control(new Uint8Array(bytes.subarray(start, end)));
      return;
    }
    this.#controlPayload ??= new Uint8Array(MAX_CONTROL_PAYLOAD);
    this.#controlPayload.set(bytes.subarray(start, end), this.#controlLength);
    this.#controlLength += end - start;
    if (!last) return;
    const payload = this.#controlPayload.subarray(0, this.#controlLength);
    this.#controlPayload = undefined;
    this.#controlLength = 0;
    this.#control(payload);
  }

  #control(payload: Uint8Array): void {
    switch (this.#frameOpcode) {
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
    else this.#sender.bytes(PONG, payload);
  }

  /** The host's: the transport has taken all that waited. */
  drained(): void {
    const payload = this.#pendingPong;
    if (payload === undefined) return;
    this.#pendingPong = undefined;
    if (this.#state === ConnectionState.OPEN) this.#sender.bytes(PONG, payload);
  }

  // --- Frames out. The host checks that the state is OPEN.

  sendText(text: string): void {
    this.#sender.text(text);
  }

  sendBytes(opcode: number, payload: Uint8Array): void {
    this.#sender.bytes(opcode, payload);
  }

  sendPrepared(message: PreparedMessage): void {
    this.#sender.prepared(message);
  }

  // --- Closing

  /** Starts the closing handshake; without effect unless OPEN. `reason` is at most 123 bytes. */
  close(code: number | undefined, reason: Uint8Array): void {
    if (this.#state !== ConnectionState.OPEN) return;
    this.#state = ConnectionState.CLOSED_BY_US;
    this.#sendClose(code, reason);
    this.#startCloseTimer();
  }

  #closeReceived(payload: Uint8Array): void {
    // RFC 6455 5.5.1: a payload begins with a two-byte code.
    if (payload.length === 1) {
      this.fail('CLOSE_LENGTH');
      return;
    }
    // RFC 6455 7.1.5: a close frame without a code counts as 1005.
    let code: number = CloseCode.NO_STATUS;
    let reason: string | undefined = '';
    if (payload.length > 0) {
      code = (payload[0] << 8) | payload[1];
      // RFC 6455 7.4: reserved codes must not be sent.
      if (!isWireCloseCode(code)) {
        this.fail('CLOSE_CODE');
        return;
      }
      reason = this.#platform.decodeUtf8(payload, 2, payload.length);
      // RFC 6455 5.5.1, 8.1: the reason is UTF-8.
      if (reason === undefined) {
        this.fail('INVALID_UTF8');
        return;
      }
    }
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#parser.stopped = true;
    if (this.#state === ConnectionState.OPEN) {
      this.#state = ConnectionState.CLOSED_BY_PEER;
      // RFC 6455 5.5.1: who receives a close frame and has sent none answers, usually with its code.
      this.#sendClose(payload.length === 0 ? undefined : code, EMPTY);
    } else {
      this.#state = ConnectionState.CLOSE_ACKNOWLEDGED;
    }
    this.#startCloseTimer();
    // RFC 6455 7.1.1: the server ends the TCP connection first; a client waits for it.
    if (this.#isServer) this.#host.endTransport();
  }

  /** Breaks the connection off (RFC 6455 7.1.7). Without effect once it is closed or failed. */
  fail(error: ErrorCode): void {
    const before = this.#state;
    if (before > ConnectionState.CLOSED_BY_US) return;
    this.#state = ConnectionState.FAILED;
    this.#error = error;
    this.#parser.stopped = true;
    const row = errorTable[error];
    if (row.closeCode === undefined || row.closeCode === CloseCode.ABNORMAL) {
      this.#host.destroyTransport();
      return;
    }
    if (before === ConnectionState.OPEN) this.#sendClose(row.closeCode, this.#ascii(row.message));
    this.#startCloseTimer();
    this.#host.endTransport();
  }

  #sendClose(code: number | undefined, reason: Uint8Array): void {
    this.#pendingPong = undefined;
    if (code === undefined) {
      this.#sender.bytes(CLOSE, EMPTY);
      return;
    }
    const payload = new Uint8Array(2 + reason.length);
    payload[0] = code >>> 8;
    payload[1] = code;
    payload.set(reason, 2);
    this.#sender.bytes(CLOSE, payload);
  }

  #ascii(text: string): Uint8Array {
    const bytes = new Uint8Array(text.length);
    this.#platform.encodeUtf8(text, bytes, 0);
    return bytes;
  }

  #startCloseTimer(): void {
    this.#closeDeadline = this.#host.now() + this.#limits.closeTimeoutMs;
    this.#host.wakeBy(this.#closeDeadline);
  }

  /** The host's: the peer has ended its sending direction. */
  transportEnded(): void {
    if (this.#state <= ConnectionState.CLOSED_BY_US) {
      // RFC 6455 7.1.5: without a close frame the connection counts as closed with 1006.
      this.#state = ConnectionState.FAILED;
      this.#error = 'CONNECTION_LOST';
      this.#startCloseTimer();
    }
    this.#host.endTransport();
  }

  /** The host's: the transport is gone. */
  transportClosed(): void {
    if (this.#state === ConnectionState.ENDED) return;
    this.#state = ConnectionState.ENDED;
    this.#parser.stopped = true;
    if (this.#closeCode !== undefined) {
      this.#host.onEnd({ code: this.#closeCode, reason: this.#closeReason, error: undefined });
      return;
    }
    const error = this.#error ?? 'CONNECTION_LOST';
    const { closeCode = CloseCode.ABNORMAL, message } = errorTable[error];
    const reason = closeCode === CloseCode.ABNORMAL ? '' : message;
    this.#host.onEnd({ code: closeCode, reason, error });
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
    if (this.#paused) return now + this.#pingAfterMs;
    if (this.#unfinishedSince === NEVER) return this.#keepAlive(now);
    const due = this.#unfinishedSince + this.#limits.messageTimeoutMs;
    if (now < due) return Math.min(due, this.#keepAlive(now));
    this.fail('MESSAGE_TIMEOUT');
    return this.#closeDeadline;
  }

  #wakeClosing(now: number): number {
    if (this.#state === ConnectionState.ENDED) return Number.POSITIVE_INFINITY;
    if (now < this.#closeDeadline) return this.#closeDeadline;
    if (this.#state === ConnectionState.CLOSED_BY_US) this.#error = 'CLOSE_TIMEOUT';
    this.#host.destroyTransport();
    return Number.POSITIVE_INFINITY;
  }

  #keepAlive(now: number): number {
    if (this.#pingedAt !== NEVER) {
      const due = this.#pingedAt + this.#limits.pingTimeoutMs;
      if (now < due) return Math.min(due, now + this.#pingAfterMs);
      this.fail('PING_TIMEOUT');
      return Number.POSITIVE_INFINITY;
    }
    const due = this.#heardAt + this.#pingAfterMs;
    if (now < due) return due;
    // RFC 6455 5.5.2: a ping may serve as keepalive, or to see whether the peer still answers.
    this.#sender.bytes(PING, EMPTY);
    this.#pingedAt = now;
    // Once it is answered the next one may be due before this one would have timed out.
    return now + Math.min(this.#limits.pingTimeoutMs, this.#pingAfterMs);
  }
}
