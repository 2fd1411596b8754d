import { checkRefusal } from '../protocol/handshake/server-response.ts';

export interface RejectUpgradeOptions {
  /** Headers of the response besides Connection and Content-Length, for example `WWW-Authenticate`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Plain text; default: the status's reason phrase. */
  readonly body?: string;
}

/**
 * Thrown by a route's `upgrade` to refuse the connection with an HTTP response.
 * @throws {ApertoError} INVALID_OPTION for a status that is not 300 to 599, or is 304; INVALID_HEADER for a
 * header with CR, LF or another forbidden character (RFC 9110 5.5), and for Content-Length and
 * Transfer-Encoding.
 */
export class RejectUpgrade extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;

  constructor(status: number, options: RejectUpgradeOptions = {}) {
    super(`upgrade refused with ${status}`);
    this.name = 'RejectUpgrade';
    this.status = status;
    this.headers = { ...options.headers };
    this.body = options.body;
    checkRefusal(status, this.headers);
  }
}
