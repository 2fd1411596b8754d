import type { IncomingMessage } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ErrorCode, errorTable } from '../protocol/errors.ts';
import { resolveCompression } from '../protocol/extensions/permessage-deflate.ts';
import type { JudgeAddress } from '../protocol/handshake/forwarded.ts';
import { normaliseHosts } from '../protocol/handshake/host.ts';
import {
  type Agreed,
  type Refusal,
  refusal,
  type UpgradeRules,
} from '../protocol/handshake/server-handshake.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { ConnectionCounts } from './connection-counts.ts';
import { deadline } from './deadline.ts';
import { Http1Upgrade, linger, WaitingSocket } from './http1-upgrade.ts';
import { Http2Upgrade } from './http2-upgrade.ts';
import { passAsPlainRequest } from './plain-request.ts';
import { RejectUpgrade } from './reject-upgrade.ts';
import { type ResolvedRoute, Routes } from './routes.ts';
import type { AttachOptions } from './server-options.ts';
import { SilentConnections } from './silent-connections.ts';
import { trustedProxies } from './trusted-proxies.ts';
import { UnansweredRequests } from './unanswered-requests.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** What a route and its server demand; whether the request came over TLS, the request knows. */
export type RouteRules = Omit<UpgradeRules, 'encrypted'>;

/** A request for a WebSocket connection, and how it is answered. */
export interface AskedUpgrade {
  readonly request: UpgradeRequest;
  /** What becomes the connection. */
  readonly socket: Duplex;
  /** What came behind the request. */
  readonly head: Buffer;
  /** What it is answered with where it is granted. */
  readonly status: 101 | 200;
  /** Judges the opening handshake. */
  check(rules: RouteRules): Agreed | Refusal;
  /**
   * Answers with an HTTP response, and ends the connection.
   * @throws {ApertoError} INVALID_HEADER, INVALID_OPTION for what cannot be answered; then nothing was done.
   */
  refuse(status: number, headers: Readonly<Record<string, string>>, body?: string): void;
  /** Grants it. Returns what has to go before the first frame. */
  grant(agreed: Agreed): Uint8Array;
}

/** An upgrade that the handshake allows; once it is granted, `data` is what the application returned. */
export interface GrantedUpgrade<Data> {
  readonly route: ResolvedRoute<Data>;
  readonly agreed: Agreed;
  readonly asked: AskedUpgrade;
  readonly data: Data;
  /** What came behind the request until it was granted. */
  readonly head: Buffer;
}

/** The server's side of it. */
export interface UpgradeOwner<Data> {
  isClosing(): boolean;
  accept(upgrade: GrantedUpgrade<Data>): void;
  /** It is not granted: by a rule of ours, or by the application. */
  refused(request: UpgradeRequest, status: number, code: ErrorCode | undefined): void;
  /** An error of the application's. */
  report(error: unknown): void;
  /** `waiting` has got shorter. */
  checkEmpty(): void;
}

