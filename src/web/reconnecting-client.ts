import { clientError } from '../protocol/client-errors.ts';
import { ensure } from './ensure.ts';
import type {
  AttemptTarget,
  QueueOptions,
  ReconnectEnd,
  ReconnectHandlers,
  ReconnectOptions,
  ReconnectTarget,
  ReconnectWait,
} from './reconnect-options.ts';
import type { SimpleAttempt, SimpleDial, SimpleHandlers, SimpleLink } from './simple-link.ts';

export type ReconnectState = 'connecting' | 'open' | 'waiting' | 'closing' | 'closed';

/** What stands for more: a timer takes what is longer than 24 days for no time at all. As a time it is 12 days. */
const MOST = 2 ** 30;

/** What a number is where it is not set. */
const defaults = {
  firstMs: 1_000,
  maxMs: 30_000,
  stableMs: 5_000,
  maxAttempts: MOST,
  handshakeTimeoutMs: 10_000,
  maxMessages: 1_000,
  maxBytes: 2 ** 20,
};

type Settings = Readonly<typeof defaults> &
  Required<Pick<ReconnectOptions, 'finalCodes'> & Pick<QueueOptions, 'policy'>>;

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
  readonly [Name in keyof Details]?: (client: ReconnectingClient, detail: Details[Name]) => unknown;
};

/**
 * A client that connects again when its connection is lost.
 *
 *      new ---> waiting -- delay over, retry(), online --> connecting
 *                 ^ ^                                       |     |
 *                 | '------------- attempt failed ----------'     |
 *                 |                                               v
 *                 '----- connection lost ---------------------- open -- close() --> closing --> closed
 *
 * Instead of `waiting` comes `closed` after a final close code, and where `maxAttempts` are used up; and `close()`
 * without a connection leads to it at once. Each state is told to the handler of its name, but for `waiting` at the
 * very beginning, which takes no time.
 *
 * Messages are handed to a connection in the order of `send`, each at most once. One that was handed over may be lost
 * with its connection: who cannot do without it numbers messages, has them acknowledged, and sends again in `open` what
 * was not. One that was not handed over is queued, was refused by `send`, or is told to `dropped`.
 */
export class ReconnectingClient<Options extends object = object> implements AsyncDisposable {
  /** How it ended. Never rejects. */
  readonly closed: Promise<ReconnectEnd>;
  #resolveClosed: (end: ReconnectEnd) => void = () => {};
  readonly #handlers: ReconnectHandlers;
  readonly #retryAfterMs: (error: unknown) => number;
  readonly #plan: (attempt: number, signal: AbortSignal) => Promise<SimpleAttempt>;
  readonly #settings: Settings;

  #state: ReconnectState = 'waiting';
  /** Of the attempt, or the connection that came of it. */
  #controller: AbortController | undefined;
  #link: SimpleLink | undefined;
  /** What `send` of the link has returned. */
  #hasRoom: boolean | undefined;
  /** Attempts since a connection was stable. */
  #attempts = 0;
  /** Each state needs one at most: for an attempt, for a stable connection, for the delay, for closing. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #queue: [data: string | Uint8Array, bytes: number][] = [];
  #queuedBytes = 0;
  /** Where a message joins the queue: at the end, but for what the `open` handler sends. */
  #place = MOST;
  /** There where `close` was called. */
  #closeLink: (() => void) | undefined;

  /**
   * @param retryAfterMs how long to wait at least after an attempt has failed with this error
   * @throws {ApertoError} INVALID_OPTION, and where `target` is no function what `dial` throws for misuse
   */
  constructor(
    dial: SimpleDial<Partial<Options> & Pick<AttemptTarget, 'headers'>>,
    target: ReconnectTarget,
    options: ReconnectOptions<Options>,
    retryAfterMs: (error: unknown) => number = () => 0,
  ) {
    const { backoff, queue } = options;
    const { finalCodes = [1000, 1002, 1003, 1007, 1008, 1010] } = options;
    const { policy = 'refuse' } = queue ?? {};
    const settings = { ...defaults, ...options, ...backoff, ...queue, finalCodes, policy };
    for (const key in defaults) {
      const name = key as keyof typeof defaults;
      const value = settings[name] ?? defaults[name];
      ensure(isWhole(value), 'INVALID_OPTION', name);
      settings[name] = Math.min(value, MOST);
    }
    const isList = Array.isArray(finalCodes) && finalCodes.every(isWhole);
    ensure(isList, 'INVALID_OPTION', 'finalCodes');
    ensure(policy === 'refuse' || policy === 'drop-oldest', 'INVALID_OPTION', 'policy');
    this.#handlers = options;
    this.#retryAfterMs = retryAfterMs;
    this.#settings = settings;
    const plan = (to: string | URL | AttemptTarget): SimpleAttempt =>
      planAttempt(dial, to, options);
    if (typeof target !== 'function') plan(target);
    this.#plan = async (attempt, signal) =>
      plan(typeof target === 'function' ? await target(attempt, signal) : target);
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    globalThis.addEventListener?.('online', this.retry);
    // Who makes the client has it before anything is told.
    queueMicrotask(this.retry);
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
    return this.#queuedBytes + (this.#link?.bufferedAmount ?? 0);
  }

