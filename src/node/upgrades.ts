import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { type ErrorCode, errorTable } from '../protocol/errors.ts';
import { resolveCompression } from '../protocol/extensions/permessage-deflate.ts';
import { HeaderFields } from '../protocol/handshake/header-fields.ts';
import { normaliseHosts } from '../protocol/handshake/host.ts';
import {
  type Acceptance,
  asksForWebSocket,
  checkUpgrade,
  refusal,
} from '../protocol/handshake/server-handshake.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import { deadline } from './deadline.ts';
import { refuseUpgrade, WaitingSocket } from './http1-upgrade.ts';
import { nodePlatform } from './node-platform.ts';
import { passAsPlainRequest } from './plain-request.ts';
import { RejectUpgrade } from './reject-upgrade.ts';
import { type ResolvedRoute, Routes } from './routes.ts';
import type { AttachOptions } from './server.ts';
import { SilentConnections } from './silent-connections.ts';
import { UnansweredRequests } from './unanswered-requests.ts';
import { UpgradeRequest } from './upgrade-request.ts';

/** An upgrade that the handshake allows; once it is granted, `data` is what the application returned. */
export interface GrantedUpgrade<Data> {
  readonly route: ResolvedRoute<Data>;
  readonly acceptance: Acceptance;
  readonly request: UpgradeRequest;
  readonly data: Data;
  readonly socket: Duplex;
  /** What came behind the request. */
  readonly head: Buffer;
}

/** The server's side of it. */
export interface UpgradeOwner<Data> {
  isClosing(): boolean;
  accept(upgrade: GrantedUpgrade<Data>): void;
  /** An error of the application's. */
  report(error: unknown): void;
  /** `waiting` has got shorter. */
  checkEmpty(): void;
}

/** Decides about an HTTP server's upgrade requests: by the handshake's rules, then by the application. */
export class Upgrades<Data> {
  /** Sockets that Node has lost sight of and that are no session: not yet, or refused. */
  readonly waiting: Set<Duplex> = new Set();
  readonly #http: HttpServer | HttpsServer;
  readonly #ownsHttp: boolean;
  readonly #owner: UpgradeOwner<Data>;
  readonly #limits: Limits;
  readonly #routes: Routes<Data>;
  readonly #hosts: readonly string[] | undefined;
  readonly #unanswered: UnansweredRequests;
  /** Of an HTTP server of our own. */
  readonly #silent: SilentConnections | undefined;
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void =>
    this.#upgrade(request, socket, head);

  /** @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL; then nothing was done. */
  constructor(
    http: HttpServer | HttpsServer,
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
    const url = request.url ?? '/';
    const fields = new HeaderFields(request.rawHeaders);
    const isWebSocket = asksForWebSocket(fields);
    const route = isWebSocket ? this.#routes.find(url) : undefined;
    if (route === undefined) {
      this.#notOurs(request, socket, isWebSocket);
      return;
    }
    if (this.#unanswered.has(socket)) {
      socket.destroy();
      return;
    }
    if (this.#owner.isClosing()) {
      this.#refuse(socket, 'SERVER_CLOSING');
      return;
    }
    const answer = checkUpgrade(
      {
        method: request.method ?? '',
        httpVersion: request.httpVersion,
        fields,
      },
      {
        protocols: route.protocols,
        origins: route.origins,
        hosts: this.#hosts,
        encrypted: socket instanceof TLSSocket,
        maxHeaders: this.#limits.maxHeaders,
        compression: route.compression,
      },
      nodePlatform,
    );
    if ('reject' in answer) {
      this.#refuse(socket, answer.reject);
      return;
    }
    const { upgrade } = route.handlers;
    // Where there is no `upgrade`, there is nothing for `data` to be.
    const data = undefined as Data;
    const granted = {
      route,
      acceptance: answer,
      request: new UpgradeRequest(request),
      data,
      socket,
      head,
    };
    if (upgrade === undefined) this.#owner.accept(granted);
    else void this.#decide(granted);
  }

  /** An upgrade that no route is for: others may want it, and a server of our own answers for us. */
  #notOurs(request: IncomingMessage, socket: Duplex, isWebSocket: boolean): void {
    if (this.#http.listenerCount('upgrade') > 1) return;
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
      this.#owner.checkEmpty();
      return;
    }
    this.waiting.add(socket);
    socket.on('close', () => this.#left(socket));
  }

  /** Asks the application. */
  async #decide(upgrade: GrantedUpgrade<Data>): Promise<void> {
    const { route, request, socket, head } = upgrade;
    const waiting = new WaitingSocket(socket, head, () => this.#left(socket));
    this.waiting.add(socket);
    let timedOut = false;
    const timer = deadline(this.#limits.handshakeTimeoutMs, () => {
      timedOut = true;
      waiting.finish();
      this.waiting.delete(socket);
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
    if ('error' in decided && !(decided.error instanceof RejectUpgrade))
      this.#owner.report(decided.error);
    if (timedOut) return;
    this.waiting.delete(socket);
    // Whoever has left is not answered: a late 101 would open a connection to nobody.
    if (waiting.gone) {
      socket.destroy();
      return;
    }
    const early = waiting.finish();
    if ('data' in decided) {
      if (this.#owner.isClosing()) this.#refuse(socket, 'SERVER_CLOSING');
      else this.#owner.accept({ ...upgrade, data: decided.data, head: early });
    } else if (decided.error instanceof RejectUpgrade) {
      this.#rejectAs(decided.error, socket);
    } else this.#refuse(socket, 'UPGRADE_FAILED');
  }

  #rejectAs({ status, headers, body }: RejectUpgrade, socket: Duplex): void {
    try {
      this.#answer(socket, status, headers, body);
    } catch (error) {
      // It was changed after it was made.
      this.#owner.report(error);
      this.#refuse(socket, 'UPGRADE_FAILED');
    }
  }

  #left(socket: Duplex): void {
    this.waiting.delete(socket);
    this.#owner.checkEmpty();
  }
}
