import { ApertoError } from '../protocol/aperto-error.ts';
import { checkCloseArguments } from './close-arguments.ts';
import { EventHandler } from './event-handler.ts';
import { closeEvent, errorEvent, messageEvent, openEvent } from './events.ts';
import type { Dial, Link, LinkEnd, LinkHandlers } from './link.ts';
import { UnsentBytes } from './unsent-bytes.ts';
import {
  bufferSource,
  clampUnsignedShort,
  defineInterface,
  stringSequence,
  usvString,
} from './web-idl.ts';
import type { WebSocketClass, WebSocket as WebSocketInterface } from './websocket-interface.ts';
import { checkSubprotocols, urlRecord } from './websocket-url.ts';

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** What a WebSocket needs of where it runs. */
export interface WebSocketRuntime<Options> {
  readonly dial: Dial<Options>;
  /** Queues a task of the event loop. */
  queueTask<A, B>(task: (a: A, b: B) => void, a: A, b: B): void;
  /** Calls when the current task and its microtasks are done, at the latest in the next task. */
  afterTask<A>(call: (a: A) => void, a: A): void;
  /** Bytes of a string as UTF-8. */
  utf8Length(text: string): number;
}

/** What the class has of the interface; the rest is the constants and how listeners are typed. */
type Members = Omit<
  WebSocketInterface,
  'CONNECTING' | 'OPEN' | 'CLOSING' | 'CLOSED' | 'addEventListener' | 'removeEventListener'
>;

type Handler<K extends 'onopen' | 'onerror' | 'onclose' | 'onmessage'> = NonNullable<Members[K]>;

/** What was sent behind a Blob that is still being read. */
interface Waiting {
  readonly data: string | Uint8Array | Blob;
  readonly bytes: number;
}

/**
 * The class of the WHATWG interface (https://websockets.spec.whatwg.org/#the-websocket-interface). The
 * numbers in its comments are those of the steps there.
 */
