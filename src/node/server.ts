import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { CloseCode } from '../protocol/close-codes.ts';
import { connectionSettings } from '../protocol/connection-settings.ts';
import { ApertoError, type ErrorCode, errorTable } from '../protocol/errors.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { normaliseHosts } from '../protocol/handshake/host.ts';
import { type Acceptance, checkUpgrade, refusal } from '../protocol/handshake/server-handshake.ts';
import { acceptResponse } from '../protocol/handshake/server-response.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { encodeCloseReason, type Sendable } from './data.ts';
import { deadline } from './deadline.ts';
import { asksForWebSocket, refuseUpgrade, WaitingSocket } from './http1-upgrade.ts';
import { nodePlatform } from './node-platform.ts';
import { Peer, type PeerTopics, publishTo } from './peer.ts';
import { PeerSession, type SessionSettings } from './peer-session.ts';
import { passAsPlainRequest } from './plain-request.ts';
import { RejectUpgrade } from './reject-upgrade.ts';
import { type ResolvedRoute, type Route, Routes } from './routes.ts';
import { checkSharedReadBuffer, trySharedReads } from './shared-read-buffer.ts';
import { UnansweredRequests } from './unanswered-requests.ts';
import { UpgradeRequest } from './upgrade-request.ts';

export interface AttachOptions<Data> {
  /** By path: exact (`/chat`), a prefix (`/rooms/*`), or any (`*`). The most specific wins. */
  readonly routes: Readonly<Record<string, Route<Data>>>;
  /** Hosts that this server answers for, against DNS rebinding; others get 421. Default: every host. */
  readonly hosts?: readonly string[];
  readonly limits?: Partial<Limits>;
  /**
   * Whether plain TCP and Unix sockets are read into one buffer that all connections share, which is
   * faster; ignored where a trial at the start shows that the runtime cannot. It moves each connection to
   * a socket of its own: what the HTTP server told its 'connection' listeners about hears nothing of its
   * end any more. Default: true with `serve`, false with `attach`.
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
  readonly #http: HttpServer | HttpsServer;
  readonly #ownsHttp: boolean;
  readonly #topics: PeerTopics;
  readonly #limits: Limits;
  readonly #routes: Routes<Data>;
  readonly #hosts: readonly string[] | undefined;
  readonly #sharedReadBuffer: boolean;
  readonly #onError: (error: unknown, peer?: Peer<Data>) => void;
  readonly #settingsOf = new Map<ResolvedRoute<Data>, SessionSettings<Peer<Data>>>();
  readonly #peers = new Set<Peer<Data>>();
  /** Sockets that Node has lost sight of and that are no session: not yet, or refused. */
  readonly #waiting = new Set<Duplex>();
  /** Under TLS, all of them: `closeAllConnections` knows none whose TLS handshake is not finished. */
  readonly #encrypted = new Set<Socket>();
  readonly #unanswered: UnansweredRequests;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);
  #dropped = 0;
  #whenEmpty: (() => void) | undefined = undefined;
  #closing: Promise<void> | undefined = undefined;

