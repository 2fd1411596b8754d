import type {
  ClientPeer,
  CloseInfo,
  Limits,
  PeerHandlers,
  SlowPeerPolicy,
} from '../../dist/index.js';
import { defaultLimits } from '../../dist/index.js';
import { nodePlatform } from '../../dist/node/node-platform.js';
import { ClientPeer as PeerFace } from '../../dist/node/peer.js';
import { PeerSession } from '../../dist/node/peer-session.js';
import { newTraffic } from '../../dist/node/traffic.js';
import { connectionSettings } from '../../dist/protocol/connection-settings.js';
import { newCounters } from '../../dist/protocol/extensions/compression-counters.js';
import { FakeSocket } from './fake-socket.ts';

export interface FakeSessionOptions {
  readonly limits?: Partial<Limits>;
  readonly slowPeers?: SlowPeerPolicy;
  readonly handlers?: PeerHandlers<ClientPeer>;
  readonly open?: (peer: ClientPeer) => void | Promise<void>;
}

export interface FakeSession {
  readonly socket: FakeSocket;
  readonly session: PeerSession<ClientPeer>;
  readonly peer: ClientPeer;
  readonly errors: unknown[];
  readonly closed: Promise<CloseInfo>;
  /** What `onDropped` was told. */
  dropped(): number;
}

/** A server's session on a socket whose other side the test plays. */
export function fakeSession({
  limits = {},
  slowPeers = 'close',
  handlers = {},
  open,
}: FakeSessionOptions): FakeSession {
  const socket = new FakeSocket();
  const errors: unknown[] = [];
  let dropped = 0;
  const session = new PeerSession<ClientPeer>(
    socket,
    '',
    {
      ...connectionSettings(nodePlatform, { ...defaultLimits, ...limits }, true),
      extensions: '',
      counters: newCounters(),
      sharedReadBuffer: true,
      traffic: newTraffic(),
      handlers,
      slowPeers,
      onError: (error) => errors.push(error),
      flushPublished() {},
      onClosed() {},
      onCloseHandled() {},
      onDropped(messages) {
        dropped += messages;
      },
    },
    (made) => new PeerFace(made),
  );
  session.open(Buffer.alloc(0), Buffer.alloc(0), open);
  const { peer } = session;
  return { socket, session, peer, errors, closed: peer.closed, dropped: () => dropped };
}
