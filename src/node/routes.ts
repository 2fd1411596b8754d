import { apertoError } from '../protocol/errors.ts';
import {
  type CompressionOptions,
  type ResolvedCompression,
  resolveCompression,
} from '../protocol/extensions/permessage-deflate.ts';
import { normaliseOrigins, type OriginPolicy } from '../protocol/handshake/origin.ts';
import { checkProtocols } from '../protocol/handshake/subprotocols.ts';
import { type Limits, resolveLimits } from '../protocol/limits.ts';
import type { Peer } from './peer.ts';
import type { PeerHandlers, SlowPeerPolicy, TopicHandlers } from './peer-handlers.ts';
import type { UpgradeRequest } from './upgrade-request.ts';

/** What a server does for the peers of one path. One object for all of them. */
export interface Route<Data> extends PeerHandlers<Peer<Data>>, TopicHandlers<Peer<Data>> {
  /** The subprotocols spoken. The first that the client offers and is spoken is chosen. Default: none. */
  readonly protocols?: readonly string[];
  /**
   * Which web pages may connect: those of the same origin, all, or those listed; a list may have
   * `same-origin` and `null` too.
   * Requests without an Origin header do not come from a browser, and pass. Default `same-origin`.
   */
  readonly origins?: 'same-origin' | '*' | readonly string[];
  /** What happens to peers that take data too slowly. Default `close`. */
  readonly slowPeers?: SlowPeerPolicy;
  /** In place of the server's. */
  readonly compression?: boolean | CompressionOptions;
  /** Laid over the server's. The opening handshake's limits are the server's alone. */
  readonly limits?: Partial<Limits>;
  /**
   * Decides about a request, and returns the peer's `data`. Throw a `RejectUpgrade` to refuse; any other
   * exception refuses with 500 and goes to `onError`. Runs after the handshake and the origin were checked.
   */
  upgrade?(request: UpgradeRequest): Data | Promise<Data>;
  /** The connection is open. Messages wait while a returned promise is pending. */
  open?(peer: Peer<Data>): unknown;
}

/** A route with everything checked and resolved. */
export interface ResolvedRoute<Data> {
  readonly handlers: Route<Data>;
  readonly protocols: readonly string[];
  readonly origins: OriginPolicy;
  readonly slowPeers: SlowPeerPolicy;
  readonly compression: ResolvedCompression | undefined;
  readonly limits: Limits;
}

const slowPeerPolicies: readonly SlowPeerPolicy[] = ['close', 'drop', 'latest'];

/** @throws {ApertoError} INVALID_OPTION for none of the policies. */
export function checkSlowPeers(policy: SlowPeerPolicy = 'close'): SlowPeerPolicy {
  if (slowPeerPolicies.includes(policy)) return policy;
  throw apertoError('INVALID_OPTION', {
    detail: `slowPeers is one of ${slowPeerPolicies.join(', ')}, not ${String(policy)}`,
  });
}

/** Finds the route of a path: the exact one, else the longest prefix that ends in `*`. */
export class Routes<Data> {
  readonly #exact = new Map<string, ResolvedRoute<Data>>();
  readonly #prefixes: (readonly [string, ResolvedRoute<Data>])[] = [];

  /** @throws {ApertoError} INVALID_OPTION, INVALID_PROTOCOL */
  constructor(
    routes: Readonly<Record<string, Route<Data>>>,
    limits: Limits,
    compression: ResolvedCompression | undefined,
  ) {
    if (typeof routes !== 'object' || routes === null) {
      throw apertoError('INVALID_OPTION', { detail: 'routes is an object of routes by path' });
    }
    for (const [pattern, route] of Object.entries(routes)) {
      if (typeof route !== 'object' || route === null) {
        throw apertoError('INVALID_OPTION', { detail: `the route ${pattern} is no object` });
      }
      const resolved: ResolvedRoute<Data> = {
        handlers: route,
        protocols: checkProtocols(route.protocols ?? []),
        origins: normaliseOrigins(route.origins ?? 'same-origin'),
        slowPeers: checkSlowPeers(route.slowPeers),
        compression:
          route.compression === undefined ? compression : resolveCompression(route.compression),
        limits: resolveLimits(route.limits, limits),
      };
      if (!/^(\/[^*?#]*\*?|\*)$/.test(pattern)) {
        throw apertoError('INVALID_OPTION', {
          detail: `a route is a path such as /chat, a prefix such as /rooms/*, or *, not ${pattern}`,
        });
      }
      if (pattern.endsWith('*')) this.#prefixes.push([pattern.slice(0, -1), resolved]);
      else this.#exact.set(pattern, resolved);
    }
    this.#prefixes.sort(([a], [b]) => b.length - a.length);
  }

  /** @param url the request's target: path and query. */
  find(url: string): ResolvedRoute<Data> | undefined {
    const path = pathOf(url);
    const exact = this.#exact.get(path);
    if (exact !== undefined) return exact;
    return this.#prefixes.find(([prefix]) => path.startsWith(prefix))?.[1];
  }
}

function pathOf(target: string): string {
  // RFC 6455 4.2.1 (1), RFC 9112 3.2.2: the target may also be an absolute http or https URI.
  const resource = target.replace(/^https?:\/\/[^/?#]*/i, '');
  const query = resource.indexOf('?');
  const path = query < 0 ? resource : resource.slice(0, query);
  return path === '' ? '/' : path;
}
