import {
  checkCloseArguments,
  closeArguments,
  dictionary,
  type WebSocketCloseInfo,
} from './close-arguments.ts';
import { Deferred } from './deferred.ts';
import type { Dial, Link, LinkEnd, LinkHandlers } from './link.ts';
import { MessageSink, type WritableMessage } from './message-sink.ts';
import { MessageSource } from './message-source.ts';
import { defineInterface, usvString } from './web-idl.ts';
import { connectionError, WebSocketError } from './websocket-error.ts';
import { checkSubprotocols, urlRecord } from './websocket-url.ts';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

export interface WebSocketStreamOptions {
  /** Subprotocols to offer, the preferred first; the connection fails where none is chosen. Default: none. */
  readonly protocols?: Iterable<string>;
  /** Gives up connecting. Without effect afterwards. */
  readonly signal?: AbortSignal;
}

/** An open connection. */
export interface WebSocketOpenInfo {
  /** The extensions agreed on; '' for none. */
  readonly extensions: string;
  /** The subprotocol agreed on; '' for none. */
  readonly protocol: string;
  /**
   * Messages, text as a string. Once 64 KiB wait to be read the connection is read no further, so that then no ping
   * is answered and no close noticed until somebody reads. A browser's WebSocket reads on all the same: with 64 MiB
   * waiting the connection is given up. To cancel it closes the connection; so does `abort` of `writable`. Both
   * take the code and the reason of a WebSocketError, if given one.
   */
  readonly readable: ReadableStream<string | Uint8Array>;
  /**
   * Takes messages; what is neither string nor bytes is sent as what `String` makes of it. A write settles once
   * there is room for the next one. To close it closes the connection, in both directions, and settles when that
   * is done.
   */
  readonly writable: WritableStream<WritableMessage>;
}

/** A connection as a pair of streams (https://github.com/whatwg/websockets/pull/48). */
export interface WebSocketStream {
  /** The URL of the connection, serialized. */
  readonly url: string;
  /** Settles once: rejects with a WebSocketError, or the signal's reason. */
  readonly opened: Promise<WebSocketOpenInfo>;
  /**
   * What the other side's close frame said; 1005 where it had no code. Rejects where the connection did not end by
   * a closing handshake, or while a write had to wait: with a WebSocketError, or the signal's reason.
   */
  readonly closed: Promise<Required<WebSocketCloseInfo>>;
  /**
   * Starts the closing handshake behind what was written, or gives up connecting.
   * @throws {DOMException} InvalidAccessError for the code, SyntaxError for the reason.
   */
  close(closeInfo?: WebSocketCloseInfo): void;
}

export interface WebSocketStreamClass<Options> {
  readonly prototype: WebSocketStream;
  /**
   * @param url of the schemes ws, wss, http and https, without a fragment
   * @param options those not of the standard are headers, TLS, agent, limits and what else `connect` takes.
   * @throws {DOMException} SyntaxError for the URL and the protocols.
   * @throws {ApertoError} INVALID_OPTION, INVALID_HEADER
   */
  new (url: string | URL, options?: WebSocketStreamOptions & Options): WebSocketStream;
}

/** Web IDL: the members of a `WebSocketStreamOptions`. */
function streamOptions(options: unknown): { protocols: string[]; signal: AbortSignal | undefined } {
  const given = dictionary(options);
  const protocols: unknown = Reflect.get(given, 'protocols');
  const signal: unknown = Reflect.get(given, 'signal');
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new TypeError('signal is no AbortSignal');
  }
  return { protocols: protocols === undefined ? [] : sequence(protocols), signal };
}

function sequence(value: unknown): string[] {
  const isObject = typeof value === 'object' && value !== null;
  if (!isObject || !(Symbol.iterator in value) || typeof value[Symbol.iterator] !== 'function') {
    throw new TypeError('protocols is no sequence');
  }
  return Array.from(value as Iterable<unknown>, usvString);
}

/**
 * The class of the proposed interface (https://github.com/whatwg/websockets/pull/48). The numbers in its comments
 * are those of the steps there.
 */
