import { ClientPeer } from '../peer.ts';
import type { PeerHandlers, SlowPeerPolicy } from '../peer-handlers.ts';
import { PeerSession } from '../peer-session.ts';
import { checkSlowPeers } from '../routes.ts';
import { type DialOptions, dial, planDial } from './dial.ts';

/**
 * Without a `message` handler, messages wait for `for await (const message of peer)`. Once
 * `limits.highWaterMarkBytes` of them wait the server is read no further, so that then nothing is heard of
 * it: no ping is answered and no close noticed until somebody reads.
 */
export interface ConnectOptions extends DialOptions, PeerHandlers<ClientPeer> {
  /** Subprotocols to offer, the preferred first. Default: none. */
  readonly protocols?: readonly string[];
  /** Gives up the opening handshake. Without effect afterwards. */
  readonly signal?: AbortSignal;
  /** What happens where the server takes data too slowly. Default `close`. */
  readonly slowPeers?: SlowPeerPolicy;
  /** Where exceptions of handlers go. Default: `console.error`. */
  onError?(error: unknown, peer: ClientPeer): void;
}

/**
 * Connects to a server over `ws:`, `wss:` or `ws+unix:/path/to.sock:/request/path`. Resolves when the
 * connection is open.
 * @throws {ApertoError} INVALID_URL, INVALID_PROTOCOL, INVALID_HEADER, INVALID_OPTION for misuse;
 * CONNECT_FAILED with its `cause`; CERTIFICATE_NAME; HANDSHAKE_TIMEOUT; PROXY_REFUSED, REDIRECT_REFUSED,
 * STATUS_NOT_101 and the other codes of a refused or wrong handshake (RFC 6455 4.1), with `response`. The signal's
 * reason where that aborted it.
 */
export async function connect(
  url: string | URL,
  options: ConnectOptions = {},
): Promise<ClientPeer> {
  const slowPeers = checkSlowPeers(options.slowPeers);
  const plan = planDial(url, options.protocols ?? [], options);
  const { socket, head, protocol, extensions, counters, settings } = await dial(
    plan,
    options.signal,
  );
  const { onError } = options;
  const session = new PeerSession<ClientPeer>(
    socket,
    protocol,
    {
      ...settings,
      extensions,
      counters,
      handlers: options,
      slowPeers,
      onError: (error, peer) =>
        onError === undefined ? console.error(error) : onError(error, peer),
      flushPublished() {},
      onClosed() {},
      onCloseHandled() {},
      onDropped() {},
    },
    (made) => new ClientPeer(made),
  );
  session.openForReading(head);
  return session.peer;
}
