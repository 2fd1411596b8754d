import type { CompressionOptions } from '../protocol/extensions/permessage-deflate.ts';
import type { Limits } from '../protocol/limits.ts';
import type { Peer } from './peer.ts';
import type { Route } from './routes.ts';
import type { ServerHealth } from './server-health.ts';

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
  /** Where exceptions of handlers go, and what else goes wrong unasked. Default: `console.error`. */
  onError?(error: unknown, peer?: Peer<Data>): void;
  /** `health.status` has changed. */
  onHealth?(health: ServerHealth): void;
}

export interface CloseOptions {
  /** What every peer is closed with. Default 1001, going away. */
  readonly code?: number;
  readonly reason?: string;
  /**
   * How long the server goes on as before while `health.ready` is false, so that load balancers notice. Default 0.
   */
  readonly noticeMs?: number;
  /**
   * Then nobody is accepted any more, and the peers are closed one after another over this time, so that they do not all
   * come back elsewhere at once. Default 0: all at once.
   */
  readonly spreadMs?: number;
  /**
   * How long peers and requests have to finish after that before they are cut off; may be `Infinity`. Default 10,000 ms.
   */
  readonly timeoutMs?: number;
}
