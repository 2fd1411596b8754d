import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Connection } from '../protocol/connection.ts';
import type { ConnectionEnd, ConnectionHost } from '../protocol/connection-host.ts';
import { ConnectionState } from '../protocol/connection-state.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Message } from '../protocol/messages/message-assembler.ts';
import { heartbeat, Timed } from './heartbeat.ts';
import { nodePlatform } from './node-platform.ts';
import { Outbox, type OutboxOwner } from './outbox.ts';

/** A write that waited at least this long can only have been taken because the peer made room. */
const SIGN_OF_LIFE_MS = 1000;

/** No such moment. */
const NEVER = -1;

const driverOf = Symbol('aperto.driver');
type DrivenStream = Duplex & { [driverOf]?: StreamDriver };

// One function each for all streams, so that a connection costs no closures.
function onData(this: DrivenStream, chunk: Buffer): void {
  this[driverOf]?.chunkArrived(chunk);
}
function onEnd(this: DrivenStream): void {
  this[driverOf]?.streamEnded();
}
function onClose(this: DrivenStream): void {
  this[driverOf]?.streamClosed();
}
function onError(this: DrivenStream): void {
  this[driverOf]?.streamFailed();
}

/**
 * Binds a duplex stream (TCP, TLS, any other) to a connection: feeds it what arrives, writes out what it
 * sends, and stops reading while the application is not ready. What the messages are for is a subclass's.
 */
export abstract class StreamDriver extends Timed implements ConnectionHost, OutboxOwner {
  protected readonly connection: Connection;
  protected readonly outbox: Outbox;
  protected readonly limits: Limits;
  readonly #stream: DrivenStream;

  #held = false;
  /** What arrived and is not parsed, from `#restAt` on. */
  #rest: Buffer | undefined = undefined;
  #restAt = 0;
  #turnAsked = false;
  #ended = false;
  #closed = false;
  /** When the write that the stream is busy with was made; `NEVER` while it is not busy. */
  #blockedSince = NEVER;

  constructor(stream: Duplex, limits: Limits, isServer: boolean) {
    super();
    this.#stream = stream;
    this.limits = limits;
    this.outbox = new Outbox(stream, this);
    this.connection = new Connection(this, this.outbox, nodePlatform, limits, isServer);
    this.#stream[driverOf] = this;
    stream.on('end', onEnd);
    stream.on('close', onClose);
    stream.on('error', onError);
  }

  /** Begins to read; `head` is what came with the handshake. */
  protected start(head: Buffer): void {
    const stream = this.#stream;
    if (stream instanceof Socket) stream.setNoDelay(true);
    if (head.length > 0) this.chunkArrived(head);
    stream.on('data', onData);
    // Who watched the stream until now may have left it paused.
    if (this.#rest === undefined) stream.resume();
    else stream.pause();
    // A stream that was destroyed before has told its 'close' to nobody.
    if (stream.destroyed) process.nextTick(() => this.streamClosed());
  }

  // --- Reading

  chunkArrived(chunk: Buffer): void {
    if (this.#rest !== undefined) {
      this.#rest = Buffer.concat([this.#rest.subarray(this.#restAt), chunk]);
      this.#restAt = 0;
    } else if (this.#held) this.#keep(chunk, 0);
    else this.#feed(chunk, 0);
  }

  #feed(chunk: Buffer, from: number): void {
    this.outbox.corked = true;
    const stoppedAt = this.connection.receive(chunk, from, false);
    this.outbox.corked = false;
    if (stoppedAt < chunk.length) {
      this.#keep(chunk, stoppedAt);
      if (!this.#held) this.#askForTurn();
    }
    this.outbox.flush();
  }

  #keep(chunk: Buffer, at: number): void {
    this.#rest = chunk;
    this.#restAt = at;
    this.#stream.pause();
  }

  /** Many small frames in one read: others come first before we go on. */
  #askForTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    setImmediate(() => {
      this.#turnAsked = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#held) return;
    const rest = this.#rest;
    if (rest !== undefined) {
      this.#rest = undefined;
      this.#feed(rest, this.#restAt);
      if (this.#rest !== undefined || this.#held) return;
    }
    if (this.#closed) this.#finish();
    else if (this.#ended) this.connection.transportEnded();
    else this.#stream.resume();
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
    if (this.#rest === undefined && !this.#held) this.connection.transportEnded();
  }

  /** A reset or a broken pipe: 'close' follows. */
  streamFailed(): void {
    this.outbox.close();
  }

  streamClosed(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.outbox.close();
    // What arrived before the end is delivered before it, unless we broke off ourselves.
    const isWaiting = this.#held || this.#rest !== undefined;
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
    this.#stream.destroy();
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
    if (!this.#stream.writableEnded) this.#stream.end();
  }

  destroyTransport(): void {
    this.#stream.destroy();
  }

  // --- The outbox's

  get backlogged(): boolean {
    return this.outbox.blocked;
  }

  onBlocked(): void {
    // The next write of one that was just taken: `onProgress` follows, and needs to know when that was made.
    if (this.#blockedSince !== NEVER) return;
    this.#blockedSince = this.now();
    this.wakeBy(this.#blockedSince + this.limits.stallTimeoutMs);
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
      const isOpen = this.connection.state <= ConnectionState.CLOSED_BY_US;
      if (!isOpen && this.outbox.bufferedAmount === 0) this.#endStream();
    }
    this.onRoom();
  }

  // --- Time

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
    const stalledAt = this.#blockedSince + this.limits.stallTimeoutMs;
    if (now < stalledAt) return Math.min(next, stalledAt);
    this.connection.fail('SEND_STALLED');
    this.destroyTransport();
    return Number.POSITIVE_INFINITY;
  }

  // --- The subclass's

  abstract onMessage(message: Message): void;
  abstract onPing(payload: Uint8Array): void;
  abstract onPong(payload: Uint8Array): void;
  /** `bufferedAmount` has gone down. */
  abstract onRoom(): void;
  abstract onEnd(end: ConnectionEnd): void;
}
