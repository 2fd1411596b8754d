import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { CloseCode } from '../protocol/close-codes.ts';
import { connectionSettings } from '../protocol/connection-settings.ts';
import { apertoError } from '../protocol/errors.ts';
import {
  type CompressionCounters,
  newCounters,
} from '../protocol/extensions/compression-counters.ts';
import type {
  AcceptedOffer,
  CompressionOptions,
  DeflateAgreement,
} from '../protocol/extensions/permessage-deflate.ts';
import type { Limits } from '../protocol/limits.ts';
import { agreedSettings } from './compression/node-compression.ts';
import { encodeCloseReason, type Sendable, type SendOptions } from './data.ts';
import { deadline } from './deadline.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { nodePlatform } from './node-platform.ts';
import { Peer, type PeerTopics, publishTo } from './peer.ts';
import { PeerList, type Peers } from './peer-list.ts';
import { PeerSession, type SessionSettings } from './peer-session.ts';
import type { ResolvedRoute, Route } from './routes.ts';
import { checkSharedReadBuffer, trySharedReads } from './shared-read-buffer.ts';
import { type GrantedUpgrade, Upgrades } from './upgrades.ts';

export interface AttachOptions<Data> {
  /** By path: exact (`/chat`), a prefix (`/rooms/*`), or any (`*`). The most specific wins. */
  readonly routes: Readonly<Record<string, Route<Data>>>;
  /** Hosts that this server answers for, against DNS rebinding; others get 421. Default: every host. */
  readonly hosts?: readonly string[];
  readonly limits?: Partial<Limits>;
  /**
   * Whether, and how, messages are compressed with peers that offer it (permessage-deflate, RFC 7692).
   * `true` takes the defaults, which keep nothing between messages. Default false.
   */
  readonly compression?: boolean | CompressionOptions;
  /**
   * Whether plain TCP and Unix sockets are read into one buffer that all connections share, which is
   * faster; ignored where a trial at the start shows that the runtime cannot. A connection is moved to
   * another socket when something comes on it: the one that the HTTP server's 'connection' event told of
   * hears nothing of its end any more. Default: true with `serve`, false with `attach`.
   */
  readonly sharedReadBuffer?: boolean;
  /** Where exceptions of handlers go. Default: `console.error`. */
  onError?(error: unknown, peer?: Peer<Data>): void;
}

export interface CloseOptions {
  /** What every peer is closed with. Default 1001, going away. */
  readonly code?: number;
  readonly reason?: string;
  /** How long peers and requests have to finish before they are cut off; may be `Infinity`. Default 10,000 ms. */
  readonly timeoutMs?: number;
}

/** The WebSocket side of an HTTP server. `serve` and `attach` make one. */
export class Server<Data = undefined> implements AsyncDisposable {
  readonly #http: NetServer;
  readonly #ownsHttp: boolean;
  readonly #topics: PeerTopics;
  readonly #upgrades: Upgrades<Data>;
  readonly #http2: Http2Sessions;
  readonly #sharedReadBuffer: boolean;
  readonly #onError: (error: unknown, peer?: Peer<Data>) => void;
  readonly #onPeer: ((peer: Peer<Data>, stream: Duplex) => void) | undefined;
  /** By what was agreed on: the response's extensions. */
  readonly #settingsOf = new Map<ResolvedRoute<Data>, Map<string, SessionSettings<Peer<Data>>>>();
  /** What compression has done, for all peers that there were. */
  readonly compression: CompressionCounters = newCounters();
  readonly #peers = new PeerList<Peer<Data>>();
  /**
   * Under TLS and with HTTP/2, all of them: `closeAllConnections` knows none whose TLS handshake is not finished, and is
   * not there for HTTP/2.
   */
  readonly #watched = new Set<Socket>();
  #dropped = 0;
  #whenEmpty: (() => void) | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;