/** Decides about an HTTP server's upgrade requests: by the handshake's rules, then by the application. */
export class Upgrades<Data> {
  /** Sockets that Node has lost sight of and that are no session: not yet, or refused. */
  readonly waiting: Set<Duplex> = new Set();
  readonly #http: NetServer;
  readonly #ownsHttp: boolean;
  readonly #owner: UpgradeOwner<Data>;
  readonly #limits: Limits;
  readonly #routes: Routes<Data>;
  readonly #hosts: readonly string[] | undefined;
  readonly #judgeAddress: JudgeAddress | undefined;
  readonly #counts: ConnectionCounts;
  readonly #unanswered: UnansweredRequests;
  /** Of an HTTP server of our own. */
  readonly #silent: SilentConnections | undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  /** @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL; then nothing was done. */
  constructor(
    http: NetServer,
    ownsHttp: boolean,
    options: AttachOptions<Data>,
    owner: UpgradeOwner<Data>,
  ) {
    this.#http = http;
    this.#ownsHttp = ownsHttp;
    this.#owner = owner;
    this.#limits = resolveLimits(options.limits);
    const compression = resolveCompression(
      options.compression === undefined ? false : options.compression,
    );
    this.#routes = new Routes(options.routes, this.#limits, compression);
    this.#hosts = options.hosts === undefined ? undefined : normaliseHosts(options.hosts);
    this.#judgeAddress = trustedProxies(options.trustedProxies);
    this.#counts = new ConnectionCounts(this.#limits);
    this.#silent = ownsHttp ? new SilentConnections(http) : undefined;
    this.#unanswered = new UnansweredRequests(http, (socket) => this.#silent?.heard(socket));
    http.on('upgrade', this.#onUpgrade);
  }

  /** Ends connections on which nothing has been asked for. */
  endSilent(): void {
    this.#silent?.destroy();
  }

  /** Leaves upgrades to others. */
  stop(): void {
    this.#unanswered.stop();
    this.#http.off('upgrade', this.#onUpgrade);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#silent?.heard(socket);
    const asked = new Http1Upgrade(request, socket, head, this.#judgeAddress);
    const { isForUs } = asked;
    const route = isForUs ? this.#routes.find(asked.request.url) : undefined;
    if (route === undefined) this.#notOurs(request, asked, isForUs);
    // Its answer would end up among our frames.
    else if (this.#unanswered.has(socket)) socket.destroy();
    // Node ends it once that answer is out.
    else if (this.#unanswered.isClosing(socket)) this.#letGo(socket);
    else this.#judge(asked, route);
  }

  #letGo(socket: Duplex): void {
    linger(socket);
    this.#watchEnd(socket);
  }

  /** A stream of HTTP/2 that asks for WebSocket. Returns whether it is dealt with; if not, others may want it. */
  extendedConnect(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
  ): boolean {
    const asked = new Http2Upgrade(stream, headers, rawHeaders, this.#judgeAddress);
    const route = this.#routes.find(asked.request.url);
    if (route !== undefined) this.#judge(asked, route);
    else if (this.#ownsHttp) this.#refuse(asked, 'NO_ROUTE');
    return route !== undefined || this.#ownsHttp;
  }

  #judge(asked: AskedUpgrade, route: ResolvedRoute<Data>): void {
    if (this.#owner.isClosing()) {
      this.#refuse(asked, 'SERVER_CLOSING');
      return;
    }
    const answer = asked.check({
      protocols: route.protocols,
      origins: route.origins,
      hosts: this.#hosts,
      maxHeaders: this.#limits.maxHeaders,
      compression: route.compression,
    });
    if ('reject' in answer) {
      this.#refuse(asked, answer.reject);
      return;
    }
    if (!this.#counts.enter(asked.request.remoteAddress)) {
      this.#refuse(asked, 'TOO_MANY_CONNECTIONS');
      return;
    }
    const { upgrade } = route.handlers;
    // Where there is no `upgrade`, there is nothing for `data` to be.
    const data = undefined as Data;
    const granted = { route, agreed: answer, asked, data, head: asked.head };
    if (upgrade === undefined) this.#owner.accept(granted);
    else void this.#decide(granted);
  }

  /** A connection from that address has ended. */
  ended(address: string | undefined): void {
    this.#counts.leave(address);
  }

  /** An upgrade that no route is for: others may want it, and a server of our own answers for us. */
  #notOurs(request: IncomingMessage, asked: Http1Upgrade, isForUs: boolean): void {
    const { socket } = asked;
    if (this.#http.listenerCount('upgrade') > 1) return;
    if (this.#ownsHttp && isForUs) {
      this.#refuse(asked, 'NO_ROUTE');
      return;
    }
    if (!this.#unanswered.isAlone && passAsPlainRequest(this.#http, request, socket)) {
      this.#watchEnd(socket);
      return;
    }
    this.#refuse(asked, isForUs ? 'NO_ROUTE' : 'UPGRADE_MISSING');
  }

  #refuse(asked: AskedUpgrade, code: ErrorCode): void {
    const { status, headers } = refusal(code);
    this.#answer(asked, status, headers, code, `${errorTable[code].message}\n`);
  }

  #answer(
    asked: AskedUpgrade,
    status: number,
    headers: Readonly<Record<string, string>>,
    code: ErrorCode | undefined,
    body?: string,
  ): void {
    asked.refuse(status, headers, body);
    this.#owner.refused(asked.request, status, code);
    this.#watchEnd(asked.socket);
  }

  /** Has `close` cut the socket off where it does not end by itself. */
  #watchEnd(socket: Duplex): void {
    if (socket.destroyed) {
      this.#owner.checkEmpty();
      return;
    }
    this.waiting.add(socket);
    socket.on('close', () => this.#left(socket));
  }

  /** Asks the application. */
  async #decide(upgrade: GrantedUpgrade<Data>): Promise<void> {
    const { route, asked, head } = upgrade;
    const { request, socket } = asked;
    const waiting = new WaitingSocket(socket, head, () => this.#left(socket));
    this.waiting.add(socket);
    let timedOut = false;
    const timer = deadline(this.#limits.handshakeTimeoutMs, () => {
      timedOut = true;
      waiting.finish();
      this.waiting.delete(socket);
      this.ended(request.remoteAddress);
      // Whoever has left is neither answered nor refused.
      if (!waiting.gone) this.#refuse(asked, 'UPGRADE_TIMEOUT');
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
    if ('error' in decided && !(decided.error instanceof RejectUpgrade))
      this.#owner.report(decided.error);
    if (timedOut) return;
    this.waiting.delete(socket);
    const isClosing = this.#owner.isClosing();
    if (!waiting.gone && 'data' in decided && !isClosing) {
      this.#owner.accept({ ...upgrade, data: decided.data, head: waiting.finish() });
      return;
    }
    this.ended(request.remoteAddress);
    // Whoever has left is not answered: a late 101 would open a connection to nobody.
    if (waiting.gone) {
      socket.destroy();
      return;
    }
    waiting.finish();
    if ('data' in decided) this.#refuse(asked, 'SERVER_CLOSING');
    else if (decided.error instanceof RejectUpgrade) {
      this.#rejectAs(decided.error, asked);
    } else this.#refuse(asked, 'UPGRADE_FAILED');
  }

  #rejectAs({ status, headers, body }: RejectUpgrade, asked: AskedUpgrade): void {
    try {
      this.#answer(asked, status, headers, undefined, body);
    } catch (error) {
      // It was changed after it was made.
      this.#owner.report(error);
      this.#refuse(asked, 'UPGRADE_FAILED');
    }
  }

  #left(socket: Duplex): void {
    this.waiting.delete(socket);
    this.#owner.checkEmpty();
  }
}
