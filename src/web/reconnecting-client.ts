import { ApertoError } from '../protocol/aperto-error.ts';
import { clientError } from '../protocol/client-errors.ts';
import { checkCloseArguments } from './close-arguments.ts';
import type { Attempt, Dial, Link, LinkHandlers } from './link.ts';
import { MessageQueue, toMessage } from './message-queue.ts';
import {
  type AttemptTarget,
  checkReconnectOptions,
  type ReconnectEnd,
  type ReconnectHandlers,
  type ReconnectOptions,
  type ReconnectSettings,
  type ReconnectTarget,
  type ReconnectWait,
} from './reconnect-options.ts';

/** The longest that a timer can be set; more than that it takes for no time at all. 24 days. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** The longest that a server's Retry-After is heeded. */
const LONGEST_RETRY_AFTER_MS = 300_000;

export type ReconnectState = 'connecting' | 'open' | 'waiting' | 'closing' | 'closed';

/** What each handler is told. */
interface Details {
  readonly connecting: number;
  readonly open: undefined;
  readonly message: string | Uint8Array;
  readonly drain: undefined;
  readonly waiting: ReconnectWait;
  readonly closing: undefined;
  readonly closed: ReconnectEnd;
  readonly dropped: string | Uint8Array;
}

type Handlers = {
  readonly [Name in keyof Details]?: (
    client: ReconnectingClient,
    detail: Details[Name],
  ) => void | Promise<void>;
};

/**
 * A client that connects again when its connection is lost.
 *
 *      new ---> connecting ---- attempt failed ----> waiting
 *                 |    ^                              ^   |
 *                 |    '-- delay over, retry, online -+---'
 *               opened                                |
 *                 v                                   |
 *               open --------- connection lost -------'
 *                 |
 *              close() ---> closing ---> closed
 *
 * `closed` also follows at once: on `close()` where there is no connection, on a final close code, and when
 * `maxAttempts` is reached. Each state is told to the handler of its name.
 *
 * A message is handed to a connection at most once, and in order. One that was handed over may be lost with its
 * connection: who cannot do without it numbers messages, has them acknowledged, and sends again in `open` what was not.
 * One that was not is in the queue, was refused by `send`, or is told to `dropped`.
 */
export class ReconnectingClient<Options extends object = object> implements AsyncDisposable {
  /** How it ended. Never rejects. */
  readonly closed: Promise<ReconnectEnd>;
  readonly #resolveClosed: (end: ReconnectEnd) => void;
  readonly #handlers: ReconnectHandlers;
  readonly #settings: ReconnectSettings;
  readonly #queue: MessageQueue;
  readonly #plan: (attempt: number, signal: AbortSignal) => Attempt | Promise<Attempt>;

  #state: ReconnectState = 'connecting';
  /** The attempt, or the connection that came of it. What is told of another one comes too late. */
  #current: AbortController | undefined = undefined;
  #link: Link | undefined = undefined;
  /** Whether the link wants more. */
  #hasRoom = false;
  /** Attempts since a connection was stable. */
  #attempts = 0;
  /** Each state needs one at most: for an attempt, for a stable connection, for the delay, for closing. */
  #timer: ReturnType<typeof setTimeout> | undefined = undefined;
  #closeCode = 1000;
  #closeReason = '';

