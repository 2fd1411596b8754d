import type { ApertoError } from '../protocol/aperto-error.ts';

/**
 * The port of this folder: a connection as the faces of it need one. There is one over Node's sockets, in
 * src/node/client, and one over a browser's WebSocket, in browser-link.ts.
 */
export interface Link {
  /** What was agreed on; '' for none. */
  readonly protocol: string;
  readonly extensions: string;
  /** Whether `send` sends. */
  readonly isOpen: boolean;
  /** Bytes handed over that the transport has not taken; framing may be among them. */
  readonly bufferedAmount: number;
  /** Bytes that the transport has taken since the beginning, counted as in `bufferedAmount`. */
  readonly bytesTaken: number;
  /**
   * Sends a message. Bytes may be changed after the call.
   * @returns false where one should wait for `progress`, and where the link is closing: then nothing is sent.
   */
  send(data: string | Uint8Array): boolean;
  /** Starts the closing handshake behind what was sent. Code and reason are legal. */
  close(code: number | undefined, reason: string): void;
  /** Ends it at once; `closed` follows. */
  terminate(): void;
  /** Asks that no further message be delivered, and that what comes be left to the network, until `release`. */
  hold(): void;
  release(): void;
  /** Has what is sent wait for `uncork`, so that it leaves together. */
  cork(): void;
  uncork(): void;
}

/** How a link ended. */
export interface LinkEnd {
  /** As the other side said; 1005 without a code; 1006 or the code of a failure where it was not clean. */
  readonly code: number;
  readonly reason: string;
  /** Whether by a closing handshake (RFC 6455 7.1.4). */
  readonly wasClean: boolean;
  /** Why not, where that is known. */
  readonly error: ApertoError | undefined;
}

/** What a link tells. Nothing is called before the attempt's promise has settled. */
export interface LinkHandlers {
  /** A message; binary ones are whole buffers of their own. */
  message(data: string | Uint8Array): void;
  /** `bufferedAmount` has gone down. */
  progress(): void;
  /** The other side's close frame has come: nothing but `closed` follows. */
  closing(): void;
  /** The link is gone. Once, and last. */
  closed(end: LinkEnd): void;
}

/** An attempt to connect. Rejects with why it failed, or the signal's reason. */
export type Attempt<Handlers = LinkHandlers, L = Link> = (
  handlers: Handlers,
  signal: AbortSignal,
) => Promise<L>;

/**
 * Plans an attempt.
 * @throws {ApertoError} for misuse: INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION
 */
export type Dial<Options, Handlers = LinkHandlers, L = Link> = (
  url: string,
  protocols: readonly string[],
  options: Options,
) => Attempt<Handlers, L>;
