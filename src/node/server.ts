import type { AddressInfo, Server as NetServer, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { CloseCode } from '../protocol/close-codes.ts';
import { connectionSettings } from '../protocol/connection-settings.ts';
import { apertoError } from '../protocol/errors.ts';
import {
  type CompressionCounters,
  newCounters,
} from '../protocol/extensions/compression-counters.ts';
import type { AcceptedOffer, DeflateAgreement } from '../protocol/extensions/permessage-deflate.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { agreedSettings } from './compression/node-compression.ts';
import { encodeCloseReason, type Sendable, type SendOptions } from './data.ts';
import { deadline, LONGEST_TIMER_MS } from './deadline.ts';
import { closeAllConnections, closeHttp, watchSockets } from './http-connections.ts';
import { Http2Sessions } from './http2-sessions.ts';
import { nodePlatform } from './node-platform.ts';
import { Peer } from './peer.ts';
import type { SessionSettings } from './peer-handlers.ts';
import { PeerList, type Peers } from './peer-list.ts';
import { PeerSession } from './peer-session.ts';
import {
  checkTopic,
  type PeerTopics,
  publishTo,
  type ServerTopics,
  subscribeTo,
  type TopicCarrier,
} from './peer-topics.ts';
import type { ResolvedRoute } from './routes.ts';
import type { ServerHealth } from './server-health.ts';
import type { AttachOptions, CloseOptions } from './server-options.ts';
import { checkSharedReadBuffer, trySharedReads } from './shared-read-buffer.ts';
import { ListeningSubscriber, type TopicListener } from './topic-listener.ts';
import { type GrantedUpgrade, Upgrades } from './upgrades.ts';

/** The WebSocket side of an HTTP server. `serve` and `attach` make one. */
export class Server<Data = undefined> implements AsyncDisposable {
  readonly #http: NetServer;
  readonly #ownsHttp: boolean;
  readonly #topics: PeerTopics;
  readonly #carrier: TopicCarrier | undefined;
  readonly #limits: Limits;
  readonly #upgrades: Upgrades<Data>;
  readonly #http2: Http2Sessions;
  readonly #sharedReadBuffer: boolean;
  readonly #onError: (error: unknown, peer?: Peer<Data>) => void;
  readonly #onHealth: (health: ServerHealth) => void;
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
  /** `close` handlers that are still running: what they publish goes out before the broker is closed. */
  readonly #closeHandlers = new Set<Promise<void>>();
  #isCutOff = false;
  #dropped = 0;
  #whenEmpty: (() => void) | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;
  #accepts = true;
  #toldStatus: ServerHealth['status'] | undefined = undefined;
  /** @internal Settles once it is known whether the broker's engine is there. */
  readonly started: Promise<void>;

  /**
   * @internal
   * @param onPeer is told of each new peer, and by which stream it came.
   */
  constructor(
    http: NetServer,
    ownsHttp: boolean,
    { topics, carrier }: ServerTopics,
    options: AttachOptions<Data>,
    onPeer?: (peer: Peer<Data>, stream: Duplex) => void,
  ) {
    this.#http = http;
    this.#ownsHttp = ownsHttp;
    this.#topics = topics;
    this.#carrier = carrier;
    this.#limits = resolveLimits(options.limits);
    this.#onPeer = onPeer;
    this.#sharedReadBuffer = checkSharedReadBuffer(options.sharedReadBuffer ?? ownsHttp);
    this.#onError = options.onError?.bind(options) ?? ((error) => console.error(error));
    this.#onHealth = options.onHealth?.bind(options) ?? (() => {});
    if (this.#sharedReadBuffer) void trySharedReads();
    this.#upgrades = new Upgrades(http, ownsHttp, options, {
      isClosing: () => !this.#accepts,
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
    this.started = this.#startCarrier();
  }

  async #startCarrier(): Promise<void> {
    await this.#carrier?.start({
      error: (error) => this.report(error),
      changed: () => this.#tellHealth(),
    });
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

  /** How it is, for load balancers and whoever watches it. */
  get health(): ServerHealth {
    const isClosing = this.#closing !== undefined;
    const isUp = this.#carrier?.isUp ?? true;
    return {
      status: isClosing ? 'closing' : isUp ? 'ok' : 'degraded',
      ready: !isClosing,
      peers: this.#peers.size,
      dropped: this.#dropped,
      unpublished: this.#carrier?.unpublished ?? 0,
      gaps: this.#carrier?.gaps ?? 0,
    };
  }

  #tellHealth(): void {
    const { health } = this;
    if (health.status === this.#toldStatus) return;
    this.#toldStatus = health.status;
    try {
      this.#onHealth(health);
    } catch (error) {
      this.report(error);
    }
  }

  // --- Topics

  /**
   * Sends to every subscriber of the topic; with a broker, on all servers.
   * @returns false where only this server's subscribers get it, since the broker's engine is away or behind.
   * @throws {ApertoError} INVALID_TOPIC, INVALID_DATA
   */
  publish(topic: string, data: Sendable, options?: SendOptions): boolean {
    return publishTo(this.#topics, this.#limits, topic, data, options);
  }

  /**
   * Has the server itself hear what is published to a topic, by whichever server.
   * @returns what ends it.
   * @throws {ApertoError} INVALID_TOPIC, INVALID_OPTION
   */
  subscribe(topic: string, listener: TopicListener): () => void {
    if (typeof listener?.message !== 'function') {
      throw apertoError('INVALID_OPTION', { detail: 'a listener has a function named message' });
    }
    const subscriber = new ListeningSubscriber(topic, listener, (error) => this.report(error));
    subscribeTo(this.#topics, this.#limits, subscriber, topic);
    return () => {
      // What was published before is delivered first.
      this.#topics.unsubscribe(subscriber, topic);
      subscriber.stop();
    };
  }

  /**
   * Resolves to true once what other servers publish to a topic that somebody here is subscribed to arrives; to false
   * where the broker's engine is away: `gap` is called when it is back. At once where there is no broker.
   * @throws {ApertoError} INVALID_TOPIC
   */
  async subscribed(topic: string): Promise<boolean> {
    checkTopic(this.#topics, topic, this.#limits);
    return (await this.#carrier?.subscribed(topic)) ?? true;
  }

  /** How many peers and listeners of this server are subscribed. */
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
      onCloseHandled: (handled) => {
        this.#closeHandlers.add(handled);
        void handled.then(() => {
          this.#closeHandlers.delete(handled);
          this.#checkEmpty();
        });
      },
      onDropped: (messages) => {
        this.#dropped += messages;
      },
    };
  }

  #ended(session: PeerSession<Peer<Data>>): void {
    this.#peers.remove(session);
    this.#topics.leave(session);
    // Its `close` handler is called next.
    queueMicrotask(() => this.#checkEmpty());
  }

  /** Perhaps nothing is left that closing has to wait for. */
  #checkEmpty(): void {
    const isEmpty = this.#peers.size === 0 && this.#upgrades.waiting.size === 0;
    if (isEmpty && (this.#closeHandlers.size === 0 || this.#isCutOff)) this.#whenEmpty?.();
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
    const { code = CloseCode.GOING_AWAY, reason = '' } = options;
    const { noticeMs = 0, spreadMs = 0, timeoutMs = 10_000 } = options;
    // Told at once, and before anything was done.
    encodeCloseReason(code, reason);
    for (const [name, ms] of Object.entries({ noticeMs, spreadMs, timeoutMs })) {
      // More than that no timer of Node can wait.
      const most = name === 'timeoutMs' ? Infinity : LONGEST_TIMER_MS;
      const isFit = typeof ms === 'number' && ms >= 0 && ms <= most;
      if (!isFit) throw apertoError('INVALID_OPTION', { detail: `${name} is ${String(ms)}` });
    }
    if (this.#closing === undefined) {
      // There before anything is called that could look at it, or close too.
      let begin: (closed: Promise<void>) => void = () => {};
      this.#closing = new Promise((resolve) => {
        begin = resolve;
      });
      this.#tellHealth();
      begin(this.#close(code, reason, { noticeMs, spreadMs, timeoutMs }));
    }
    return this.#closing;
  }

  async #close(
    code: number,
    reason: string,
    {
      noticeMs,
      spreadMs,
      timeoutMs,
    }: Required<Pick<CloseOptions, 'noticeMs' | 'spreadMs' | 'timeoutMs'>>,
  ): Promise<void> {
    if (noticeMs > 0) await sleep(noticeMs);
    this.#accepts = false;
    const httpClosed = this.#ownsHttp ? closeHttp(this.#http) : undefined;
    if (this.#ownsHttp) {
      this.#upgrades.endSilent();
      this.#http2.closeSessions();
    } else {
      this.#upgrades.stop();
      this.#http2.stop();
    }
    await this.#closePeers(code, reason, spreadMs);
    const timer = deadline(timeoutMs, () => this.#cutOff());
    await new Promise<void>((resolve) => {
      this.#whenEmpty = resolve;
      this.#checkEmpty();
    });
    await httpClosed;
    clearTimeout(timer);
    await this.#carrier?.close();
  }

  /** Some at a time, so that all are closed when `spreadMs` is over. */
  async #closePeers(code: number, reason: string, spreadMs: number): Promise<void> {
    const end = performance.now() + spreadMs;
    let left = this.#peers.size;
    for (const peer of this.#peers) {
      left -= 1;
      if (peer.state === 'closed') continue;
      const share = (end - performance.now()) / (left + 1);
      // A timer is exact to a millisecond: for less, the next one waits the longer.
      if (share >= 1) await this.#pause(share);
      peer.close(code, reason);
    }
  }

  /** Waits so long, unless the last peer goes. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#whenEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #cutOff(): void {
    for (const peer of this.#peers) peer.terminate();
    for (const socket of this.#upgrades.waiting) socket.destroy();
    if (this.#ownsHttp) closeAllConnections(this.#http);
    this.#http2.destroySessions();
    for (const socket of this.#watched) socket.destroy();
    this.#isCutOff = true;
    this.#checkEmpty();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isTcp(address: string | AddressInfo | null): address is AddressInfo {
  return typeof address === 'object' && address !== null;
}
