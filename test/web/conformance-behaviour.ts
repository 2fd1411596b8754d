/** What a case asks of the server, in the query of its URL, and what the server then tells about it. */

/** Frames that follow each other are one packet. */
export type Step =
  | { readonly text: string }
  | { readonly binary: readonly number[] }
  /** A close frame: its code and reason, nothing for an empty one. */
  | { readonly close: readonly [code?: number, reason?: string] }
  /** What is no frame of the others, as hex digits. */
  | { readonly bytes: string }
  /** Waits for a frame. */
  | 'read'
  /** Sends messages back, until the close frame. */
  | 'echo'
  /** Reads nothing until it is released. */
  | 'hold'
  /** Ends the TCP connection: in order, or by a reset. */
  | 'end'
  | 'reset'
  /** Never answers a close frame. */
  | 'mute';

export interface Behaviour {
  /** By what the case asks for the record. */
  readonly id: string;
  /** What it answers to the opening request; by default 101 and the first subprotocol offered. */
  readonly status?: 101 | 200 | 302 | 401 | 403;
  /** Says nothing, until it is released. */
  readonly delayed?: boolean;
  /** Fields of that answer: null leaves one out. */
  readonly fields?: Readonly<Record<string, string | null>>;
  /** The first frames come in one packet with the answer. */
  readonly together?: boolean;
  /**
   * What it does then. In the end it reads until a close frame, answers that unless it is said here how it
   * closes, and ends.
   */
  readonly steps?: readonly Step[];
}

/** What came of one connection. */
export interface ConnectionRecord {
  /** Of the opening request. */
  readonly target: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Each frame: its first byte and its payload, as hex digits; of a long one the size. */
  readonly frames: readonly string[];
}
