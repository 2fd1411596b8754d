import assert from 'node:assert/strict';
import { Connection } from '../../dist/protocol/connection.js';
import type { ConnectionEnd, ConnectionHost } from '../../dist/protocol/connection-host.js';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import type { CompressionSettings } from '../../dist/protocol/extensions/agreed-compression.js';
import type { FramePlace, FrameSink } from '../../dist/protocol/frames/frame-sender.js';
import { type Limits, resolveLimits } from '../../dist/protocol/limits.js';
import type { Message } from '../../dist/protocol/messages/message-assembler.js';
import { concatBytes, decodeFrames, encodeFrame, type FrameFields } from '../reference-codec.ts';
import { testPlatform } from './test-platform.ts';

/** What a connection told its host, in order. */
export type Told =
  | { readonly message: Message }
  | { readonly ping: number[] }
  | { readonly pong: number[] }
  | { readonly inflated: true }
  | { readonly transport: 'end' | 'destroy' }
  | { readonly end: ConnectionEnd };

/** A frame that was sent. */
export interface Sent {
  readonly opcode: number;
  readonly payload: number[];
  /** There where the frame has RSV1. */
  readonly compressed?: true;
}

/** Keeps a place for frames that come later. */
class Place implements FramePlace {
  readonly size: number;
  isKept = true;
  frames: Uint8Array | undefined = undefined;

  constructor(size: number) {
    this.size = size;
  }

  fill(frames: Uint8Array): void {
    assert.equal(this.frames, undefined, 'filled once');
    this.frames = frames;
  }
}

/** A connection whose host is the test: time stands still until it is moved. */
export class Harness implements ConnectionHost, FrameSink {
  readonly told: Told[] = [];
  readonly connection: Connection;
  backlogged = false;
  time = 1_000_000;
  /** When the connection wants to be woken; the earliest of what it asked for. */
  wakeAt = Number.POSITIVE_INFINITY;
  /** Called with each message. */
  onEachMessage: (message: Message) => void = () => {};
  position = 0;
  readonly #isServer: boolean;
  readonly #maySendCompressed: boolean;
  /** Close frames of the peer that it was told of. */
  closeFrames = 0;
  /** What comes before what is in the buffer. */
  #before: Place[] = [];
  #buffer = new Uint8Array(0);

  constructor(isServer = true, limits: Partial<Limits> = {}, compression?: CompressionSettings) {
    this.#isServer = isServer;
    this.#maySendCompressed = compression !== undefined;
    this.connection = new Connection(
      this,
      this,
      connectionSettings(testPlatform, resolveLimits(limits), isServer, compression),
    );
  }

  // --- The host

  now(): number {
    return this.time;
  }
  wakeBy(at: number): void {
    this.wakeAt = Math.min(this.wakeAt, at);
  }
  onMessage(message: Message): void {
    this.told.push({ message });
    this.onEachMessage(message);
  }
  onPing(payload: Uint8Array): void {
    this.told.push({ ping: [...payload] });
  }
  onPong(payload: Uint8Array): void {
    this.told.push({ pong: [...payload] });
  }
  onInflated(): void {
    this.told.push({ inflated: true });
  }
  onCloseReceived(): void {
    this.closeFrames += 1;
  }
  endTransport(): void {
    this.told.push({ transport: 'end' });
  }
  destroyTransport(): void {
    this.told.push({ transport: 'destroy' });
  }
  onEnd(end: ConnectionEnd): void {
    this.told.push({ end });
  }

  // --- The sink

  reserve(size: number): Uint8Array {
    const grown = new Uint8Array(this.position + size);
    grown.set(this.#buffer.subarray(0, this.position));
    this.#buffer = grown;
    return grown;
  }
  commit(end: number): void {
    this.position = end;
  }
  /** Keeps the bytes themselves, as the real sink may: who changes them later changes what is sent. */
  append(bytes: Uint8Array): void {
    this.keepPlace(bytes.length).fill(bytes);
  }

  keepPlace(size: number): FramePlace {
    this.#cut();
    const place = new Place(size);
    this.#before.push(place);
    return place;
  }

  #cut(): void {
    if (this.position === 0) return;
    const written = new Place(this.position);
    written.fill(this.#buffer.slice(0, this.position));
    this.#before.push(written);
    this.position = 0;
  }

  // --- The test

  /** A frame as the other side sends it. */
  frame(fields: FrameFields): Uint8Array {
    return encodeFrame(this.#isServer ? { mask: [1, 2, 3, 4], ...fields } : fields);
  }

  /** The other side sends frames; returns where the connection stopped, and the bytes. */
  receive(...frames: (FrameFields | Uint8Array)[]): { stoppedAt: number; bytes: Uint8Array } {
    const bytes = concatBytes(
      ...frames.map((frame) => (frame instanceof Uint8Array ? frame : this.frame(frame))),
    );
    return { stoppedAt: this.chunk(bytes), bytes };
  }

  /** A chunk arrives; returns where the connection stopped. */
  chunk(bytes: Uint8Array, start = 0, borrowed = false): number {
    return this.connection.receive(bytes, start, bytes.length, borrowed);
  }

  /** Lets time pass, waking as a heartbeat does. */
  pass(ms: number): void {
    const until = this.time + ms;
    while (this.wakeAt <= until) {
      this.time = Math.max(this.time, this.wakeAt);
      this.wakeAt = Number.POSITIVE_INFINITY;
      this.wakeBy(this.connection.wake(this.time));
      assert.ok(this.wakeAt > this.time, 'a wake that asks for another at once');
    }
    this.time = until;
  }

  /** The sizes of the places that are kept, and not filled. */
  get placesKept(): number[] {
    return this.#before.filter(({ frames }) => frames === undefined).map(({ size }) => size);
  }

  /** Gives up what was sent since the last call, places included. */
  discard(): void {
    for (const place of this.#before) place.isKept = false;
    this.#before = [];
    this.position = 0;
    this.connection.discarded();
  }

  /** The bytes that were sent since the last call, up to the first place that is kept. */
  written(): Uint8Array {
    this.#cut();
    const open = this.#before.findIndex(({ frames }) => frames === undefined);
    const done = this.#before.splice(0, open < 0 ? this.#before.length : open);
    return Uint8Array.from(Buffer.concat(done.flatMap(({ frames }) => frames ?? [])));
  }

  /** What was sent since the last call, likewise. */
  sent(): Sent[] {
    const { frames, rest } = decodeFrames(this.written());
    assert.equal(rest.length, 0);
    return frames.map(({ opcode, payload, mask, fin, reserved }): Sent => {
      const isCompressed = reserved === 4 && this.#maySendCompressed && opcode < CLOSE;
      assert.ok(fin && (reserved === 0 || isCompressed));
      assert.equal(mask === undefined, this.#isServer, 'a client masks, a server does not');
      return { opcode, payload: [...payload], ...(isCompressed && { compressed: true }) };
    });
  }

  /** What was told since the last call. */
  heard(): Told[] {
    return this.told.splice(0);
  }
}

export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

/** The payload of a close frame. */
export function closePayload(code: number, reason = ''): number[] {
  return [code >> 8, code & 0xff, ...Buffer.from(reason)];
}