  /**
   * Sends a message, or queues it while there is no connection, or one that is behind. Bytes may be changed after
   * the call.
   * @returns false where it was not taken: the queue is full, or the client closed.
   * @throws {ApertoError} INVALID_DATA
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean {
    const message = toMessage(data);
    if (this.#isEnding) return false;
    const queue = this.#queue;
    const isNext = !this.#place || !queue.length;
    if (isNext && this.#isReady) {
      this.#handOver(message);
      return true;
    }
    const bytes = typeof message === 'string' ? utf8Length(message) : message.length;
    const copy = typeof message === 'string' ? message : new Uint8Array(message);
    const { maxMessages, maxBytes, policy } = this.#settings;
    while (queue.length >= maxMessages || this.#queuedBytes + bytes > maxBytes) {
      if (policy === 'refuse' || bytes > maxBytes) return false;
      // What is let ahead is newer than all behind it.
      for (const old of this.#take(this.#place < queue.length ? this.#place : 0, 1)) {
        this.#tell('dropped', old);
      }
    }
    queue.splice(this.#place, 0, [copy, bytes]);
    this.#place += 1;
    this.#queuedBytes += bytes;
    return true;
  }

  /** Whether there is a link that wants more. Only at 0 is it sure that one that was behind does. */
  get #isReady(): boolean | undefined {
    const link = this.#link;
    return link?.isOpen && (this.#hasRoom || !link.bufferedAmount);
  }

