/**
 * Aperto's public names, and the one place where its layers are put together: the node layer knows topics
 * only by what it asks of them.
 */
import type { Server as HttpServer } from 'node:http';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import type { Server as HttpsServer } from 'node:https';
import type { DialOptions } from './node/client/dial.ts';
import { dialLink } from './node/client/link-session.ts';
import { nodePlatform } from './node/node-platform.ts';
import { connectPair, type Pair, type PairOptions } from './node/pair.ts';
import type { ServerTopics, TopicSubscriber } from './node/peer-topics.ts';
import { listen, type ServeOptions as ServerOptions } from './node/serve.ts';
import { Server } from './node/server.ts';
import type { AttachOptions as AttachedOptions } from './node/server-options.ts';
import { Backplane } from './topics/backplane.ts';
import type { History } from './topics/history.ts';
import { MemoryHistory, type MemoryHistoryOptions } from './topics/memory-history.ts';
import { type TopicOptions, TopicPolicies } from './topics/topic-options.ts';
import type { TopicPorts } from './topics/topic-ports.ts';
import { Topics } from './topics/topics.ts';
import type { ReconnectOptions, ReconnectTarget } from './web/reconnect-options.ts';
import { ReconnectingClient } from './web/reconnecting-client.ts';
import { retryAfterMs } from './web/retry-after.ts';
import { defineWebSocket } from './web/websocket.ts';
import type { WebSocketClass, WebSocket as WebSocketInterface } from './web/websocket-interface.ts';
import {
  defineWebSocketStream,
  type WebSocketStreamClass,
  type WebSocketStream as WebSocketStreamInterface,
} from './web/websocket-stream.ts';