  /** @throws {ApertoError} INVALID_OPTION, and where `target` is no function what `dial` throws for misuse. */
  constructor(
    dial: Dial<Partial<Options> & Pick<AttemptTarget, 'headers'>>,
    target: ReconnectTarget,
    options: ReconnectOptions<Options> = {},
  ) {
    this.#handlers = options;
    this.#settings = checkReconnectOptions(options);
    this.#queue = new MessageQueue(this.#settings.queue);
    const plan = (to: string | URL | AttemptTarget): Attempt => planAttempt(dial, to, options);
    if (typeof target === 'function') {
      this.#plan = async (attempt, signal) => plan(await target(attempt, signal));
    } else {
      const planned = plan(target);
      this.#plan = () => planned;
    }
    let resolve: (end: ReconnectEnd) => void = () => {};
    this.closed = new Promise((settle) => {
      resolve = settle;
    });
    this.#resolveClosed = resolve;
    this.#watchNetwork('addEventListener');
    // Who makes the client has it before anything is told.
    queueMicrotask(() => {
      if (this.#state === 'connecting') this.#connect();
    });
  }

  get state(): ReconnectState {
    return this.#state;
  }

  /** The subprotocol of the connection; '' for none. */
  get protocol(): string {
    return this.#link?.protocol ?? '';
  }

  /** Messages that wait to be handed to a connection. */
  get queued(): number {
    return this.#queue.length;
  }

  /** Bytes that wait, in the queue and in the connection; framing may be among them. */
  get bufferedAmount(): number {
    return this.#queue.bytes + (this.#link?.bufferedAmount ?? 0);
  }

  /**
   * Sends a message, or queues it while there is no connection, or one that is behind. Bytes may be changed after
   * the call.
   * @returns false where it was not taken: the queue is full, or the client closed.
   * @throws {ApertoError} INVALID_DATA
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean {
    const message = toMessage(data);
    if (this.#state === 'closing' || this.#state === 'closed') return false;
    const link = this.#link;
    if (link?.isOpen && this.#hasRoom && this.#queue.isClear) {
      this.#hasRoom = link.send(message);
      return true;
    }
    const dropped = this.#queue.add(message);
    for (const old of dropped ?? []) this.#tell('dropped', old);
    return dropped !== undefined;
  }

  /** Makes the next attempt now, where one is being waited for. */
  retry(): void {
    if (this.#state === 'waiting') this.#connect();
  }

  /**
   * Ends it. What is queued is sent first, where there is a connection and it takes it in time. Without one it ends at
   * once, and tells `dropped` what was queued.
   * @throws {ApertoError} INVALID_CLOSE_CODE unless it is 1000 or from 3000 to 4999, INVALID_CLOSE_REASON
   */
  close(code = 1000, reason = ''): void {
    checkClose(code, reason);
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const link = this.#link;
    if (link === undefined) {
      this.#current?.abort();
      this.#finish({ code, reason, error: undefined });
      return;
    }
    this.#closeCode = code;
    this.#closeReason = reason;
    this.#state = 'closing';
    this.#after(this.#settings.handshakeTimeoutMs, () => link.terminate());
    this.#tell('closing', undefined);
    this.#pump();
  }

  /** Closes, and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  // --- States

  async #connect(): Promise<void> {
    const attempt = this.#attempts++;
    const controller = new AbortController();
    const { signal } = controller;
    const isCurrent = (): boolean => this.#current === controller;
    const failed = (error: unknown): void => {
      if (!isCurrent()) return;
      controller.abort(error);
      // What no attempt can mend.
      const isFinal = error instanceof ApertoError && error.code === 'INVALID_OPTION';
      this.#ended({ code: 1006, reason: '', error }, isFinal);
    };
    const handlers: LinkHandlers = {
      message: (data) => {
        if (isCurrent() && this.#state === 'open') this.#holdDuring(this.#tell('message', data));
      },
      progress: () => {
        if (!isCurrent()) return;
        // Any less might still be more than the link wants.
        if (this.#link?.bufferedAmount === 0) this.#hasRoom = true;
        this.#pump();
      },
      // The link is open no more, which is all there is to know.
      closing() {},
      closed: (end) => {
        if (!isCurrent()) return;
        const isFinal = this.#settings.finalCodes.includes(end.code);
        this.#ended(end, isFinal || this.#state === 'closing');
      },
    };
    this.#current = controller;
    this.#state = 'connecting';
    this.#after(this.#settings.handshakeTimeoutMs, () => failed(clientError('HANDSHAKE_TIMEOUT')));
    this.#tell('connecting', attempt);
    try {
      const connect = await this.#plan(attempt, signal);
      signal.throwIfAborted();
      const link = await connect(handlers, signal);
      if (isCurrent()) this.#opened(link);
      else link.terminate();
    } catch (error) {
      failed(error);
    }
  }

  #opened(link: Link): void {
    this.#link = link;
    this.#hasRoom = true;
    this.#state = 'open';
    this.#after(this.#settings.stableMs, () => {
      this.#attempts = 0;
    });
    this.#queue.ahead = 0;
    this.#holdDuring(this.#tell('open', undefined));
    this.#queue.ahead = undefined;
    this.#pump();
  }

  /** An attempt or a connection is over. */
  #ended({ code, reason, error }: ReconnectEnd, isFinal: boolean): void {
    this.#link = undefined;
    this.#current = undefined;
    if (isFinal) this.#finish({ code, reason, error });
    else if (this.#attempts >= this.#settings.maxAttempts) {
      const exhausted = clientError('ATTEMPTS_EXHAUSTED', { cause: error });
      this.#finish({ code, reason, error: exhausted });
    } else this.#wait({ code, reason, error });
  }

  #wait(end: ReconnectEnd): void {
    const { firstMs, maxMs } = this.#settings;
    const attempt = this.#attempts;
    // Full jitter: clients that were lost together do not come back together. Nor where they are told when to.
    const most = Math.min(maxMs, LONGEST_TIMER_MS, firstMs * 2 ** Math.max(0, attempt - 1));
    let delayMs = Math.ceil(Math.random() * most) + retryAfterMs(end.error);
    if (globalThis.navigator?.onLine === false) delayMs = Math.max(delayMs, maxMs);
    this.#state = 'waiting';
    this.#after(delayMs, () => this.#connect());
    this.#tell('waiting', { attempt, delayMs, ...end });
  }