  #handOver(message: string | Uint8Array): void {
    this.#hasRoom = this.#link?.send(message);
  }

  #take(index: number, count: number): (string | Uint8Array)[] {
    return this.#queue.splice(index, count).map(([data, bytes]) => {
      this.#queuedBytes -= bytes;
      return data;
    });
  }

  /** Makes the next attempt now, where one is being waited for. */
  readonly retry = (): void => {
    if (this.#state === 'waiting') this.#connect();
  };

  /** Gives the connection up, as if it were lost: for who finds out that nothing comes through it any more. */
  restart(): void {
    this.#link?.terminate();
  }

  /**
   * Ends it. What is queued is sent first, where there is a connection and it takes it in time. Without one it ends at
   * once, and tells `dropped` what was queued.
   * @throws {ApertoError} INVALID_CLOSE_CODE unless it is 1000 or from 3000 to 4999, INVALID_CLOSE_REASON
   */
  close(code = 1000, reason = ''): void {
    checkClose(code, reason);
    if (this.#isEnding) return;
    const link = this.#link;
    if (!link) {
      this.#controller?.abort();
      this.#finish({ code, reason });
      return;
    }
    this.#closeLink = () => link.close(code, reason);
    this.#enter('closing', undefined, this.#settings.handshakeTimeoutMs, () => link.terminate());
    this.#pump();
  }

  /** Closes, and waits for the end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.closed;
  }

  get #isEnding(): boolean {
    return this.#state === 'closing' || this.#state === 'closed';
  }

  // --- States

  async #connect(): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    // Whatever is told of an attempt or a connection that is over comes too late.
    const ended = (end: ReconnectEnd): void => {
      if (signal.aborted) return;
      controller.abort();
      this.#ended(end);
    };
    const failed = (error: unknown): void => ended({ code: 1006, reason: '', error });
    const handlers: SimpleHandlers = {
      message: (data) => this.#tell('message', data),
      progress: () => this.#pump(),
      // The link is open no more, which is all there is to know.
      closing() {},
      closed: ended,
    };
    const number = this.#attempts++;
    this.#controller = controller;
    this.#enter('connecting', number, this.#settings.handshakeTimeoutMs, () =>
      failed(clientError('HANDSHAKE_TIMEOUT')),
    );
    try {
      const attempt = await this.#plan(number, signal);
      signal.throwIfAborted();
      const link = await attempt(handlers, signal);
      if (signal.aborted) link.terminate();
      else this.#opened(link);
    } catch (error) {
      failed(error);
    }
  }

  #opened(link: SimpleLink): void {
    this.#link = link;
    this.#place = 0;
    this.#enter('open', undefined, this.#settings.stableMs, () => {
      this.#attempts = 0;
    });
    this.#place = MOST;
    this.#pump();
  }

  /** An attempt or a connection is over. */
  #ended(end: ReconnectEnd): void {
    const { firstMs, maxMs, maxAttempts, finalCodes } = this.#settings;
    const attempt = this.#attempts;
    this.#link = undefined;
    if (this.#isEnding || finalCodes.includes(end.code)) this.#finish(end);
    else if (attempt >= maxAttempts) {
      this.#finish({ ...end, error: clientError('ATTEMPTS_EXHAUSTED', { cause: end.error }) });
    } else {
      // Full jitter: clients that were lost together do not come back together.
      const jitter = Math.random() * Math.min(maxMs, firstMs * 2 ** attempt);
      const isOffline = globalThis.navigator?.onLine === false;
      const delayMs = isOffline ? maxMs : this.#retryAfterMs(end.error) + jitter;
      this.#enter('waiting', { ...end, attempt, delayMs }, delayMs, this.retry);
    }
  }

  #finish(end: ReconnectEnd): void {
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.('online', this.retry);
    this.#state = 'closed';
    for (const data of this.#take(0, MOST)) this.#tell('dropped', data);
    this.#tell('closed', end);
    this.#resolveClosed(end);
  }

  /** Hands over what is queued, as far as the link wants it. */
  #pump(): void {
    const queue = this.#queue;
    const before = queue.length;
    while (this.#isReady && queue.length) {
      for (const message of this.#take(0, 1)) this.#handOver(message);
    }
    if (queue.length) return;
    if (this.#closeLink) this.#closeLink();
    else if (before) this.#tell('drain', undefined);
  }

  // --- Handlers

  /** @param strike what comes after so many milliseconds if nothing else does */
  #enter<Name extends ReconnectState>(
    state: Name,
    detail: Details[Name],
    ms: number,
    strike: () => void,
  ): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(strike, ms);
    this.#state = state;
    this.#tell(state, detail);
  }

  #tell<Name extends keyof Details>(name: Name, detail: Details[Name]): void {
    const handlers: Handlers = this.#handlers;
    try {
      const returned = handlers[name]?.(this, detail);
      if (returned instanceof Promise) returned.catch((error) => this.#report(error));
    } catch (error) {
      this.#report(error);
    }
  }

  #report(error: unknown): void {
    try {
      if (!this.#handlers.onError) throw error;
      this.#handlers.onError(error, this);
    } catch (unhandled) {
      console.error(unhandled);
    }
  }
}

/** @throws {ApertoError} INVALID_DATA */
function toMessage(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string') return data;
  if (ArrayBuffer.isView(data)) {
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  ensure(data instanceof ArrayBuffer, 'INVALID_DATA', typeof data);
  return new Uint8Array(data);
}

function planAttempt<Options extends object>(
  dial: SimpleDial<Partial<Options> & Pick<AttemptTarget, 'headers'>>,
  target: string | URL | AttemptTarget,
  options: ReconnectOptions<Options>,
): SimpleAttempt {
  // Neither a string nor a URL has a member of these names.
  const { url = target, protocols, headers } = target as Partial<AttemptTarget>;
  const connect: Partial<Options> = options.connect ?? {};
  const offered = protocols ?? options.protocols ?? [];
  return dial(String(url), offered, headers ? { ...connect, headers } : connect);
}

/** Whether it is a whole number above zero, or `Infinity`. */
function isWhole(value: number): boolean {
  return value > 0 && Math.floor(value) === value;
}

function utf8Length(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** By the rules of browsers, also in Node. */
function checkClose(code: number, reason: string): void {
  const isLegal = code === 1000 || (isWhole(code) && code >= 3000 && code < 5000);
  ensure(isLegal, 'INVALID_CLOSE_CODE', code);
  const isShort = typeof reason === 'string' && utf8Length(reason) <= 123;
  ensure(isShort, 'INVALID_CLOSE_REASON', reason);
}
