/**
 * What `aperto` is in a browser: its own WebSocket and WebSocketStream, ours over WebSocket where the latter is
 * missing, and clients that stay connected. Nothing of Node's is in it.
 */
import { type BrowserDialOptions, browserDial, simpleBrowserDial } from './browser-link.ts';
import type { ReconnectOptions, ReconnectTarget } from './reconnect-options.ts';
import { ReconnectingClient } from './reconnecting-client.ts';
import { WebSocketError as OwnWebSocketError } from './websocket-error.ts';
import { defineWebSocketStream, type WebSocketStreamClass } from './websocket-stream.ts';

/**
 * A client that connects again when its connection is lost.
 * @throws {ApertoError} INVALID_OPTION; INVALID_URL and INVALID_PROTOCOL where `target` is no function
 */
export function reconnect(
  target: ReconnectTarget,
  options: ReconnectOptions<BrowserDialOptions> = {},
): ReconnectingClient<BrowserDialOptions> {
  return new ReconnectingClient(simpleBrowserDial, target, options);
}

/** The browser's class of that name, where it has one. */
function native<Class>(name: string): Class | undefined {
  return Reflect.get(globalThis, name);
}

/** The browser's own where it has one. */
export const WebSocketStream: WebSocketStreamClass<object> = /* @__PURE__ */ (() =>
  native<WebSocketStreamClass<object>>('WebSocketStream') ??
  defineWebSocketStream<BrowserDialOptions>(browserDial))();

/** The browser's own where it has one. */
export const WebSocketError: typeof OwnWebSocketError = /* @__PURE__ */ (() =>
  (native<typeof OwnWebSocketError>('WebSocketStream') &&
    native<typeof OwnWebSocketError>('WebSocketError')) ||
  OwnWebSocketError)();

/** The browser's own. */
export const WebSocket: typeof globalThis.WebSocket = /* @__PURE__ */ (() =>
  globalThis.WebSocket)();

export { ApertoError } from '../protocol/aperto-error.ts';
export type { WebSocketCloseInfo } from './close-arguments.ts';
export type {
  AttemptTarget,
  QueueOptions,
  ReconnectEnd,
  ReconnectOptions,
  ReconnectTarget,
  ReconnectWait,
} from './reconnect-options.ts';
export type { ReconnectingClient } from './reconnecting-client.ts';
export type { WebSocketOpenInfo, WebSocketStreamOptions } from './websocket-stream.ts';
