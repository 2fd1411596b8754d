import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Connection } from '../protocol/connection.ts';
import type { ConnectionEnd, ConnectionHost } from '../protocol/connection-host.ts';
import type { ConnectionSettings } from '../protocol/connection-settings.ts';
import { ConnectionState } from '../protocol/connection-state.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import { heartbeat, Timed } from './heartbeat.ts';
import { endStream, isHttp2Stream, resetStream } from './http2-stream.ts';
import { nextTurn } from './next-turn.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';
import { canBeTakenOver, sharedReading, takeOver } from './shared-read-buffer.ts';
import type { Traffic } from './traffic.ts';

/** A write that waited at least this long can only have been taken because the peer made room. */
const SIGN_OF_LIFE_MS = 1000;

/** What still arrives for a peer that is held is taken in up to here, so that its end is noticed. */
const HELD_BYTES = 16 * 1024;

/** No such moment. */
const NEVER = -1;

const driverOf = Symbol('aperto.driver');
type DrivenStream = Duplex & { [driverOf]?: StreamDriver<DriverSettings> };

// One function each for all streams, so that a connection costs no closures.
function onData(this: DrivenStream, chunk: Buffer): void {
  this[driverOf]?.chunkArrived(chunk, chunk.length, false);
}
/** Only who has something to say is taken over: most connections are silent, and some are short. */
function onDataToTakeOver(this: DrivenStream, chunk: Buffer): void {
  this[driverOf]?.chunkArrived(chunk, chunk.length, false);
  // Not while Node is still busy with this very read.
  process.nextTick(takeOverDriven, this);
}
function takeOverDriven(stream: DrivenStream): void {
  stream[driverOf]?.takeOver();
}
const reading = sharedReading(function (this: DrivenStream, bytes, size) {
  this[driverOf]?.chunkArrived(bytes, size, true);
});
function onEnd(this: DrivenStream): void {
  this[driverOf]?.streamEnded();
}
function onClose(this: DrivenStream): void {
  this[driverOf]?.streamClosed();
}
function onError(this: DrivenStream, error: Error): void {
  this[driverOf]?.streamFailed(error);
}

/** What is the same for many drivers. */
export interface DriverSettings extends ConnectionSettings {
  /** Whether a stream may be taken over, where it is a plain socket, to be read into the shared buffer. */
  readonly sharedReadBuffer: boolean;
  readonly traffic: Traffic;
}

/**
 * Binds a duplex stream (TCP, TLS, any other) to a connection: feeds it what arrives, writes out what it
 * sends, and stops reading while the application is not ready. What the messages are for is a subclass's.
 */
