import type { ErrorCode } from './errors.ts';

/** Whose doing an error is. `peer`: it broke the protocol. `local`: the application misused the API. `network`: neither. */
export type ErrorSide = 'peer' | 'local' | 'network';

export interface ErrorRow {
  readonly side: ErrorSide;
  /** What a person reads; a sentence without the particulars. */
  readonly message: string;
  /** Where the rule stands. */
  readonly section: string;
  /** The close code that the peer is sent, or 1006 where the transport just ends. */
  readonly closeCode?: number;
  /** The HTTP status that an upgrade is refused with. */
  readonly status?: number;
}

/** What a server answered in place of the 101 that a client asked for. */
export interface RefusedResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The first bytes of the body, at most 64 KiB, as text. */
  readonly body: string;
}

export interface ApertoErrorOptions {
  /** What exactly, appended to the row's message. */
  readonly detail?: string;
  readonly cause?: unknown;
  readonly response?: RefusedResponse;
}

/** Every error that Aperto makes. Match on `code`. */
export class ApertoError extends Error {
  readonly code: ErrorCode;
  readonly side: ErrorSide;
  /** The RFC and section whose rule was broken; empty for a rule of this library. */
  readonly section: string;
  readonly closeCode: number | undefined;
  readonly status: number | undefined;
  /** What the server answered instead of switching protocols; only from `connect`. */
  readonly response: RefusedResponse | undefined;

  constructor(code: ErrorCode, row: ErrorRow, options: ApertoErrorOptions = {}) {
    const where = row.section === '' ? '' : ` (${row.section})`;
    const detail = options.detail === undefined ? '' : `: ${options.detail}`;
    super(
      `${row.message}${detail}${where}`,
      options.cause === undefined ? {} : { cause: options.cause },
    );
    this.name = 'ApertoError';
    this.code = code;
    this.side = row.side;
    this.section = row.section;
    this.closeCode = row.closeCode;
    this.status = row.status;
    this.response = options.response;
  }
}
