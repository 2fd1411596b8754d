import type { ApertoError } from '../../protocol/aperto-error.ts';
import type { ConnectionEnd } from '../../protocol/connection-host.ts';
import { ConnectionState } from '../../protocol/connection-state.ts';
import { apertoError } from '../../protocol/errors.ts';
import type { Message } from '../../protocol/messages/message-assembler.ts';
import { encodeCloseReason } from '../data.ts';
import { resetStream } from '../http2-stream.ts';
import { nextTurn } from '../next-turn.ts';
import type { DriverSettings } from '../stream-driver.ts';
import { StreamDriver } from '../stream-driver.ts';
import { type Dialled, type DialOptions, dial, planDial } from './dial.ts';

/** What a session tells the face that stands on it. */
export interface LinkSessionHandlers {
  message(data: Message): void;
  /** `bufferedAmount` has gone down. */
  progress(): void;
  /** The server's close frame has come. */
  closing(): void;
  closed(end: LinkSessionEnd): void;
}

export interface LinkSessionEnd {
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  readonly error: ApertoError | undefined;
}

/**
 * A client's connection under a face that is no peer: WebSocket, WebSocketStream, a reconnecting client. It has
 * no handlers of the application, no reader and no policy for slow peers.
 */
export class LinkSession extends StreamDriver<DriverSettings> {
  readonly protocol: string;
  readonly extensions: string;
  readonly #handlers: LinkSessionHandlers;

  constructor(dialled: Dialled, handlers: LinkSessionHandlers) {
    super(dialled.socket, dialled.settings);
    this.protocol = dialled.protocol;
    this.extensions = dialled.extensions;
    this.#handlers = handlers;
    // Who asked for the link has it before anything is told.
    nextTurn(() => this.start(dialled.head));
  }

  get isOpen(): boolean {
    return this.connection.state === ConnectionState.OPEN && !this.outbox.closed;
  }

  get bufferedAmount(): number {
    return this.outbox.bufferedAmount;
  }

  get bytesTaken(): number {
    return this.outbox.bytesTaken;
  }

  send(data: string | Uint8Array): boolean {
    if (!this.isOpen) return false;
    const { maxBufferedBytes, highWaterMarkBytes } = this.settings.limits;
    if (!this.#hasAtMost(maxBufferedBytes)) {
      this.connection.fail('SEND_BUFFER_FULL');
      return false;
    }
    if (typeof data === 'string') this.connection.sendText(data, true);
    // A message that is compressed on another thread is read after this call.
    else this.connection.sendBinary(this.extensions === '' ? data : new Uint8Array(data), true);
    this.outbox.messagesQueued(1);
    return this.#hasAtMost(highWaterMarkBytes);
  }

  /** Whether no more than that waits; if more, `progress` follows, since the socket has not taken it. */
  #hasAtMost(bytes: number): boolean {
    const { outbox } = this;
    if (outbox.bufferedAmount > bytes) outbox.flush();
    return outbox.bufferedAmount <= bytes;
  }

  close(code: number | undefined, reason: string): void {
    this.connection.close(code, encodeCloseReason(code, reason));
    this.release();
  }

  override hold(): void {
    super.hold();
  }

  override release(): void {
    super.release();
  }

  cork(): void {
    this.outbox.corked = true;
  }

  uncork(): void {
    this.outbox.corked = false;
    this.outbox.flush();
  }

  /** Who holds a link has no handler running that the end would have to come after. */
  protected override get endWaits(): boolean {
    return false;
  }

  override onMessage(message: Message): void {
    this.#handlers.message(message);
  }

  override onPing(): void {}

  override onPong(): void {}

  override onRoom(): void {
    this.#handlers.progress();
  }

  override onCloseReceived(): void {
    this.#handlers.closing();
  }

  override onEnd(end: ConnectionEnd): void {
    const { code, reason } = end;
    const error = this.errorOf(end);
    this.#handlers.closed({ code, reason, wasClean: error === undefined, error });
  }
}

/**
 * What may wait to be sent where the face has no way to say that one should wait. Only `WebSocket` fills it: the
 * others stop at `highWaterMarkBytes`.
 */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024;

/** Fetch, "HTTP-network-or-cache fetch": nothing on the way is to answer from a cache. */
const NO_CACHE = { Pragma: 'no-cache', 'Cache-Control': 'no-cache' };

/**
 * Plans to connect for a face of the web, by its rules where they are other than those of `connect`.
 * @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION
 */
export function dialLink(
  url: string,
  protocols: readonly string[],
  options: DialOptions,
): (handlers: LinkSessionHandlers, signal: AbortSignal) => Promise<LinkSession> {
  const { target, headers } = takeCredentials(url, options.headers);
  const limits = { maxBufferedBytes: MAX_BUFFERED_BYTES, ...options.limits };
  const plan = planDial(target, protocols, {
    ...options,
    headers: { ...NO_CACHE, ...headers },
    limits,
  });
  return async (handlers, signal) => {
    const dialled = await dial(plan, signal);
    // WHATWG WebSockets 2.2: who offers subprotocols wants one of them.
    if (protocols.length > 0 && dialled.protocol === '') {
      resetStream(dialled.socket);
      throw apertoError('SUBPROTOCOL_MISSING', { detail: protocols.join(', ') });
    }
    return new LinkSession(dialled, handlers);
  };
}

/** Fetch, "HTTP-network-or-cache fetch": a user and password in the URL become a header. */
function takeCredentials(
  url: string,
  headers: DialOptions['headers'] = {},
): { target: string; headers: Readonly<Record<string, string>> } {
  if (!URL.canParse(url)) return { target: url, headers };
  const target = new URL(url);
  const { username, password } = target;
  if (username === '' && password === '') return { target: url, headers };
  target.username = '';
  target.password = '';
  const isSet = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  if (isSet) return { target: target.href, headers };
  const credentials = Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64');
  return { target: target.href, headers: { ...headers, Authorization: `Basic ${credentials}` } };
}

/** What is no percent-encoding stays as it is. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