export abstract class StreamDriver<Settings extends DriverSettings>
  extends Timed
  implements ConnectionHost, OutboxOwner
{
  protected readonly connection: Connection;
  protected readonly outbox: Outbox;
  protected readonly settings: Settings;
  #stream: DrivenStream;

  #started = false;
  #held = false;
  /** What arrived and is not parsed. */
  #rest: Uint8Array | undefined = undefined;
  #turnAsked = false;
  #ended = false;
  #closed = false;
  /** When the write that the stream is busy with was made; `NEVER` while it is not busy. */
  #blockedSince = NEVER;
  /** What the stream failed with. */
  protected failure: Error | undefined = undefined;

  constructor(stream: Duplex, settings: Settings) {
    super();
    this.settings = settings;
    this.#stream = stream;
    this.outbox = new Outbox(stream, this);
    this.connection = new Connection(this, this.outbox, settings);
    this.#listen();
  }

  #listen(): void {
    const stream = this.#stream;
    stream[driverOf] = this;
    stream.on('end', onEnd);
    stream.on('close', onClose);
    stream.on('error', onError);
  }

  /** Begins to read; `head` is what came with the handshake. */
  protected start(head: Buffer): void {
    const stream = this.#stream;
    this.#started = true;
    if (stream instanceof Socket) stream.setNoDelay(true);
    if (head.length > 0) this.chunkArrived(head, head.length, false);
    const isCandidate = this.settings.sharedReadBuffer && canBeTakenOver(stream);
    stream.on('data', isCandidate ? onDataToTakeOver : onData);
    // Who watched the stream until now may have left it paused.
    this.#setReading();
    // A stream that was destroyed before has told its 'close' to nobody.
    if (stream.destroyed) process.nextTick(() => this.streamClosed());
  }

  // --- Reading

  /** Goes on in a socket that reads into the shared buffer, if that can be now. */
  takeOver(): void {
    const before = this.#stream;
    const stream = takeOver(before, reading);
    if (stream === undefined) return;
    delete before[driverOf];
    this.#stream = stream;
    this.outbox.moveTo(stream);
    this.#listen();
    this.#setReading();
  }

  /**
   * Takes in `chunk[0, end)`.
   * @param borrowed whether the memory is used again after the call.
   */
  chunkArrived(chunk: Uint8Array, end: number, borrowed: boolean): void {
    this.settings.traffic.bytesReceived += end;
    if (this.#waits || this.#rest !== undefined) this.#keep(chunk, 0, end, borrowed);
    else this.#feed(chunk, end, borrowed);
  }

  #feed(chunk: Uint8Array, end: number, borrowed: boolean): void {
    this.outbox.corked = true;
    const stoppedAt = this.connection.receive(chunk, 0, end, borrowed);
    this.outbox.corked = false;
    if (stoppedAt < end) {
      this.#keep(chunk, stoppedAt, end, borrowed);
      if (!this.#waits) this.#askForTurn();
    }
    this.outbox.flush();
  }

  #keep(chunk: Uint8Array, start: number, end: number, borrowed: boolean): void {
    const rest = this.#rest;
    const more = chunk.subarray(start, end);
    if (rest !== undefined) this.#rest = Buffer.concat([rest, more]);
    else this.#rest = borrowed ? Buffer.from(more) : more;
    this.#setReading();
  }

  /** Reads while there is room for what comes. */
  #setReading(): void {
    const rest = this.#rest;
    // Who waits is read on a little: a connection that is not read does not tell of its end.
    if (rest === undefined || (this.#waits && rest.length < HELD_BYTES)) this.#stream.resume();
    else this.#stream.pause();
  }

  /** Many small frames in one read: others come first before we go on. */
  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    nextTurn(() => {
      this.#turnAsked = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#waits) return;
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      this.#feed(rest, rest.length, false);
      if (this.#rest !== undefined || this.#waits) {
        this.#setReading();
        return;
      }
    }
    if (this.#closed) this.#finish();
    else if (this.#ended) this.connection.transportEnded();
    // Before the start nobody would hear what comes.
    else if (this.#started) this.#stream.resume();
  }

  /** Whether what comes has to wait: for the application, or for a message that is being inflated. */
  get #waits(): boolean {
    return this.#held || this.connection.inflating;
  }

  /** A message was inflated: on with what came behind it. */
  onInflated(): void {
    this.outbox.flush();
    this.#goOn();
  }

  protected get held(): boolean {
    return this.#held;
  }

  /** Delivers no more until `release`; the stream is read no further than it has been. */
  protected hold(): void {
    if (this.#held) return;
    this.#held = true;
    this.connection.pause();
  }

  protected release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.connection.resume();
    this.#goOn();
  }

  streamEnded(): void {
    this.#ended = true;
    if (this.#rest === undefined && !this.#waits) this.connection.transportEnded();
  }

  /** A reset or a broken pipe: 'close' follows. */
  streamFailed(error: Error): void {
    this.failure ??= error;
    this.outbox.close();
  }

  streamClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.outbox.close();
    // What holds the end may wait for what is sent to leave: nothing is there any more.
    if (this.endWaits) this.onRoom();
    // What arrived before the end is delivered before it, unless we broke off ourselves or it is not inflated.
    const isWaiting = (this.endWaits || this.#rest !== undefined) && !this.connection.inflating;
    if (!isWaiting || this.connection.state > ConnectionState.CLOSED_BY_US) this.#finish();
  }

  #finish(): void {
    heartbeat.clear(this);
    this.#rest = undefined;
    this.connection.transportClosed();
  }

  // --- Ending

  /** Ends everything now: nothing more is sent or delivered. */
  terminate(): void {
    // What was sent in this tick leaves first: the answer to the handshake may be among it.
    this.outbox.flush();
    this.connection.fail('TERMINATED');
    this.destroyTransport();
    if (this.#closed) this.#finish();
  }

  endTransport(): void {
    this.outbox.flush();
    if (this.outbox.bufferedAmount === 0) this.#endStream();
    // The peer may still be sending: unread bytes at the end would reset the connection under our last
    // frame. What comes is thrown away, until it ends too or the timer strikes.
    this.#held = false;
    this.#rest = undefined;
    this.#stream.resume();
  }

  #endStream(): void {
    endStream(this.#stream, this.settings.isServer);
  }

  destroyTransport(): void {
    resetStream(this.#stream);
  }

  /** What carries the connection. */
  get transport(): 'http/1.1' | 'h2' {
    return isHttp2Stream(this.#stream) ? 'h2' : 'http/1.1';
  }

  // --- The outbox's

  get backlogged(): boolean {
    return this.outbox.blocked;
  }

  onTaken(bytes: number): void {
    this.settings.traffic.bytesSent += bytes;
  }

  onBlocked(): void {
    // The next write of one that was just taken: `onProgress` follows, and needs to know when that was made.
    if (this.#blockedSince !== NEVER) return;
    this.#blockedSince = this.now();
    this.wakeBy(this.#blockedSince + this.settings.limits.stallTimeoutMs);
  }

  onProgress(): void {
    const now = this.now();
    const took = now - this.#blockedSince;
    if (took >= SIGN_OF_LIFE_MS) this.connection.noteLife(now);
    if (this.outbox.blocked) this.#blockedSince = now;
    else {
      this.#blockedSince = NEVER;
      this.connection.drained();
      this.outbox.flush();
    }
    this.onPlaceFilled();
  }

  onPlaceFilled(): void {
    const isOpen = this.connection.state <= ConnectionState.CLOSED_BY_US;
    if (!isOpen && this.outbox.bufferedAmount === 0) this.#endStream();
    this.onRoom();
  }

  // --- Time

  /** For how long nothing has come. */
  protected get silentMs(): number {
    return this.now() - this.connection.heardAt;
  }

  now(): number {
    return heartbeat.now();
  }

  wakeBy(at: number): void {
    heartbeat.wakeBy(this, at);
  }

  override wake(now: number): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const next = this.connection.wake(now);
    this.outbox.flush();
    if (!this.outbox.blocked) return next;
    const stalledAt = this.#blockedSince + this.settings.limits.stallTimeoutMs;
    if (now < stalledAt) return Math.min(next, stalledAt);
    this.connection.fail('SEND_STALLED');
    this.destroyTransport();
    return Number.POSITIVE_INFINITY;
  }

  // --- The subclass's

  /** Whether the end has to wait for what holds the connection. */
  protected abstract get endWaits(): boolean;

  abstract onMessage(message: Message): void;
  abstract onPing(payload: Uint8Array): void;
  abstract onPong(payload: Uint8Array): void;
  abstract onCloseReceived(): void;
  /** `bufferedAmount` has gone down. */
  abstract onRoom(): void;
  abstract onEnd(end: ConnectionEnd): void;
}