const ports: TopicPorts = {
  platform: nodePlatform,
  atEndOfTick: (task) => process.nextTick(task),
  after(ms, task) {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};

function newTopics({ broker, topics, maxUnpublishedBytes }: TopicOptions = {}): ServerTopics {
  const policies = new TopicPolicies(topics);
  if (broker === undefined) return { topics: new Topics(ports, policies), carrier: undefined };
  const backplane = new Backplane<TopicSubscriber>(broker, ports, policies, maxUnpublishedBytes);
  return { topics: backplane, carrier: backplane };
}

export interface ServeOptions<Data> extends ServerOptions<Data>, TopicOptions {}

export interface AttachOptions<Data> extends AttachedOptions<Data>, TopicOptions {}

/**
 * Starts a server with an HTTP server of its own. Resolves when it listens.
 * @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL; what listening throws, such as EADDRINUSE.
 */
export async function serve<Data = undefined>(options: ServeOptions<Data>): Promise<Server<Data>> {
  return await listen(options, newTopics(options));
}

/**
 * Adds WebSocket routes to an HTTP server that exists. Upgrades that no route matches are left to its
 * other listeners.
 * @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL
 */
export function attach<Data = undefined>(
  httpServer: HttpServer | HttpsServer | Http2Server | Http2SecureServer,
  options: AttachOptions<Data>,
): Server<Data> {
  const server = new Server(httpServer, false, newTopics(options), options);
  server.started.catch((error: unknown) => server.report(error));
  return server;
}

/**
 * A client and a server's peer, connected in memory: for tests, without a port. What is between them is real,
 * the opening handshake too. Resolves when both are open.
 * @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL, INVALID_HEADER, INVALID_URL; what `connect` throws
 * where the route refuses.
 */
export function createPair<Data = undefined>(options: PairOptions<Data> = {}): Promise<Pair<Data>> {
  return connectPair(options, newTopics());
}

/**
 * A history in this process: for a service that is one process, and for tests.
 * @throws {ApertoError} INVALID_OPTION
 */
export function memoryHistory(options: MemoryHistoryOptions = {}): History {
  return new MemoryHistory(nodePlatform, options);
}

/**
 * The WebSocket of browsers (https://websockets.spec.whatwg.org), with a third argument for what servers need:
 * headers, TLS, an agent, limits, compression.
 */
export const WebSocket: WebSocketClass<DialOptions> = /* @__PURE__ */ defineWebSocket({
  dial: dialLink,
  queueTask: (task, a, b) => void setImmediate(task, a, b),
  // Behind all microtasks, which Node runs before the next tick; a task of its own would have the event loop turn
  // once more for each message.
  afterTask: (call, a) => queueMicrotask(() => process.nextTick(call, a)),
  utf8Length: (text) => nodePlatform.utf8Length(text),
});
export type WebSocket = WebSocketInterface;

/** A connection as a pair of streams, with backpressure both ways (https://github.com/whatwg/websockets/pull/48). */
export const WebSocketStream: WebSocketStreamClass<DialOptions> =
  /* @__PURE__ */ defineWebSocketStream(dialLink);
export type WebSocketStream = WebSocketStreamInterface;

/**
 * A client that connects again when its connection is lost.
 * @throws {ApertoError} INVALID_OPTION; INVALID_URL, INVALID_PROTOCOL and INVALID_HEADER where `target` is no
 * function.
 */
export function reconnect(
  target: ReconnectTarget,
  options: ReconnectOptions<DialOptions> = {},
): ReconnectingClient<DialOptions> {
  return new ReconnectingClient(dialLink, target, options, retryAfterMs);
}

export { type ConnectOptions, connect } from './node/client/connect.ts';
export type { DialOptions } from './node/client/dial.ts';
export { prepareMessage, type Sendable, type SendOptions } from './node/data.ts';
export type { Pair, PairClientOptions, PairConnection, PairOptions } from './node/pair.ts';
export type { ClientPeer, Peer } from './node/peer.ts';
export type { CloseInfo, PeerHandlers, SlowPeerPolicy } from './node/peer-handlers.ts';
export type { Peers } from './node/peer-list.ts';
export { RejectUpgrade, type RejectUpgradeOptions } from './node/reject-upgrade.ts';
export type { Route } from './node/routes.ts';
export type { Server } from './node/server.ts';
export type { ServerHealth } from './node/server-health.ts';
export type { CloseOptions } from './node/server-options.ts';
export type { TopicListener } from './node/topic-listener.ts';
export type { UpgradeRequest } from './node/upgrade-request.ts';
export {
  ApertoError,
  type ErrorRow,
  type ErrorSide,
  type RefusedResponse,
} from './protocol/aperto-error.ts';
export { CloseCode } from './protocol/close-codes.ts';
export { type ErrorCode, errorTable } from './protocol/errors.ts';
export type {
  CompressionCount,
  CompressionCounters,
} from './protocol/extensions/compression-counters.ts';
export type { CompressionOptions } from './protocol/extensions/permessage-deflate.ts';
export { defaultLimits, type Limits } from './protocol/limits.ts';
export type { Message } from './protocol/messages/message-assembler.ts';
export type { PreparedMessage } from './protocol/messages/prepared-message.ts';
export type { Broker, BrokerHost } from './topics/broker.ts';
export type {
  Appended,
  History,
  HistoryEntry,
  HistoryRead,
  Position,
} from './topics/history.ts';
export { MemoryEngine } from './topics/memory-broker.ts';
export type { MemoryHistoryOptions } from './topics/memory-history.ts';
export { memoryPresence } from './topics/memory-presence.ts';
export type { Presence, PresenceOptions } from './topics/presence.ts';
export type { TopicOptions, TopicPolicy } from './topics/topic-options.ts';
export type { WebSocketCloseInfo } from './web/close-arguments.ts';
export type { CloseEvent } from './web/events.ts';
export type { WritableMessage } from './web/message-sink.ts';
export type {
  AttemptTarget,
  QueueOptions,
  ReconnectEnd,
  ReconnectOptions,
  ReconnectTarget,
  ReconnectWait,
} from './web/reconnect-options.ts';
export type { ReconnectingClient } from './web/reconnecting-client.ts';
export { WebSocketError } from './web/websocket-error.ts';
export type { WebSocketClass } from './web/websocket-interface.ts';
export type {
  WebSocketOpenInfo,
  WebSocketStreamClass,
  WebSocketStreamOptions,
} from './web/websocket-stream.ts';
