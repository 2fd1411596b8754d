import { checkCloseArguments, closeArguments, type WebSocketCloseInfo } from './close-arguments.ts';
import { defineInterface } from './web-idl.ts';

/** How a connection ended, and why, where that is known. */
interface Ending {
  /** null where it never was open. */
  readonly closeCode: number | null;
  readonly reason: string;
  readonly cause: unknown;
}

let setEnding: (error: WebSocketError, ending: Ending) => void;

/**
 * Why a WebSocketStream did not open or did not end well, with the reason as its `cause` where that is known; and
 * what to give to `abort` and `cancel` of its streams, for a code and a reason in the close frame.
 */
export class WebSocketError extends DOMException {
  #closeCode: number | null;
  #reason: string;

  /**
   * @throws {DOMException} InvalidAccessError for a code that is neither 1000 nor 3000 to 4999, SyntaxError for a
   * reason of more than 123 bytes of UTF-8.
   */
  constructor(message = '', init: WebSocketCloseInfo = {}) {
    // 1. Set this's name to "WebSocketError". 2. Set this's message to message.
    super(message, 'WebSocketError');
    // Node 24 before 24.8 makes a plain DOMException of what extends it.
    Object.setPrototypeOf(this, new.target.prototype);
    // 3. Let code be init["closeCode"] if it exists, or null otherwise.
    // 4. Let reason be init["reason"] if it exists, or the empty string otherwise.
    const { code, reason } = closeArguments(init);
    // 5. Validate close code and reason with code and reason.
    checkCloseArguments(code, reason);
    // 6. If reason is non-empty, but code is not set, then set code to 1000.
    // 7. Set this's closeCode to code.
    this.#closeCode = code === null && reason !== '' ? 1000 : code;
    // 8. Set this's reason to reason.
    this.#reason = reason;
  }

  /** The close code; null for none. */
  get closeCode(): number | null {
    return this.#closeCode;
  }

  get reason(): string {
    return this.#reason;
  }

  static {
    setEnding = (error, { closeCode, reason, cause }) => {
      error.#closeCode = closeCode;
      error.#reason = reason;
      if (cause === undefined) return;
      const property = { value: cause, writable: true, enumerable: false, configurable: true };
      Object.defineProperty(error, 'cause', property);
    };
  }
}

defineInterface('WebSocketError', WebSocketError);

/** One of a connection, whose code may be one that no application may give. */
export function connectionError(message: string, ending: Ending): WebSocketError {
  const error = new WebSocketError(message);
  setEnding(error, ending);
  return error;
}