export function defineWebSocketStream<Options extends object>(
  dial: Dial<Options>,
): WebSocketStreamClass<Options> {
  class WebSocketStream {
    readonly #url: URL;
    readonly #opened = new Deferred<WebSocketOpenInfo>().markAsHandled();
    readonly #closed = new Deferred<Required<WebSocketCloseInfo>>().markAsHandled();
    readonly #connecting = new AbortController();
    #readyState: 0 | 1 | 2 | 3 = CONNECTING;
    #link: Link | undefined = undefined;
    #source: MessageSource | undefined = undefined;
    #sink: MessageSink | undefined = undefined;
    /** No longer listens to the signal. */
    #ignoreSignal: () => void = () => {};

    constructor(
      url: string | URL,
      options: (WebSocketStreamOptions & Options) | undefined = undefined,
    ) {
      // Like the other conversions, these come before all steps.
      // biome-ignore lint/complexity/noArguments: none is not the same as undefined.
      if (arguments.length === 0) throw new TypeError('WebSocketStream needs a URL');
      const text = usvString(url);
      const { protocols, signal } = streamOptions(options);
      // 1. Let baseURL be this's relevant settings object's API base URL.
      // 2. Let urlRecord be the result of getting a URL record given url and baseURL.
      const record = urlRecord(text);
      // 3. Let protocols be options["protocols"] if it exists, otherwise an empty sequence.
      // 4. SyntaxError if any of them occur more than once, or are no tokens.
      checkSubprotocols(protocols);
      // Misuse of the options that are not of the standard is told as early.
      const attempt = dial(record.href, protocols, options ?? ({} as Options));
      // 5. Set this's url to urlRecord.
      this.#url = record;
      // 6. Set this's opened promise and closed promise to new promises: done.
      // 7. Apply backpressure to the WebSocket: as soon as there is one, by the source.
      // 8. If options["signal"] exists:
      if (signal !== undefined) {
        // 8.1. Let signal be options["signal"].
        // 8.2. If signal is aborted, then reject opened and closed promise with its abort reason and return.
        if (signal.aborted) {
          this.#abort(signal.reason);
          return;
        }
        // 8.3. Add the following abort steps to signal:
        const abort = (): void => this.#abort(signal.reason);
        signal.addEventListener('abort', abort);
        this.#ignoreSignal = () => signal.removeEventListener('abort', abort);
      }
      // 9, about a settings object, is a browser's.
      // 10. In parallel: establish a WebSocket connection given urlRecord, protocols, and client.
      attempt(this.#linkHandlers(), this.#connecting.signal).then(
        (link) => this.#established(link),
        (error) => this.#notEstablished(error),
      );
    }

    get url(): string {
      return this.#url.href;
    }

    get opened(): Promise<WebSocketOpenInfo> {
      return this.#opened.promise;
    }

    get closed(): Promise<Required<WebSocketCloseInfo>> {
      return this.#closed.promise;
    }

    close(closeInfo: WebSocketCloseInfo = {}): void {
      // 1. Let code be closeInfo["closeCode"] if present, or null otherwise.
      // 2. Let reason be closeInfo["reason"].
      const { code, reason } = closeArguments(closeInfo);
      // 3. Close the WebSocket with this, code, and reason.
      this.#close(code, reason);
    }

    /** The abort steps. */
    #abort(reason: unknown): void {
      // 8.3.1. If the WebSocket connection is not yet established: once it is, the signal is ignored.
      this.#ignoreSignal();
      // 8.3.1.1. Fail the WebSocket connection.
      this.#connecting.abort(reason);
      // 8.3.1.2. Set this's ready state to CLOSING. 8.3.1.4. Set this's handshake aborted to true: CLOSED is both,
      // since nothing that comes of the attempt matters any more.
      this.#readyState = CLOSED;
      // 8.3.1.3. Reject this's opened promise and closed promise with signal's abort reason.
      this.#opened.reject(reason);
      this.#closed.reject(reason);
    }

    /** "Close the WebSocket", whose first two steps are done. */
    #close(code: number | null, reason: string): void {
      // 3. Validate close code and reason with code and reason.
      checkCloseArguments(code, reason);
      // 4. Run the first matching steps:
      // - If obj's ready state is CLOSING or CLOSED: do nothing.
      if (this.#readyState >= CLOSING) return;
      // - If the WebSocket connection is not yet established: fail the WebSocket connection and set obj's
      //   ready state to CLOSING.
      // - If the WebSocket closing handshake has not yet been started: start it and set obj's ready state to
      //   CLOSING. Without code and reason the frame has no body; a reason alone goes with 1000.
      this.#readyState = CLOSING;
      if (this.#link === undefined) this.#connecting.abort();
      else this.#link.close(code ?? (reason === '' ? undefined : 1000), reason);
    }

    /** "Close using reason", for what was given to `cancel` and `abort`. */
    #closeUsingReason(reason: unknown): void {
      // 1. Let code be null. 2. Let reasonString be the empty string.
      // 3. If reason implements WebSocketError, then set code and reasonString to its closeCode and reason.
      const isError = reason instanceof WebSocketError;
      try {
        // 4. Close the WebSocket with stream, code, and reasonString. If this throws an exception, discard code
        //    and reasonString and close the WebSocket with stream.
        this.#close(isError ? reason.closeCode : null, isError ? reason.reason : '');
      } catch {
        // Of a connection's own error: its code is one that no application may send.
        this.#close(null, '');
      }
    }

    // --- Feedback to WebSocketStream from the protocol

    #linkHandlers(): LinkHandlers {
      return {
        message: (data) => this.#received(data),
        progress: () => this.#sink?.progress(),
        closing: () => this.#closingStarted(),
        closed: (end) => this.#ended(end),
      };
    }

    /** "When the WebSocket connection is established" */
    #established(link: Link): void {
      if (this.#readyState !== CONNECTING) {
        link.terminate();
        this.#notEstablished(undefined);
        return;
      }
      this.#ignoreSignal();
      this.#link = link;
      // 1. Change stream's ready state to OPEN. 2. Set stream's was ever connected to true.
      this.#readyState = OPEN;
      // 3. Let extensions be the extensions in use. 4. Let protocol be the subprotocol in use.
      const { extensions, protocol } = link;
      // 5 to 8. Set up readable with pullAlgorithm and cancelAlgorithm.
      this.#source = new MessageSource(link, (reason) => this.#closeUsingReason(reason));
      // 9 to 13. Set up writable with writeAlgorithm, closeAlgorithm, and abortAlgorithm.
      this.#sink = new MessageSink(link, {
        closeWritten: () => this.#close(null, ''),
        abortWritten: (reason) => this.#closeUsingReason(reason),
      });
      // 14. Set stream's readable stream to readable. 15. Resolve stream's opened promise.
      const { readable } = this.#source;
      const { writable } = this.#sink;
      this.#opened.resolve({ extensions, protocol, readable, writable });
    }

    #notEstablished(cause: unknown): void {
      this.#ignoreSignal();
      // 2. If stream's handshake aborted is true, then return.
      if (this.#readyState === CLOSED) return;
      const isClosed = this.#readyState === CLOSING;
      // 1. Change the ready state to CLOSED.
      this.#readyState = CLOSED;
      const message = isClosed
        ? 'the WebSocketStream was closed before it opened'
        : failure('the WebSocketStream could not open', cause);
      // An abort that is our own doing says nothing more.
      const why = isClosed ? undefined : cause;
      // 3. If stream's was ever connected is false, then reject stream's opened promise with a new WebSocketError.
      this.#opened.reject(connectionError(message, { closeCode: null, reason: '', cause: why }));
      // 4 to 7: there was no closing handshake.
      this.#closed.reject(connectionError(message, { closeCode: 1006, reason: '', cause: why }));
    }

    /** "When a WebSocket message has been received" */
    #received(data: string | Uint8Array): void {
      // 1. If stream's ready state is not OPEN, then return.
      if (this.#readyState !== OPEN) return;
      // 2. Let chunk be determined by switching on type: a string, or a new Uint8Array, and not what extends it.
      const chunk = typeof data === 'string' ? data : plainBytes(data);
      // 3. Enqueue chunk into stream's readable stream. 4. Apply backpressure to the WebSocket.
      this.#source?.push(chunk);
    }

    /** "When the WebSocket closing handshake is started", by the other side, or when it has answered us. */
    #closingStarted(): void {
      if (this.#readyState === OPEN) this.#readyState = CLOSING;
      // All messages have come: they can be read whatever happens to what we still write.
      this.#source?.close();
      this.#sink?.peerClosed();
    }

    /** "When the WebSocket connection is closed, possibly cleanly" */
    #ended({ code, reason, wasClean, error }: LinkEnd): void {
      if (this.#readyState === CLOSED) return;
      // 4. Let code be the WebSocket connection close code. Of a connection that we failed it is 1006.
      // 5. Let reason be the WebSocket connection close reason.
      if (error !== undefined) {
        this.#endUncleanly(failure('the connection failed', error), 1006, '', error);
      } else if (!wasClean || this.#sink?.isWriting === true) {
        const message = wasClean ? 'not all was written' : 'there was no closing handshake';
        this.#endUncleanly(message, code, reason, undefined);
      } else {
        // 1. Change the ready state to CLOSED.
        this.#readyState = CLOSED;
        // 6. If the connection was closed cleanly:
        // 6.1. Close stream's readable stream.
        this.#source?.close();
        // 6.2. Error stream's writable stream with an "InvalidStateError" DOMException.
        this.#sink?.ended(undefined);
        // 6.3. Resolve stream's closed promise with a WebSocketCloseInfo.
        this.#closed.resolve({ closeCode: code, reason });
      }
    }

    /** 7. Otherwise: */
    #endUncleanly(message: string, closeCode: number, reason: string, cause: unknown): void {
      // 1. Change the ready state to CLOSED.
      this.#readyState = CLOSED;
      // 7.1. Let error be a new WebSocketError whose closeCode is code and reason is reason.
      const error = connectionError(message, { closeCode, reason, cause });
      // 7.2. Error stream's readable stream with error.
      this.#source?.error(error);
      // 7.3. Error stream's writable stream with error.
      this.#sink?.ended(error);
      // 7.4. Reject stream's closed promise with error.
      this.#closed.reject(error);
    }
  }

  defineInterface('WebSocketStream', WebSocketStream);
  return WebSocketStream;
}

function plainBytes(bytes: Uint8Array): Uint8Array {
  if (bytes.constructor === Uint8Array) return bytes;
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function failure(what: string, cause: unknown): string {
  return cause instanceof Error ? `${what}: ${cause.message}` : what;
}