  /** @internal */
  constructor(
    http: HttpServer | HttpsServer,
    ownsHttp: boolean,
    topics: PeerTopics,
    options: AttachOptions<Data>,
  ) {
    this.#http = http;
    this.#ownsHttp = ownsHttp;
    this.#topics = topics;
    this.#limits = resolveLimits(options.limits);
    this.#routes = new Routes(options.routes, this.#limits);
    this.#hosts = options.hosts === undefined ? undefined : normaliseHosts(options.hosts);
    this.#sharedReadBuffer = checkSharedReadBuffer(options.sharedReadBuffer ?? ownsHttp);
    this.#onError = options.onError?.bind(options) ?? ((error) => console.error(error));
    if (this.#sharedReadBuffer) void trySharedReads();
    this.#unanswered = new UnansweredRequests(http);
    http.on('upgrade', this.#onUpgrade);
    if (ownsHttp && 'setSecureContext' in http) watchSockets(http, this.#encrypted);
  }

  /** The peers that are open or closing. */
  get peers(): ReadonlySet<Peer<Data>> {
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

  /** Where a client on this machine connects to: `ws:`, `wss:` or `ws+unix:`. */
  get url(): string {
    const address = this.#http.address();
    // The colon would end the path; what else URLs give a meaning must not have it either.
    if (!isTcp(address)) {
      return `ws+unix:${encodeURI(address ?? '').replace(/[?#:]/g, encodeURIComponent)}`;
    }
    const scheme = 'setSecureContext' in this.#http ? 'wss' : 'ws';
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
    return `${scheme}://${host}:${address.port}`;
  }

  /**
   * Sends to every subscriber of the topic on this node.
   * @throws {ApertoError} INVALID_TOPIC, INVALID_DATA
   */
  publish(topic: string, data: Sendable): void {
    publishTo(this.#topics, topic, data);
  }

  subscriberCount(topic: string): number {
    return this.#topics.count(topic);
  }

  // --- The opening handshake

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const url = request.url ?? '/';
    const route = asksForWebSocket(request) ? this.#routes.find(url) : undefined;
    if (route === undefined) {
      this.#notOurs(request, socket);
      return;
    }
    if (this.#unanswered.has(socket)) {
      socket.destroy();
      return;
    }
    if (this.#closing !== undefined) {
      this.#refuse(socket, 'SERVER_CLOSING');
      return;
    }
    const answer = checkUpgrade(
      {
        method: request.method ?? '',
        httpVersion: request.httpVersion,
        fields: new HeaderFields(request.rawHeaders),
      },
      {
        protocols: route.protocols,
        origins: route.origins,
        hosts: this.#hosts,
        encrypted: socket instanceof TLSSocket,
        maxHeaders: this.#limits.maxHeaders,
      },
      nodePlatform,
    );
    if ('reject' in answer) {
      this.#refuse(socket, answer.reject);
      return;
    }
    const kept = new UpgradeRequest(request);
    const { upgrade } = route.handlers;
    if (upgrade === undefined) {
      // Where there is no `upgrade`, there is nothing for `data` to be.
      this.#accept(route, answer, kept, undefined as Data, socket, head);
      return;
    }
    void this.#decide(route, answer, kept, socket, head);
  }

  /** An upgrade that no route is for: others may want it, and a server of our own answers for us. */
  #notOurs(request: IncomingMessage, socket: Duplex): void {
    if (this.#http.listenerCount('upgrade') > 1) return;
    const isWebSocket = asksForWebSocket(request);
    if (this.#ownsHttp && isWebSocket) {
      this.#refuse(socket, 'NO_ROUTE');
      return;
    }
    if (!this.#unanswered.isAlone && passAsPlainRequest(this.#http, request, socket)) {
      this.#watchEnd(socket);
      return;
    }
    this.#refuse(socket, isWebSocket ? 'NO_ROUTE' : 'UPGRADE_MISSING');
  }

  #refuse(socket: Duplex, code: ErrorCode): void {
    const { status, headers } = refusal(code);
    this.#answer(socket, status, headers, `${errorTable[code].message}\n`);
  }

  #answer(
    socket: Duplex,
    status: number,
    headers: Readonly<Record<string, string>>,
    body?: string,
  ): void {
    refuseUpgrade(socket, status, headers, body);
    this.#watchEnd(socket);
  }

  /** Has `close` cut the socket off where it does not end by itself. */
  #watchEnd(socket: Duplex): void {
    if (socket.destroyed) {
      this.#checkEmpty();
      return;
    }
    this.#waiting.add(socket);
    socket.on('close', () => this.#left(socket));
  }

  async #decide(
    route: ResolvedRoute<Data>,
    acceptance: Acceptance,
    request: UpgradeRequest,
    socket: Duplex,
    head: Buffer,
  ): Promise<void> {
    const waiting = new WaitingSocket(socket, head, () => this.#left(socket));
    this.#waiting.add(socket);
    let timedOut = false;
    const timer = deadline(this.#limits.handshakeTimeoutMs, () => {
      timedOut = true;
      waiting.finish();
      this.#waiting.delete(socket);
      this.#refuse(socket, 'UPGRADE_TIMEOUT');
    });
    // The socket keeps the process, while it is there.
    timer?.unref();
    let decided: { data: Data } | { error: unknown };
    try {
      // `upgrade` may be a method that uses its object.
      decided = { data: await (route.handlers.upgrade?.(request) as Data | Promise<Data>) };
    } catch (error) {
      decided = { error };
    }
    clearTimeout(timer);
    if ('error' in decided && !(decided.error instanceof RejectUpgrade)) this.report(decided.error);
    if (timedOut) return;
    this.#waiting.delete(socket);
    // Whoever has left is not answered: a late 101 would open a connection to nobody.
    if (waiting.gone) {
      socket.destroy();
      return;
    }
    const early = waiting.finish();
    if ('data' in decided) {
      if (this.#closing !== undefined) this.#refuse(socket, 'SERVER_CLOSING');
      else this.#accept(route, acceptance, request, decided.data, socket, early);
    } else if (decided.error instanceof RejectUpgrade) {
      this.#rejectAs(decided.error, socket);
    } else this.#refuse(socket, 'UPGRADE_FAILED');
  }

  #rejectAs({ status, headers, body }: RejectUpgrade, socket: Duplex): void {
    try {
      this.#answer(socket, status, headers, body);
    } catch (error) {
      // It was changed after it was made.
      this.report(error);
      this.#refuse(socket, 'UPGRADE_FAILED');
    }
  }

  #accept(
    route: ResolvedRoute<Data>,
    acceptance: Acceptance,
    request: UpgradeRequest,
    data: Data,
    socket: Duplex,
    head: Buffer,
  ): void {
    const session = new PeerSession<Peer<Data>>(
      socket,
      acceptance.protocol,
      this.#sessionSettings(route),
      (made) => new Peer(made, this.#topics, request, data),
    );
    this.#peers.add(session.peer);
    const { handlers } = route;
    const answer = Buffer.from(acceptResponse(acceptance), 'latin1');
    session.open(
      answer,
      head,
      handlers.open === undefined ? undefined : (peer) => handlers.open?.(peer),
    );
  }

  #sessionSettings(route: ResolvedRoute<Data>): SessionSettings<Peer<Data>> {
    let options = this.#settingsOf.get(route);
    if (options === undefined) {
      options = {
        ...connectionSettings(nodePlatform, route.limits, true),
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
      this.#settingsOf.set(route, options);
    }
    return options;
  }

  #ended(session: PeerSession<Peer<Data>>): void {
    this.#peers.delete(session.peer);
    this.#topics.leave(session);
    this.#checkEmpty();
  }

  #left(socket: Duplex): void {
    this.#waiting.delete(socket);
    this.#checkEmpty();
  }

  #checkEmpty(): void {
    if (this.#peers.size === 0 && this.#waiting.size === 0) this.#whenEmpty?.();
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
      throw new ApertoError('INVALID_OPTION', { detail: `timeoutMs is ${String(timeoutMs)}` });
    }
    this.#closing ??= this.#close(code, reason, timeoutMs);
    return this.#closing;
  }

  async #close(code: number, reason: string, timeoutMs: number): Promise<void> {
    const timer = deadline(timeoutMs, () => this.#cutOff());
    const httpClosed = this.#ownsHttp ? this.#closeHttp() : undefined;
    if (!this.#ownsHttp) {
      this.#unanswered.stop();
      this.#http.off('upgrade', this.#onUpgrade);
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
    for (const socket of this.#waiting) socket.destroy();
    if (this.#ownsHttp) this.#http.closeAllConnections();
    for (const socket of this.#encrypted) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Keeps in `sockets` those that are open, with one listener for all of them. */
function watchSockets(http: HttpServer | HttpsServer, sockets: Set<Socket>): void {
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
