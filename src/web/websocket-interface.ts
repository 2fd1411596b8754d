import type { CloseEvent, SocketErrorEvent } from './events.ts';

/** What each event is. */
interface WebSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: SocketErrorEvent;
  close: CloseEvent;
}

type WebSocketEventType = keyof WebSocketEventMap;
type Handler<T extends WebSocketEventType> =
  | ((this: WebSocket, event: WebSocketEventMap[T]) => unknown)
  | null;
type Listener<T extends WebSocketEventType> =
  | Handler<T>
  | { handleEvent(event: WebSocketEventMap[T]): unknown };

// By what EventTarget takes: their names are other ones in the types of Node than in those of the DOM.
type AnyListener = Parameters<EventTarget['addEventListener']>[1];
type AddOptions = Parameters<EventTarget['addEventListener']>[2];
type RemoveOptions = Parameters<EventTarget['removeEventListener']>[2];

/** The WHATWG interface (https://websockets.spec.whatwg.org/#the-websocket-interface). */
export interface WebSocket extends EventTarget {
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /** The URL of the connection, serialized. */
  readonly url: string;
  /** CONNECTING, OPEN, CLOSING or CLOSED. */
  readonly readyState: 0 | 1 | 2 | 3;
  /** Bytes of data that were sent and have not been transmitted, without framing. A close does not reset it. */
  readonly bufferedAmount: number;
  /** The extensions agreed on; '' for none, and before `open`. */
  readonly extensions: string;
  /** The subprotocol agreed on; '' for none, and before `open`. */
  readonly protocol: string;
  /** What binary messages come as. Default `blob`. */
  binaryType: 'blob' | 'arraybuffer';

  onopen: Handler<'open'>;
  onmessage: Handler<'message'>;
  onerror: Handler<'error'>;
  onclose: Handler<'close'>;

  /**
   * Sends a message: text as text, with U+FFFD for unpaired surrogates; the rest as binary. Nothing is sent
   * once the connection is closing.
   * @throws {DOMException} InvalidStateError before `open`.
   */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): void;

  /**
   * Starts the closing handshake behind what was sent, or gives up connecting.
   * @param code 1000, or 3000 to 4999
   * @param reason at most 123 bytes of UTF-8
   * @throws {DOMException} InvalidAccessError for the code, SyntaxError for the reason.
   */
  close(code?: number, reason?: string): void;

  addEventListener<T extends WebSocketEventType>(
    type: T,
    listener: Listener<T>,
    options?: AddOptions,
  ): void;
  addEventListener(type: string, listener: AnyListener, options?: AddOptions): void;
  removeEventListener<T extends WebSocketEventType>(
    type: T,
    listener: Listener<T>,
    options?: RemoveOptions,
  ): void;
  removeEventListener(type: string, listener: AnyListener, options?: RemoveOptions): void;
}

export interface WebSocketClass<Options> {
  readonly prototype: WebSocket;
  readonly CONNECTING: 0;
  readonly OPEN: 1;
  readonly CLOSING: 2;
  readonly CLOSED: 3;

  /**
   * @param url of the schemes ws, wss, http and https, without a fragment
   * @param protocols subprotocols to offer, the preferred first; the connection fails where none is chosen.
   * @param options not of the standard: headers, TLS, agent, limits and what else `connect` takes.
   * @throws {DOMException} SyntaxError for the URL and the protocols.
   * @throws {ApertoError} INVALID_OPTION, INVALID_HEADER
   */
  new (url: string | URL, protocols?: string | Iterable<string>, options?: Options): WebSocket;
}