  /**
   * @internal
   * @param onPeer is told of each new peer, and by which stream it came.
   */
  constructor(
    http: NetServer,
    ownsHttp: boolean,
    topics: PeerTopics,
    options: AttachOptions<Data>,
    onPeer?: (peer: Peer<Data>, stream: Duplex) => void,
  ) {
    this.#http = http;
    this.#ownsHttp = ownsHttp;
    this.#topics = topics;
    this.#onPeer = onPeer;
    this.#sharedReadBuffer = checkSharedReadBuffer(options.sharedReadBuffer ?? ownsHttp);
    this.#onError = options.onError?.bind(options) ?? ((error) => console.error(error));
    if (this.#sharedReadBuffer) void trySharedReads();
    this.#upgrades = new Upgrades(http, ownsHttp, options, {
      isClosing: () => this.#closing !== undefined,
      accept: (upgrade) => this.#accept(upgrade),
      report: (error) => this.report(error),
      checkEmpty: () => this.#checkEmpty(),
    });
    this.#http2 = new Http2Sessions(http, ownsHttp, (asked) =>
      this.#upgrades.extendedConnect(asked),
    );
    if (ownsHttp && ('setSecureContext' in http || 'updateSettings' in http)) {
      watchSockets(http, this.#watched);
    }
  }

  /** The peers that are open or closing. A loop over them goes over those that are there when it begins. */
  get peers(): Peers<Peer<Data>> {
    return this.#peers;
  }

  /** Messages dropped by the policy for slow peers, of all peers that there were. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The TCP port listened on; 0 where it is a Unix socket or nothing. */
  get port(): number {
    const address = this.#http.address();
    return isTcp(address) ? address.port : 0;
  }

  /** Where a client on this machine connects to: `ws:`, `wss:` or `ws+unix:`; '' while it does not listen. */
  get url(): string {
    const address = this.#http.address();
    if (address === null) return '';
    // The colon would end the path; what else URLs give a meaning must not have it either.
    if (!isTcp(address)) {
      return `ws+unix:${encodeURI(address).replace(/[?#:]/g, encodeURIComponent)}`;
    }
    const scheme = 'setSecureContext' in this.#http ? 'wss' : 'ws';
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `${scheme}://${host}:${address.port}`;
  }

  /**
   * Sends to every subscriber of the topic on this node.
   * @throws {ApertoError} INVALID_TOPIC, INVALID_DATA
   */
  publish(topic: string, data: Sendable, options?: SendOptions): void {
    publishTo(this.#topics, topic, data, options);
  }

  subscriberCount(topic: string): number {
    return this.#topics.count(topic);
  }

  // --- Connections

  #accept({ route, agreed, asked, data, head }: GrantedUpgrade<Data>): void {
    const { request, socket } = asked;
    const session = new PeerSession<Peer<Data>>(
      socket,
      agreed.protocol,
      this.#sessionSettings(route, agreed.deflate),
      (made) => new Peer(made, this.#topics, request, data),
    );
    this.#peers.add(session);
    this.#onPeer?.(session.peer, socket);
    const { handlers } = route;
    session.open(
      asked.grant(agreed),
      head,
      handlers.open === undefined ? undefined : (peer) => handlers.open?.(peer),
    );
  }

  #sessionSettings(
    route: ResolvedRoute<Data>,
    deflate: AcceptedOffer | undefined,
  ): SessionSettings<Peer<Data>> {
    const extensions = deflate?.response ?? '';
    let byExtensions = this.#settingsOf.get(route);
    if (byExtensions === undefined) {
      byExtensions = new Map();
      this.#settingsOf.set(route, byExtensions);
    }
    let settings = byExtensions.get(extensions);
    if (settings === undefined) {
      settings = this.#newSettings(route, deflate?.agreement, extensions);
      byExtensions.set(extensions, settings);
    }
    return settings;
  }

  #newSettings(
    route: ResolvedRoute<Data>,
    agreement: DeflateAgreement | undefined,
    extensions: string,
  ): SessionSettings<Peer<Data>> {
    const counters = this.compression;
    const agreed = agreedSettings(agreement, route.compression, counters);
    return {
      ...connectionSettings(nodePlatform, route.limits, true, agreed),
      extensions,
      counters,
      sharedReadBuffer: this.#sharedReadBuffer,
      handlers: route.handlers,
      slowPeers: route.slowPeers,
      onError: this.#onError,
      flushPublished: () => this.#topics.flush(),
      onClosed: (ended) => this.#ended(ended),
      onDropped: (messages) => {
        this.#dropped += messages;
      },
    };
  }

  #ended(session: PeerSession<Peer<Data>>): void {
    this.#peers.remove(session);
    this.#topics.leave(session);
    this.#checkEmpty();
  }

  /** Perhaps nothing is left that closing has to wait for. */
  #checkEmpty(): void {
    if (this.#peers.size === 0 && this.#upgrades.waiting.size === 0) this.#whenEmpty?.();
  }

  /** @internal Tells of an error that is no peer's. */
  report(error: unknown): void {
    try {
      this.#onError(error);
    } catch (second) {
      console.error(second);
    }
  }

  // --- Closing

  /**
   * Stops accepting, closes every peer, waits, and cuts off what is left after `timeoutMs`. Resolves when
   * nothing is left. With `attach`, the HTTP server itself goes on. A second call awaits the first.
   * @throws {ApertoError} INVALID_CLOSE_CODE, INVALID_CLOSE_REASON, INVALID_OPTION
   */
  close(options: CloseOptions = {}): Promise<void> {
    const { code = CloseCode.GOING_AWAY, reason = '', timeoutMs = 10_000 } = options;
    // Told at once, and before anything was done.
    encodeCloseReason(code, reason);
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
      throw apertoError('INVALID_OPTION', { detail: `timeoutMs is ${String(timeoutMs)}` });
    }
    this.#closing ??= this.#close(code, reason, timeoutMs);
    return this.#closing;
  }

  async #close(code: number, reason: string, timeoutMs: number): Promise<void> {
    const timer = deadline(timeoutMs, () => this.#cutOff());
    const httpClosed = this.#ownsHttp ? this.#closeHttp() : undefined;
    if (this.#ownsHttp) {
      this.#upgrades.endSilent();
      this.#http2.closeSessions();
    } else {
      this.#upgrades.stop();
      this.#http2.stop();
    }
    for (const peer of this.#peers) peer.close(code, reason);
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
      this.#checkEmpty();
    });
    await httpClosed;
    clearTimeout(timer);
  }

  #closeHttp(): Promise<void> {
    return new Promise((resolve) => {
      // It calls back with an error where it was not listening; then, too, nothing is left.
      this.#http.close(() => resolve());
    });
  }

  #cutOff(): void {
    for (const peer of this.#peers) peer.terminate();
    for (const socket of this.#upgrades.waiting) socket.destroy();
    if (this.#ownsHttp) closeAllConnections(this.#http);
    this.#http2.destroySessions();
    for (const socket of this.#watched) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** As far as the server of that kind and version can. */
function closeAllConnections(http: NetServer & { closeAllConnections?(): void }): void {
  http.closeAllConnections?.();
}

/** Keeps in `sockets` those that are open, with one listener for all of them. */
function watchSockets(http: NetServer, sockets: Set<Socket>): void {
  function forget(this: Socket): void {
    sockets.delete(this);
  }
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', forget);
  });
}

function isTcp(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