export function defineWebSocket<Options extends object>(
  runtime: WebSocketRuntime<Options>,
): WebSocketClass<Options> {
  const { queueTask, afterTask, utf8Length } = runtime;

  class WebSocket extends EventTarget implements Members {
    readonly #url: URL;
    readonly #origin: string;
    #readyState: 0 | 1 | 2 | 3 = CONNECTING;
    #extensions = '';
    #protocol = '';
    #binaryType: 'blob' | 'arraybuffer' = 'blob';
    readonly #onopen = new EventHandler<Handler<'onopen'>>(this, 'open');
    readonly #onerror = new EventHandler<Handler<'onerror'>>(this, 'error');
    readonly #onclose = new EventHandler<Handler<'onclose'>>(this, 'close');
    readonly #onmessage = new EventHandler<Handler<'onmessage'>>(this, 'message');

    readonly #connecting = new AbortController();
    #link: Link | undefined = undefined;
    readonly #unsent = new UnsentBytes();
    /** Whether it will be looked at what has been transmitted. */
    #updateQueued = false;
    #waiting: Waiting[] | undefined = undefined;
    /** A close that comes behind what waits. */
    #closeBehind: (() => void) | undefined = undefined;
    /** Messages whose task has not run. */
    #undelivered = 0;

    constructor(
      url: string | URL,
      protocols: string | Iterable<string> = [],
      options: Options | undefined = undefined,
    ) {
      // Like the other conversions, these come before all steps.
      // biome-ignore lint/complexity/noArguments: none is not the same as undefined.
      if (arguments.length === 0) throw new TypeError('WebSocket needs a URL');
      const text = usvString(url);
      const sequence = stringSequence(protocols);
      super();
      // 1 and 2: baseURL is this environment's, urlRecord the result of getting a URL record.
      this.#url = urlRecord(text);
      this.#origin = this.#url.origin;
      // 3: a string is a sequence of one by now. 4: SyntaxError for duplicates, and for no tokens.
      checkSubprotocols(sequence);
      // 5 is done, and 6 is about a settings object, which is a browser's.
      const attempt = runtime.dial(this.#url.href, sequence, options ?? ({} as Options));
      // 7. In parallel: establish a WebSocket connection given urlRecord, protocols, and client.
      attempt(this.#linkHandlers(), this.#connecting.signal).then(
        (link) => queueTask(WebSocket.#established, this, link),
        (error) => queueTask(WebSocket.#notEstablished, this, error),
      );
    }

    get url(): string {
      return this.#url.href;
    }

    get readyState(): 0 | 1 | 2 | 3 {
      return this.#readyState;
    }

    get bufferedAmount(): number {
      return this.#unsent.amount;
    }

    get extensions(): string {
      return this.#extensions;
    }

    get protocol(): string {
      return this.#protocol;
    }

    get binaryType(): 'blob' | 'arraybuffer' {
      return this.#binaryType;
    }

    set binaryType(value: 'blob' | 'arraybuffer') {
      // Web IDL: what is no value of the enumeration is ignored.
      const text: string = `${value}`;
      if (text === 'blob' || text === 'arraybuffer') this.#binaryType = text;
    }

    get onopen(): Members['onopen'] {
      return this.#onopen.value;
    }

    set onopen(value: Members['onopen']) {
      this.#onopen.value = value;
    }

    get onerror(): Members['onerror'] {
      return this.#onerror.value;
    }

    set onerror(value: Members['onerror']) {
      this.#onerror.value = value;
    }

    get onclose(): Members['onclose'] {
      return this.#onclose.value;
    }

    set onclose(value: Members['onclose']) {
      this.#onclose.value = value;
    }

    get onmessage(): Members['onmessage'] {
      return this.#onmessage.value;
    }

    set onmessage(value: Members['onmessage']) {
      this.#onmessage.value = value;
    }

    // --- Sending

    send(data: string | ArrayBuffer | ArrayBufferView | Blob): void {
      // biome-ignore lint/complexity/noArguments: none is not the same as undefined.
      if (arguments.length === 0) throw new TypeError('send needs data');
      const message = data instanceof Blob ? data : (bufferSource(data) ?? usvString(data));
      // 1. If this's ready state is CONNECTING, then throw an "InvalidStateError" DOMException.
      if (this.#readyState === CONNECTING) {
        throw new DOMException('the connection is not open yet', 'InvalidStateError');
      }
      // 2. Run the appropriate set of steps from the following list, all of which come to: if the connection is
      // established and its closing handshake has not started, send; bufferedAmount grows in any case.
      const bytes = sizeOf(message);
      const link = this.#link;
      if (this.#readyState !== OPEN || link?.isOpen !== true) this.#unsent.keep(bytes);
      else if (this.#waiting !== undefined) this.#wait(this.#waiting, message, bytes);
      else if (message instanceof Blob) {
        this.#waiting = [];
        this.#wait(this.#waiting, message, bytes);
        void this.#sendWaiting(link, this.#waiting);
      } else {
        link.send(message);
        this.#unsent.send(bytes, link);
        this.#queueUpdate();
      }
    }

    #wait(waiting: Waiting[], message: string | Uint8Array | Blob, bytes: number): void {
      const data = message instanceof Uint8Array ? message.slice() : message;
      waiting.push({ data, bytes });
      this.#unsent.keep(bytes);
    }

    /** Sends what waits, in order; Blobs are read one after another. */
    async #sendWaiting(link: Link, waiting: Waiting[]): Promise<void> {
      try {
        for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
          const { data, bytes } = first;
          const message = data instanceof Blob ? new Uint8Array(await data.arrayBuffer()) : data;
          waiting.shift();
          if (!link.isOpen) return;
          link.send(message);
          this.#unsent.sendKept(bytes, link);
          this.#queueUpdate();
        }
        this.#waiting = undefined;
        this.#closeBehind?.();
      } catch {
        // A Blob of a file that has changed cannot be read. What follows must not arrive without it.
        link.terminate();
      }
    }

    #queueUpdate(): void {
      if (this.#updateQueued) return;
      this.#updateQueued = true;
      afterTask(WebSocket.#update, this);
    }

    static #update(this: void, socket: WebSocket): void {
      const link = socket.#link;
      // What was sent at the very end of the task leaves behind it. What is left then comes with `progress`.
      if (link === undefined || socket.#unsent.update(link)) socket.#updateQueued = false;
      else queueTask(WebSocket.#updateAgain, socket, link);
    }

    static #updateAgain(this: void, socket: WebSocket, link: Link): void {
      socket.#updateQueued = false;
      if (socket.#link !== undefined) socket.#unsent.update(link);
    }

    // --- Closing

    close(...[code, reason]: [code?: number, reason?: string]): void {
      // 1. If code is the special value "missing", then set code to null.
      const status = code === undefined ? null : clampUnsignedShort(code);
      // 2. If reason is the special value "missing", then set reason to the empty string.
      const text = reason === undefined ? '' : usvString(reason);
      // 3. Close the WebSocket with this, code, and reason.
      this.#close(status, text);
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
      if (this.#readyState === CONNECTING) {
        this.#readyState = CLOSING;
        this.#connecting.abort();
        return;
      }
      // - If the WebSocket closing handshake has not yet been started: start it and set obj's ready state to
      //   CLOSING. Without code and reason the frame has no body; a reason alone goes with 1000.
      // - Otherwise: set obj's ready state to CLOSING.
      this.#readyState = CLOSING;
      const status = code ?? (reason === '' ? undefined : 1000);
      const start = (): void => this.#link?.close(status, reason);
      if (this.#waiting === undefined) start();
      else this.#closeBehind = start;
    }

    // --- Feedback from the protocol (https://websockets.spec.whatwg.org/#feedback-from-the-protocol)

    #linkHandlers(): LinkHandlers {
      return {
        message: (data) => {
          this.#undelivered += 1;
          queueTask(WebSocket.#received, this, data);
        },
        progress: () => this.#queueUpdate(),
        closing: () => queueTask(WebSocket.#closingStarted, this, undefined),
        closed: (end) => queueTask(WebSocket.#closed, this, end),
      };
    }

    /** "When the WebSocket connection is established", the task. */
    static #established(this: void, socket: WebSocket, link: Link): void {
      socket.#link = link;
      if (socket.#readyState !== CONNECTING) {
        link.terminate();
        return;
      }
      // 1. Change the ready state to OPEN.
      socket.#readyState = OPEN;
      // 2. Change the extensions attribute's value to the extensions in use, if it is not the null value.
      socket.#extensions = link.extensions;
      // 3. Change the protocol attribute's value to the subprotocol in use, if it is not the null value.
      socket.#protocol = link.protocol;
      // 4. Fire an event named open.
      socket.dispatchEvent(openEvent());
    }

    static #notEstablished(this: void, socket: WebSocket, reason: unknown): void {
      // An abort is our own doing, and no error of the table.
      const error = reason instanceof ApertoError ? reason : undefined;
      WebSocket.#closed(socket, { code: 1006, reason: '', wasClean: false, error });
    }

    /** "When a WebSocket message has been received with type type and data data", the task. */
    static #received(this: void, socket: WebSocket, data: string | Uint8Array): void {
      const link = socket.#link;
      socket.#undelivered -= 1;
      // What handlers send for the messages of one packet leaves together.
      if (socket.#undelivered > 0) link?.cork();
      // 1. If ready state is not OPEN, then return.
      if (socket.#readyState === OPEN) {
        // 2. Let dataForEvent be determined by switching on type and binary type.
        const dataForEvent = typeof data === 'string' ? data : socket.#binary(data);
        // 3. Fire an event named message using MessageEvent, with origin and data.
        socket.dispatchEvent(messageEvent(dataForEvent, socket.#origin));
      }
      if (socket.#undelivered === 0) link?.uncork();
    }

    #binary(data: Uint8Array): Blob | ArrayBufferLike {
      const { buffer, byteOffset, byteLength } = data;
      const isWhole = byteLength === buffer.byteLength && byteLength > 0;
      const bytes = isWhole ? buffer : buffer.slice(byteOffset, byteOffset + byteLength);
      return this.#binaryType === 'blob' ? new Blob([bytes as ArrayBuffer]) : bytes;
    }

    /** "When the WebSocket closing handshake is started", the task. */
    static #closingStarted(this: void, socket: WebSocket): void {
      if (socket.#readyState === OPEN) socket.#readyState = CLOSING;
    }

    /** "When the WebSocket connection is closed, possibly cleanly", the task. */
    static #closed(this: void, socket: WebSocket, end: LinkEnd): void {
      socket.#link = undefined;
      // 1. Change the ready state to CLOSED.
      socket.#readyState = CLOSED;
      // 2. If the user agent was required to fail the WebSocket connection, or if the connection was closed
      //    after being flagged as full, fire an event named error. A lost transport is a failure too (RFC 6455
      //    7.2.1).
      const { wasClean } = end;
      if (!wasClean) socket.dispatchEvent(errorEvent(end.error));
      // 3. Fire an event named close using CloseEvent, with wasClean, code and reason.
      socket.dispatchEvent(
        closeEvent(wasClean, wasClean ? end.code : 1006, wasClean ? end.reason : ''),
      );
    }
  }

  function sizeOf(message: string | Uint8Array | Blob): number {
    if (typeof message === 'string') return utf8Length(message);
    return message instanceof Uint8Array ? message.byteLength : message.size;
  }

  defineInterface('WebSocket', WebSocket, { CONNECTING, OPEN, CLOSING, CLOSED });
  // The constants were just defined, and what listeners are given is said by the interface alone.
  return WebSocket as unknown as WebSocketClass<Options>;
}
