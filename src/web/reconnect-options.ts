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
 * Where to connect: the same each time, or what a function says before each attempt, with a fresh token for example.
 * It is given the number of the attempt, 0 for the first since a connection was stable, and a signal that is aborted
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
  /** Of the close frame; 1005 where it had none, 1006 where there was no close frame. */
  readonly code: number;
  readonly reason: string;
  /** Whether by a closing handshake; undefined where there was no connection. */
  readonly wasClean?: boolean;
  /** Why, where it was not by a closing handshake and that is known. */
  readonly error?: unknown;
}

/** What comes before the next attempt. */
export interface ReconnectWait extends ReconnectEnd {
  /** The number of the next attempt. */
  readonly attempt: number;
  /** How long it is until then, unless `retry` or the network says otherwise. */
  readonly delayMs: number;
}

/** How much may wait to be sent. */
export interface QueueOptions {
  /** Default 1,000. */
  readonly maxMessages?: number;
  /** Bytes of all messages together, text as UTF-8. Default 1 MiB. */
  readonly maxBytes?: number;
  /**
   * What happens to a message that finds no room: `send` refuses it, or the oldest make room for it. One that is
   * larger than `maxBytes` is refused either way. Default `refuse`.
   */
  readonly policy?: 'refuse' | 'drop-oldest';
}

/**
 * What an application does as the state changes and as messages come. A `this` inside is the object that the handlers
 * stand in. What they throw or reject with goes to `onError` and changes nothing else; promises are not waited for.
 */
export interface ReconnectHandlers {
  /** An attempt begins. */
  connecting?(client: ReconnectingClient, attempt: number): unknown;
  /** There is a connection. What this sends before it returns goes before what is queued. */
  open?(client: ReconnectingClient): unknown;
  /** A message came: text as a string, binary as bytes. */
  message?(client: ReconnectingClient, data: string | Uint8Array): unknown;
  /** All that was queued has been handed to the connection. */
  drain?(client: ReconnectingClient): unknown;
  /** A connection was lost or could not be made, and there will be another attempt. */
  waiting?(client: ReconnectingClient, wait: ReconnectWait): unknown;
  /** `close` was called, and there is a connection to close. */
  closing?(client: ReconnectingClient): unknown;
  /** It is over. Once, and last. */
  closed?(client: ReconnectingClient, end: ReconnectEnd): unknown;
  /** A message that `send` had queued will not be sent: the policy dropped it, or it was there at the end. */
  dropped?(client: ReconnectingClient, data: string | Uint8Array): unknown;
  /** Where exceptions of handlers go. Default: `console.error`. */
  onError?(error: unknown, client: ReconnectingClient): void;
}

/**
 * Times are milliseconds. All numbers are whole and above zero, or `Infinity`; what is larger than 2 ** 30 (12 days,
 * 1 GiB) counts as that.
 */
export interface ReconnectOptions<Options = object> extends ReconnectHandlers {
  /** Subprotocols to offer. Default: none. */
  readonly protocols?: readonly string[];
  /** How each connection is made: in Node `headers`, `tls`, `agent`, `limits` and so on. */
  readonly connect?: Partial<Options>;
  /**
   * The delay before attempt `n` is anything from 0 to `firstMs * 2 ** n`, but at most `maxMs`. What a server that
   * refuses asks for with Retry-After is added to it, up to five minutes (in Node; browsers do not tell). Defaults:
   * 1,000 and 30,000.
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
   * Close codes after which there is no further attempt; 1006 stands for a connection that was lost or could not be
   * made. Default 1000, 1002, 1003, 1007, 1008, 1010: done, and what would only happen again.
   */
  readonly finalCodes?: readonly number[];
  readonly queue?: QueueOptions;
}
