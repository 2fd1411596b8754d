/** Connections of the load: over TCP by code of its own, over TLS by the library's client. */
import { connect as connectTcp, type Socket } from 'node:net';
import { type ClientPeer, connect } from '../../dist/index.js';
import type { Random } from '../random.ts';
import {
  BINARY,
  CLOSE,
  clientFrame,
  closePayload,
  FIN,
  PING,
  PONG,
  ServerFrames,
  TEXT,
  UpgradeAnswer,
  upgradeRequest,
} from './frames.ts';

export interface LinkEvents {
  message(data: string | Uint8Array): void;
  /** Once. `code` is the server's; 1006 where it said none. */
  ended(code: number, why: string): void;
}

export interface Link {
  send(data: string | Uint8Array): void;
  /** In order, with 1000. */
  close(): void;
  /** Without a close frame: FIN, or a reset. */
  terminate(): void;
  reset(): void;
}

export class RawLink implements Link {
  readonly #socket: Socket;
  readonly #random: Random;
  readonly #events: LinkEvents;
  readonly #answer = new UpgradeAnswer();
  readonly #frames = new ServerFrames();
  #isOpen = false;
  #sentClose = false;
  #code = 1006;
  #why = '';

  constructor(port: number, path: string, random: Random, events: LinkEvents) {
    this.#random = random;
    this.#events = events;
    this.#socket = connectTcp({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('connect', () => this.#socket.write(upgradeRequest(path)));
    this.#socket.on('data', (chunk) => this.#hear(chunk));
    this.#socket.on('error', (error) => {
      if (this.#why === '') this.#why = 'code' in error ? String(error.code) : error.message;
    });
    this.#socket.on('close', () => events.ended(this.#code, this.#why));
  }

  #hear(chunk: Buffer): void {
    try {
      let rest: Buffer | undefined = chunk;
      if (!this.#isOpen) {
        rest = this.#answer.push(chunk);
        if (rest === undefined) return;
        this.#isOpen = true;
      }
      for (const { first, payload } of this.#frames.push(rest)) this.#frame(first, payload);
    } catch (error) {
      this.#why = error instanceof Error ? error.message : String(error);
      this.#socket.destroy();
    }
  }

  #frame(first: number, payload: Buffer): void {
    if (first === (FIN | TEXT)) this.#events.message(payload.toString());
    else if (first === (FIN | BINARY)) this.#events.message(payload);
    else if (first === (FIN | PING)) this.#write(PONG, payload);
    else if (first === (FIN | CLOSE)) {
      this.#code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
      this.close();
    } else if (first !== (FIN | PONG))
      throw new Error(`the server sent a frame 0x${first.toString(16)}`);
  }

  #write(opcode: number, payload: Uint8Array): void {
    if (this.#socket.writable) {
      this.#socket.write(clientFrame(this.#random, { first: FIN | opcode, payload }));
    }
  }

  send(data: string | Uint8Array): void {
    if (typeof data === 'string') this.#write(TEXT, Buffer.from(data));
    else this.#write(BINARY, data);
  }

  /** Reads nothing, until `resume`. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    this.#write(CLOSE, closePayload(1000));
  }

  terminate(): void {
    this.#socket.destroy();
  }

  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

export class TlsLink implements Link {
  #peer: ClientPeer | undefined = undefined;
  #isGone = false;
  readonly #events: LinkEvents;

  constructor(port: number, path: string, certificate: string, http2: boolean, events: LinkEvents) {
    this.#events = events;
    connect(`wss://127.0.0.1:${port}${path}`, {
      http2,
      compression: false,
      // As long as the others wait.
      limits: { handshakeTimeoutMs: 60_000 },
      tls: { ca: certificate, servername: 'localhost' },
      message: (_peer, data) => events.message(data),
      close: (peer, code) =>
        void peer.closed.then(({ error }) => this.#ended(code, error?.code ?? '')),
    }).then(
      (peer) => {
        this.#peer = peer;
        if (this.#isGone) peer.terminate();
      },
      (error: unknown) => this.#ended(1006, `not connected: ${error}`),
    );
  }

  #ended(code: number, why: string): void {
    this.#events.ended(code, why);
  }

  send(data: string | Uint8Array): void {
    this.#peer?.send(data);
  }

  close(): void {
    this.#peer?.close(1000);
  }

  terminate(): void {
    this.#isGone = true;
    this.#peer?.terminate();
  }

  reset(): void {
    this.terminate();
  }
}
