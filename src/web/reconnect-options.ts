import { clientError } from '../protocol/client-errors.ts';
import type { QueueLimits } from './message-queue.ts';
import type { ReconnectingClient } from './reconnecting-client.ts';

/** Where an attempt to connect leads. */
export interface AttemptTarget {
  readonly url: string | URL;
  /** Subprotocols to offer. Default: those of the options. */
  readonly protocols?: readonly string[];
  /** In place of the headers in `connect`. Browsers set none: INVALID_OPTION. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Where to connect: the same each time, or what a function says before each attempt, a fresh token for example.
 * It is given the number of the attempt (0 for the first since a connection was stable) and a signal that is aborted
 * when the time for the attempt is over or the client is closed. Where it throws, rejects, or returns what cannot be
 * connected to, that attempt has failed.
 */
export type ReconnectTarget =
  | string
  | URL
  | AttemptTarget
  | ((
      attempt: number,
      signal: AbortSignal,
    ) => string | URL | AttemptTarget | Promise<string | URL | AttemptTarget>);

/** How a connection, an attempt to make one, or the client ended. */
export interface ReconnectEnd {
  /** As the link says: 1005 for a close frame without a code, 1006 where there was none. */
  readonly code: number;
  readonly reason: string;
  /** Why, where it was not by a closing handshake and that is known. */
  readonly error: unknown;
}

/** What comes before the next attempt. */
export interface ReconnectWait extends ReconnectEnd {
  /** The number of the next attempt. */
  readonly attempt: number;
  /** How long it is until then, unless `retry` or the network says otherwise. */
  readonly delayMs: number;
}

/**
 * What an application does as the state changes and as messages come. A `this` inside is the object that the handlers
 * stand in. What they throw or reject with goes to `onError` and changes nothing else.
 */
export interface ReconnectHandlers {
  /** An attempt begins. */
  connecting?(client: ReconnectingClient, attempt: number): void | Promise<void>;
  /**
   * There is a connection. What this sends before it returns goes before what is queued. Messages wait while a
   * returned promise is pending.
   */
  open?(client: ReconnectingClient): void | Promise<void>;
  /** A message came. The next one waits while a returned promise is pending. */
  message?(client: ReconnectingClient, data: string | Uint8Array): void | Promise<void>;
  /** All that was queued has been handed to the connection. */
  drain?(client: ReconnectingClient): void | Promise<void>;
  /** A connection was lost or could not be made, and there will be another attempt. */
  waiting?(client: ReconnectingClient, wait: ReconnectWait): void | Promise<void>;
  /** `close` was called, and there is a connection to close. */
  closing?(client: ReconnectingClient): void | Promise<void>;
  /** It is over. Once, and last. */
  closed?(client: ReconnectingClient, end: ReconnectEnd): void | Promise<void>;
  /** A message that `send` had queued will not be sent: the policy dropped it, or it was there at the end. */
  dropped?(client: ReconnectingClient, data: string | Uint8Array): void | Promise<void>;
  /** Where exceptions of handlers go. Default: `console.error`. */
  onError?(error: unknown, client: ReconnectingClient): void;
}

/** Times are milliseconds. All numbers are whole and above zero, or `Infinity`. */
export interface ReconnectOptions<Options = object> extends ReconnectHandlers {
  /** Subprotocols to offer. Default: none. */
  readonly protocols?: readonly string[];
  /** How each connection is made: in Node `headers`, `tls`, `agent`, `limits` and so on. */
  readonly connect?: Partial<Options>;
  /**
   * The delay before an attempt is anything from 0 to `firstMs`, which doubles with each attempt up to `maxMs`.
   * Defaults: 1,000 and 30,000.
   */
  readonly backoff?: { readonly firstMs?: number; readonly maxMs?: number };
  /** How long a connection must be open to be stable, so that attempts are counted from 0 again. Default 5,000. */
  readonly stableMs?: number;
  /** Most attempts without a stable connection; then it ends with ATTEMPTS_EXHAUSTED. Default `Infinity`. */
  readonly maxAttempts?: number;
  /**
   * Time for an attempt, the function for its target included; and for `close` to send what is queued and do the
   * closing handshake. Default 10,000.
   */
  readonly handshakeTimeoutMs?: number;
  /**
   * Close codes after which there is no further attempt. Default 1000, 1002, 1003, 1007, 1008, 1010: done, and what
   * would only happen again.
   */
  readonly finalCodes?: readonly number[];
  /** How much may wait to be sent. */
  readonly queue?: QueueLimits;
}

/** The options that are numbers and such, checked. */
export interface ReconnectSettings {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly stableMs: number;
  readonly maxAttempts: number;
  readonly handshakeTimeoutMs: number;
  readonly finalCodes: readonly number[];
  readonly queue: Required<QueueLimits>;
}

/** @throws {ApertoError} INVALID_OPTION. Nothing is coerced. */
export function checkReconnectOptions(options: ReconnectOptions): ReconnectSettings {
  const { firstMs = 1_000, maxMs = 30_000 } = options.backoff ?? {};
  const { stableMs = 5_000, maxAttempts = Number.POSITIVE_INFINITY } = options;
  const { handshakeTimeoutMs = 10_000, queue = {} } = options;
  const { maxMessages = 1_000, maxBytes = 1024 * 1024, policy = 'refuse' } = queue;
  const { finalCodes = [1000, 1002, 1003, 1007, 1008, 1010] } = options;
  const numbers = { firstMs, maxMs, stableMs, maxAttempts, handshakeTimeoutMs };
  for (const [name, value] of Object.entries({ ...numbers, maxMessages, maxBytes })) {
    const isWhole = Number.isSafeInteger(value) && value > 0;
    if (!isWhole && value !== Number.POSITIVE_INFINITY) {
      throw invalid(name, value, 'a whole number above zero or Infinity');
    }
  }
  if (policy !== 'refuse' && policy !== 'drop-oldest') {
    throw invalid('policy', policy, 'refuse or drop-oldest');
  }
  const isCode = (code: number): boolean => Number.isInteger(code) && code >= 1000 && code < 5000;
  if (!Array.isArray(finalCodes) || !finalCodes.every(isCode)) {
    throw invalid('finalCodes', finalCodes, 'a list of close codes');
  }
  return { ...numbers, finalCodes, queue: { maxMessages, maxBytes, policy } };
}

function invalid(name: string, value: unknown, wanted: string): Error {
  return clientError('INVALID_OPTION', { detail: `${name} is ${String(value)}, not ${wanted}` });
}
