import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { JudgeAddress } from '../protocol/handshake/forwarded.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import {
  type Acceptance,
  type Agreed,
  asksForWebSocket,
  checkUpgrade,
  type Refusal,
} from '../protocol/handshake/server-handshake.ts';
import { acceptResponse, refusalResponse } from '../protocol/handshake/server-response.ts';
import { nodePlatform } from './node-platform.ts';
import { sourceOf } from './trusted-proxies.ts';
import { UpgradeRequest } from './upgrade-request.ts';
import type { AskedUpgrade, RouteRules } from './upgrades.ts';

/** How long a refused client has to read the answer and go. */
const LINGER_MS = 2_000;
/** What a client may send ahead while an asynchronous `upgrade` decides about it. */
const MAX_EARLY_BYTES = 64 * 1024;

function ignoreError(): void {}

/** A request that asks for an upgrade of its connection (RFC 6455 4.2). */
export class Http1Upgrade implements AskedUpgrade {
  readonly request: UpgradeRequest;
  readonly socket: Duplex;
  readonly head: Buffer;
  readonly status = 101;
  readonly #message: IncomingMessage;
  readonly #fields: HeaderFields;
  readonly #encrypted: boolean;
  #accept = '';

  constructor(message: IncomingMessage, socket: Duplex, head: Buffer, judge?: JudgeAddress) {
    const { url = '/', rawHeaders } = message;
    const fields = new HeaderFields(rawHeaders);
    const source = sourceOf(
      fields,
      message.socket.remoteAddress,
      // How node:tls tells them apart; not by their class, which not all runtimes give a server's.
      Reflect.get(socket, 'encrypted') === true,
      judge,
    );
    this.request = new UpgradeRequest(url, rawHeaders, source.address);
    this.socket = socket;
    this.head = head;
    this.#message = message;
    this.#fields = fields;
    this.#encrypted = source.encrypted;
  }

  /** Whether it is for WebSocket. */
  get isForUs(): boolean {
    return asksForWebSocket(this.#fields);
  }

  check(rules: RouteRules): Acceptance | Refusal {
    const { method = '', httpVersion } = this.#message;
    const request = { method, httpVersion, fields: this.#fields };
    const encrypted = this.#encrypted;
    const answer = checkUpgrade(request, { ...rules, encrypted }, nodePlatform);
    if ('accept' in answer) this.#accept = answer.accept;
    return answer;
  }

  refuse(status: number, headers: Readonly<Record<string, string>>, body?: string): void {
    refuseUpgrade(this.socket, status, headers, body);
  }

  grant(agreed: Agreed): Uint8Array {
    return Buffer.from(acceptResponse({ ...agreed, accept: this.#accept }), 'latin1');
  }
}

/**
 * Answers an upgrade with an HTTP response and ends the connection. What the client sent behind its
 * request is thrown away unread: unread bytes would reset the connection under the answer.
 * @throws {ApertoError} INVALID_HEADER, INVALID_OPTION for what cannot be answered; then nothing was done.
 */
function refuseUpgrade(
  socket: Duplex,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string = `${STATUS_CODES[status] ?? status}\n`,
): void {
  const response = refusalResponse(status, headers, body, nodePlatform);
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  linger(socket);
  socket.end(response);
}

/** Throws away what a client still sends, until it goes or has had its time. */
export function linger(socket: Duplex): void {
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.on('error', ignoreError);
  socket.on('close', () => clearTimeout(timer));
  socket.on('end', () => socket.destroy());
  socket.resume();
}

/**
 * Keeps an eye on a socket while the application decides: collects what the client sends ahead, up to a
 * bound, and notices when it goes.
 */
export class WaitingSocket {
  readonly #socket: Duplex;
  readonly #early: Buffer[];
  #size: number;
  #gone = false;
  readonly #onData = (chunk: Buffer): void => this.#collect(chunk);
  readonly #onGone = (): void => {
    this.#gone = true;
    this.#socket.destroy();
    this.#onLeft();
  };
  readonly #onLeft: () => void;

  /** @param onLeft called, perhaps more than once, where the client goes before `finish`. */
  constructor(socket: Duplex, head: Buffer, onLeft: () => void) {
    this.#onLeft = onLeft;
    this.#socket = socket;
    this.#early = [head];
    this.#size = head.length;
    socket.on('data', this.#onData);
    socket.on('end', this.#onGone);
    socket.on('error', this.#onGone);
    socket.on('close', this.#onGone);
  }

  /** Whether the client has left, so that no answer can reach it. */
  get gone(): boolean {
    return this.#gone || this.#socket.destroyed;
  }

  #collect(chunk: Buffer): void {
    this.#early.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= MAX_EARLY_BYTES) this.#socket.pause();
  }

  /** Stops watching; returns what came ahead. */
  finish(): Buffer {
    const socket = this.#socket;
    socket.pause();
    socket.off('data', this.#onData);
    socket.off('end', this.#onGone);
    socket.off('close', this.#onGone);
    socket.on('error', ignoreError);
    socket.off('error', this.#onGone);
    return Buffer.concat(this.#early);
  }
}