  #finish(end: ReconnectEnd): void {
    clearTimeout(this.#timer);
    this.#watchNetwork('removeEventListener');
    this.#current = undefined;
    this.#state = 'closed';
    for (;;) {
      const data = this.#queue.shift();
      if (data === undefined) break;
      this.#tell('dropped', data);
    }
    this.#tell('closed', end);
    this.#resolveClosed(end);
  }

  /** Hands over what is queued, as far as the link wants it. */
  #pump(): void {
    const link = this.#link;
    const queue = this.#queue;
    if (!link?.isOpen) return;
    const before = queue.length;
    while (link.isOpen && this.#hasRoom) {
      const data = queue.shift();
      if (data === undefined) break;
      this.#hasRoom = link.send(data);
    }
    if (queue.length > 0) return;
    if (this.#state === 'closing') link.close(this.#closeCode, this.#closeReason);
    else if (before > 0) this.#tell('drain', undefined);
  }

  // --- Time, and the network

  #after(ms: number, strike: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = ms > LONGEST_TIMER_MS ? undefined : setTimeout(strike, ms);
  }

  /** Where there is a hint whether there is a network at all, as in browsers. It is only a hint. */
  #watchNetwork(how: 'addEventListener' | 'removeEventListener'): void {
    if (globalThis.navigator?.onLine === undefined) return;
    for (const type of ['online', 'offline']) globalThis[how]?.(type, this.#networkChanged);
  }

  readonly #networkChanged = (): void => {
    if (navigator.onLine) this.retry();
    else if (this.#state === 'waiting') {
      this.#after(this.#settings.maxMs, () => this.#connect());
    }
  };

  // --- Handlers

  /** Returns what a handler that is not finished has to be waited for with. */
  #tell<Name extends keyof Details>(
    name: Name,
    detail: Details[Name],
  ): Promise<unknown> | undefined {
    try {
      const handlers: Handlers = this.#handlers;
      const returned: unknown = handlers[name]?.(this, detail);
      if (typeof returned === 'object' && returned !== null && 'then' in returned) {
        return Promise.resolve(returned).catch((error) => this.#report(error));
      }
    } catch (error) {
      this.#report(error);
    }
    return undefined;
  }

  #holdDuring(pending: Promise<unknown> | undefined): void {
    const link = this.#link;
    // A link that is closing delivers nothing, and must not be kept from its end.
    if (pending === undefined || !link?.isOpen) return;
    link.hold();
    pending.then(() => link.release());
  }

  #report(error: unknown): void {
    try {
      if (this.#handlers.onError === undefined) console.error(error);
      else this.#handlers.onError(error, this);
    } catch (second) {
      console.error(second);
    }
  }
}

function planAttempt<Options extends object>(
  dial: Dial<Partial<Options> & Pick<AttemptTarget, 'headers'>>,
  target: string | URL | AttemptTarget,
  options: ReconnectOptions<Options>,
): Attempt {
  const isUrl = typeof target === 'string' || target instanceof URL;
  const { url, protocols, headers }: Partial<AttemptTarget> = isUrl
    ? { url: target }
    : (target ?? {});
  if (typeof url !== 'string' && !(url instanceof URL)) {
    throw clientError('INVALID_URL', { detail: String(url) });
  }
  const offered = protocols ?? options.protocols ?? [];
  const connect: Partial<Options> = options.connect ?? {};
  return dial(String(url), offered, headers === undefined ? connect : { ...connect, headers });
}

/** What a server that refuses asks for (RFC 9110 10.2.3): seconds, or a date; 0 where it does not ask. */
function retryAfterMs(error: unknown): number {
  if (!(error instanceof ApertoError)) return 0;
  const asked = String(error.response?.headers['retry-after']);
  const ms = /^\d+$/.test(asked) ? Number(asked) * 1000 : Date.parse(asked) - Date.now();
  return ms > 0 ? Math.min(ms, LONGEST_RETRY_AFTER_MS) : 0;
}

/** By the rules of browsers, also in Node. */
function checkClose(code: number, reason: string): void {
  if (typeof reason !== 'string') throw clientError('INVALID_CLOSE_REASON');
  try {
    checkCloseArguments(code, reason);
  } catch (cause) {
    const { name, message } = cause as DOMException;
    const isReason = name === 'SyntaxError';
    throw clientError(isReason ? 'INVALID_CLOSE_REASON' : 'INVALID_CLOSE_CODE', {
      detail: message,
    });
  }
}
